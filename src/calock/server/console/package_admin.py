"""Driver packages in the console: list, upload, publish, withdraw."""

from __future__ import annotations

import unicodedata
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from calock.core.refusals import Reason, Refusal
from calock.server.audit.events import Event
from calock.server.audit.services import record_refusal
from calock.server.console.lists import ReadOnlyAdmin, badge, list_column
from calock.server.console.pages.common import operator_and_context, outcome_message
from calock.server.downloads.keys import package_keys
from calock.server.downloads.models import DriverPackage, PackageState
from calock.server.downloads.services import publish_package, upload_package, withdraw_package

TONES = {PackageState.DRAFT: "warn", PackageState.PUBLISHED: "good", PackageState.WITHDRAWN: "bad"}


@admin.register(DriverPackage)
class DriverPackageAdmin(ReadOnlyAdmin):
    template = "console/package.html"
    change_list_template = "console/package_list.html"
    list_display = ("title", "version", "system", "state_badge", "file_size", "downloads", "released_at")
    list_filter = ("state", "os", "arch", "code")
    search_fields = ("title", "code", "version", "sha256")
    done = {"publish": "驱动包已发布，下载页面已可下载", "withdraw": "驱动包已撤回，不再提供下载"}  # noqa: RUF012 - Django's way

    @list_column("系统", "os")
    def system(self, row: DriverPackage) -> str:
        return f"{row.os} {row.arch}"

    @list_column("状态", "state")
    def state_badge(self, row: DriverPackage) -> SafeString:
        return badge(TONES[PackageState(row.state)], row.get_state_display())

    @list_column("大小", "size")
    def file_size(self, row: DriverPackage) -> str:
        return unicodedata.normalize("NFKC", filesizeformat(row.size))

    def get_urls(self) -> list[URLPattern]:
        upload = path("upload/", self.admin_site.admin_view(require_POST(self.upload)), name="downloads_driverpackage_upload")
        return [upload, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "key_count": len(package_keys())})

    def upload(self, request: HttpRequest) -> HttpResponse:
        """Take the form's file as a draft, then show it; a refusal is shown on the list."""
        operator, context = operator_and_context(request)
        file = request.FILES.get("package")
        taken: list[DriverPackage] = []
        with outcome_message(request, "驱动包已上传为草稿，请核对后发布"):
            try:
                chunks = file.chunks() if file is not None and not isinstance(file, list) else iter(())
                taken.append(upload_package(chunks=chunks, by=operator, context=context))
            except Refusal as refusal:
                record_refusal(Event.PACKAGE_REFUSED, refusal, context=context, actor=operator)
                raise
        name = "admin:downloads_driverpackage_change" if taken else "admin:downloads_driverpackage_changelist"
        return HttpResponseRedirect(reverse(name, args=[row.pk for row in taken]))

    def context_of(self, row: DriverPackage) -> dict[str, Any]:
        newer = DriverPackage.objects.newest_like(row)
        return {"providers": row.providers.all(), "newest": newer, "tone": TONES[PackageState(row.state)]}

    def step(self, request: HttpRequest, row: DriverPackage) -> None:
        operator, context = operator_and_context(request)
        wanted = request.POST.get("step", "")
        with outcome_message(request, self.done.get(wanted, "")):
            if wanted == "publish":
                if request.POST.get("checked") != row.sha256:
                    raise Refusal(Reason.REQUEST_MALFORMED, "the file that was looked at is not this one")
                publish_package(package=row, by=operator, context=context)
            elif wanted == "withdraw":
                withdraw_package(package=row, reason=request.POST.get("reason", ""), by=operator, context=context)
            else:
                raise Refusal(Reason.REQUEST_MALFORMED, "step")
