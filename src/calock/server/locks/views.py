"""``/api/bindings``, ``/api/bindings/<id>/end``, ``/api/bindings/<id>/resume`` and ``/api/step-up``."""

from __future__ import annotations

import uuid

import msgspec
from django.http import HttpResponse

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.locks.binding_rows import row_of, rows_of
from calock.server.locks.models import Binding
from calock.server.locks.renewals import Act, BindingQuestion, Choice
from calock.server.locks.services import bind_lock
from calock.server.locks.step_up import Evidence, confirm_session
from calock.server.locks.suspension import resume_lock
from calock.server.locks.unbinding import unbind_lock
from calock.server.sessions import cookies
from calock.server.sessions.context import RequestContext
from calock.server.web.api import Message, ProviderCode, call, json_body, reply
from calock.server.web.http import SiteRequest, context_of, require_account
from calock.wire.driver import ReportedDevice
from calock.wire.driver_key import DriverProof

LIMIT = 1000


class ChoiceMade(Message, frozen=True):
    """Answer to the question that binding may come back with."""

    act: Act
    binding: uuid.UUID | None = None


class BindRequest(Message, frozen=True):
    challenge: str
    token: msgspec.Raw
    member: uuid.UUID
    provider: ProviderCode
    device: ReportedDevice | None = None
    choice: ChoiceMade | None = None
    driver: DriverProof | None = None


class StepUpRequest(Message, frozen=True):
    password: str = ""
    challenge: str = ""
    token: msgspec.Raw = msgspec.Raw()

    def evidence(self) -> Evidence:
        return Evidence(self.password, self.challenge, bytes(self.token))


class EndRequest(StepUpRequest, frozen=True):
    reason: str = ""


def _row(binding: Binding, context: RequestContext) -> dict[str, object]:
    whole = Binding.objects.select_related("account", "bound_by", "lock__provider").get(pk=binding.pk)
    return rows_of([whole], at=context.at)[0]


def _question(question: BindingQuestion, context: RequestContext) -> dict[str, object]:
    rows = [(row_of(found.binding, found.certificate, at=context.at), found) for found in question.candidates]
    return {
        "lockId": question.proven.lock_ids[0],
        "candidates": [
            {
                "binding": row["id"], "lockId": row["lockId"], "certificate": row["certificate"], "statusLabel": row["statusLabel"],
                "boundAt": row["boundAt"], "notAfter": row["notAfter"], "act": found.act.value,
                "label": found.binding.label, "lost": found.binding.suspended_at is not None,
            }
            for row, found in rows
        ],
    }  # fmt: skip


@call("GET", "POST")
def bindings(request: SiteRequest) -> HttpResponse:
    """GET: the live bindings this account may see, newest first. POST: bind."""
    account, _ = require_account(request)
    context = context_of(request)
    if request.method == "POST":
        return _bind(request, account, context)
    rows = Binding.objects.visible_to(account).live().newest_first().select_related("account", "bound_by", "lock__provider")
    return reply({"bindings": rows_of(list(rows[:LIMIT]), at=context.at)})


def _bind(request: SiteRequest, account: Account, context: RequestContext) -> HttpResponse:
    body = json_body(request, BindRequest)
    member = Account.objects.select_related("organisation").filter(pk=body.member).first()
    if member is None:
        raise Refusal(Reason.NOT_FOUND, "no such account")
    choice = Choice(body.choice.act, body.choice.binding) if body.choice else None
    bound = bind_lock(
        member=member,
        provider=body.provider,
        challenge=body.challenge,
        token=bytes(body.token),
        device=body.device,
        driver=body.driver,
        by=account,
        context=context,
        choice=choice,
    )
    if isinstance(bound, BindingQuestion):
        return reply({"question": _question(bound, context)})
    return reply({"binding": _row(bound, context), "message": "绑定成功"})


@call("POST")
def end(request: SiteRequest, binding: uuid.UUID) -> HttpResponse:
    """解除绑定."""
    account, _ = require_account(request)
    body = json_body(request, EndRequest)
    unbind_lock(binding=binding, reason=body.reason, evidence=body.evidence(), by=account, context=context_of(request))
    return reply({"message": "解除绑定成功"})


@call("POST")
def resume(request: SiteRequest, binding: uuid.UUID) -> HttpResponse:
    """恢复使用 by the lost lock's own person, who has it again."""
    account, _ = require_account(request)
    body = json_body(request, StepUpRequest)
    resume_lock(binding=binding, reason="", evidence=body.evidence(), by=account, context=context_of(request))
    return reply({"message": "已恢复使用"})


@call("POST")
def step_up(request: SiteRequest) -> HttpResponse:
    """Make the session fresh again."""
    _, session = require_account(request)
    body = json_body(request, StepUpRequest)
    cookie = confirm_session(session=session, evidence=body.evidence(), context=context_of(request))
    response = reply({"message": "已确认"})
    cookies.set_session(response, cookie)
    return response
