"""Pages that make something about people: a new account, a new organisation."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.creation import create_account
from calock.server.accounts.handing_over import code_link
from calock.server.accounts.models import Account, Role
from calock.server.accounts.organisations import MAX_NAME, clean_uscc, create_organisation
from calock.server.console.pages.common import asked_by, form_page, operator_and_context, page
from calock.server.organisations.models import Organisation, OrganisationKind


class AccountForm(forms.Form):
    username = forms.CharField(label="账户", max_length=64, help_text="登录时输入，2 至 64 个字母、数字或 .@+-_，创建后不可更改")
    name = forms.CharField(label="姓名", max_length=64)
    uscc = forms.CharField(label="单位的统一社会信用代码", max_length=18, required=False, help_text="评审专家等没有单位的账户留空")
    role = forms.ChoiceField(
        label="角色",
        choices=[(Role.MEMBER, Role.MEMBER.label), (Role.ORGANISATION_ADMIN, Role.ORGANISATION_ADMIN.label)],
        help_text="单位的第一个账户可直接设为机构管理员；单位已有其他账户时，先建为普通成员，再提出设为机构管理员（双人复核）",
    )


class OrganisationForm(forms.Form):
    name = forms.CharField(label="单位名称", max_length=MAX_NAME)
    uscc = forms.CharField(label="统一社会信用代码", max_length=18, help_text="18 位，GB 32100")
    kind = forms.ChoiceField(label="类型", choices=OrganisationKind.choices)


@require_http_methods(["GET", "POST"])
def account_new(request: HttpRequest) -> HttpResponse:
    given = {"uscc": request.GET.get("uscc", "")[:18], "role": Role.MEMBER}
    form = AccountForm(request.POST if request.method == "POST" else None, initial=given)

    def send() -> HttpResponse:
        values = form.cleaned_data
        organisation = organisation_named(values["uscc"]) if values["uscc"] else None
        account, code = create_account(
            username=values["username"],
            name=values["name"],
            role=Role(values["role"]),
            organisation=organisation,
            **asked_by(request),
        )
        return code_page(request, account, code)

    return form_page(request, form, send, title="新增账户", back=reverse("admin:accounts_account_changelist"), above="账户")


@require_http_methods(["GET", "POST"])
def organisation_new(request: HttpRequest) -> HttpResponse:
    form = OrganisationForm(request.POST if request.method == "POST" else None)

    def send() -> HttpResponse:
        values = form.cleaned_data
        kind = OrganisationKind(values["kind"])
        organisation = create_organisation(name=values["name"], uscc=values["uscc"], kind=kind, **asked_by(request))
        return HttpResponseRedirect(reverse("admin:organisations_organisation_change", args=[organisation.pk]))

    back = reverse("admin:organisations_organisation_changelist")
    return form_page(request, form, send, title="新增单位", back=back, above="单位")


def code_page(request: HttpRequest, account: Account, code: str) -> HttpResponse:
    """The only page that ever shows this code. It answers the POST itself: nothing that is stored could be asked for it again."""
    _, context = operator_and_context(request)
    link = code_link(context.origin, username=account.username, code=code)
    return page(request, "console/code.html", title="一次性代码", account=account, code=code, link=link)


def organisation_named(uscc: str) -> Organisation:
    """The organisation that has this code now.

    Raises:
        Refusal: REQUEST_MALFORMED.
    """
    found = Organisation.objects.filter(uscc=clean_uscc(uscc)).first()
    if found is None:
        raise Refusal(Reason.REQUEST_MALFORMED, "没有使用该统一社会信用代码的单位")
    return found
