"""Driver packages in the console: list, upload, publish, withdraw."""

from __future__ import annotations

import unicodedata
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from calock.core.refusals import Reason, Refusal
from calock.server.approvals.models import Approval
from calock.server.audit.events import Event
from calock.server.audit.services import record_refusal
from calock.server.console.filters import choice_filter
from calock.server.console.lists import ReadOnlyAdmin, badge, field_column, list_column
from calock.server.console.pages.common import operator_and_context, reasoned_by, take
from calock.server.downloads.decisions import propose_publication
from calock.server.downloads.keys import package_keys
from calock.server.downloads.models import DriverPackage, PackageState, WeeklyDownloads
from calock.server.downloads.services import monday_of, upload_package, withdraw_package
from calock.server.portal.packages import ARCHITECTURES, SYSTEMS

SHOWN_WEEKS = 8
"""Of downloads, on a package's page: driver releases are some weeks apart."""
TONES = {PackageState.DRAFT: "warn", PackageState.PUBLISHED: "good", PackageState.WITHDRAWN: "bad"}


def values_of(column: str) -> list[str]:
    """The different values of a column of the catalogue."""
    return list(DriverPackage.objects.order_by(column).values_list(column, flat=True).distinct())


@admin.register(DriverPackage)
class DriverPackageAdmin(ReadOnlyAdmin):
    template = "console/package.html"
    change_list_template = "console/package_list.html"
    list_display = (
        "title",
        "version",
        "system",
        "state_badge",
        "file_size",
        field_column("完整下载次数", "downloads"),
        "this_week",
        field_column("发布时间", "released_at"),
    )
    list_filter = (
        choice_filter("状态", "state", lambda: list(PackageState.choices)),
        choice_filter("系统", "os", lambda: list(SYSTEMS.items())),
        choice_filter("架构", "arch", lambda: list(ARCHITECTURES.items())),
        choice_filter("代码", "code", lambda: [(code, code) for code in values_of("code")]),
    )
    search_fields = ("title",)
    search_help_text = "名称、代码、版本或 SHA-256"

    def find(self, rows: QuerySet[DriverPackage], words: str) -> QuerySet[DriverPackage]:
        """By any part: the catalogue has some dozens of rows."""
        part = Q(title__icontains=words) | Q(code__icontains=words) | Q(version__startswith=words) | Q(sha256__startswith=words)
        return rows.filter(part)

    @list_column("系统")
    def system(self, row: DriverPackage) -> str:
        return f"{SYSTEMS.get(row.os, row.os)} {ARCHITECTURES.get(row.arch, row.arch)}"

    @list_column("状态")
    def state_badge(self, row: DriverPackage) -> SafeString:
        return badge(TONES[PackageState(row.state)], row.get_state_display())

    @list_column("大小")
    def file_size(self, row: DriverPackage) -> str:
        return unicodedata.normalize("NFKC", filesizeformat(row.size))

    @list_column("其中本周")
    def this_week(self, row: Any) -> int:
        week: int = row.this_week
        return week

    def attach(self, rows: list[Any]) -> None:
        monday = monday_of(timezone.localdate())
        counts = dict(WeeklyDownloads.objects.filter(package__in=rows, monday=monday).values_list("package", "count"))
        for row in rows:
            row.this_week = counts.get(row.pk, 0)

    def get_urls(self) -> list[URLPattern]:
        upload = path("upload/", self.admin_site.admin_view(require_POST(self.upload)), name="downloads_driverpackage_upload")
        return [upload, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "key_count": len(package_keys())})

    def upload(self, request: HttpRequest) -> HttpResponse:
        """Take the form's file as a draft, then show it; a refusal is shown on the list."""
        operator, context = operator_and_context(request)
        file = request.FILES.get("package")

        def do() -> DriverPackage:
            try:
                chunks = file.chunks() if file is not None and not isinstance(file, list) else iter(())
                return upload_package(chunks=chunks, by=operator, context=context)
            except Refusal as refusal:
                record_refusal(Event.PACKAGE_REFUSED, refusal, context=context, actor=operator)
                raise

        taken = take(request, "downloads_driverpackage_upload", "", do)
        if taken is None:
            return HttpResponseRedirect(reverse("admin:downloads_driverpackage_changelist"))
        return HttpResponseRedirect(reverse("admin:downloads_driverpackage_change", args=[taken.pk]))

    def context_of(self, row: DriverPackage) -> dict[str, Any]:
        newer = DriverPackage.objects.newest_like(row)
        return {
            "providers": row.providers.all(),
            "newest": newer,
            "tone": TONES[PackageState(row.state)],
            "system": self.system(row),
            "weeks": row.weeks.all()[:SHOWN_WEEKS],
            "waiting_here": Approval.objects.open_at(timezone.now()).filter(target=str(row.pk)).select_related("proposed_by"),
        }

    def step_publish(self, request: HttpRequest, row: DriverPackage) -> None:
        if request.POST.get("checked") != row.sha256:
            raise Refusal(Reason.REQUEST_MALFORMED, "the file that was looked at is not this one")
        propose_publication(package=row, **reasoned_by(request))

    def step_withdraw(self, request: HttpRequest, row: DriverPackage) -> None:
        withdraw_package(package=row, **reasoned_by(request))
