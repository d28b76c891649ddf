"""存证回执: an account's own receipts, one to print, its file; and 存证核验, where anybody has a file or a number judged."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, cast

import segno
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from calock.core.receipts.record import Record
from calock.core.receipts.verify import verify_receipt
from calock.core.refusals import Reason, Refusal
from calock.core.statement import Statement, read_statement
from calock.server.accounts.authority import has_authority
from calock.server.accounts.models import Account
from calock.server.locks.models import Lock
from calock.server.portal.receipt_words import note_sentence, purposes
from calock.server.portal.render import page
from calock.server.receipts.models import Receipt
from calock.server.receipts.positions import sealed_at
from calock.server.receipts.services import believed_anchors, believed_keys, file_of, record_of
from calock.server.tools import throttle
from calock.server.web import refusals
from calock.server.web.http import SiteRequest, context_of, require_account
from calock.wire.statuses import status_of

PER_PAGE = 20
_NUMBER = re.compile(r"\d{6}(-[0-9A-HJKMNP-TV-Z]{4}){3}")


@require_safe
def receipts(request: SiteRequest) -> HttpResponse:
    account, _session = require_account(request)
    pages = Paginator(Receipt.objects.of(account.pk), PER_PAGE).get_page(request.GET.get("page"))
    rows = [(row, purposes().get(row.purpose, row.purpose), row.opens_for(account.pk)) for row in pages]
    return page(request, "receipts", "receipts", section="system", rows=rows, pages=pages)


def _own(request: SiteRequest, number: str) -> tuple[Receipt, dict[str, str]]:
    """The account's receipt of that number, and how what it speaks of is called now.

    Raises:
        Refusal: NOT_FOUND also for one that exists and is somebody else's.
    """
    account, _session = require_account(request)
    found = Receipt.objects.of(account.pk).filter(pk=number).first() if _NUMBER.fullmatch(number) else None
    if found is None or not found.opens_for(account.pk):
        raise Refusal(Reason.NOT_FOUND, "no receipt that this account may read")
    return found, _names(found, viewer=account)


@require_safe
def receipt(request: SiteRequest, number: str) -> HttpResponse:
    """One receipt, to read and to print, with a code that leads to 存证核验."""
    found, names = _own(request, number)
    record = record_of(found)
    address = f"{context_of(request).origin}{reverse('portal:verify')}?number={found.number}"
    return page(
        request,
        "receipt",
        "receipts",
        section="system",
        receipt=found,
        purpose=purposes().get(found.purpose, found.purpose),
        record=record,
        statement=read_statement(record.statement),
        names=names,
        sealed_at=sealed_at(found),
        address=address,
        code=segno.make(address, error="m").svg_data_uri(scale=4, border=2),
    )


def _names(found: Receipt, *, viewer: Account) -> dict[str, str]:
    """Names of today, which are for those alone who still have authority over the account."""
    account = Account.objects.select_related("organisation").filter(pk=found.subject or found.account).first()
    if account is not None and account.pk != viewer.pk and not has_authority(viewer, account):
        account = None
    lock = Lock.objects.filter(pk=found.lock).first() if found.lock else None
    names = {"账户": account.username if account else "", "CA锁ID": lock.lock_id if lock else ""}
    names["单位"] = account.organisation.name if account is not None and account.organisation else ""
    return {name: value for name, value in names.items() if value}


@require_safe
def receipt_file(request: SiteRequest, number: str) -> HttpResponse:
    """The file. ``crl=all``: with every kept CRL, whatever its size."""
    found, names = _own(request, number)
    file = file_of(found, names=names, everything=request.GET.get("crl") == "all")
    response = HttpResponse(file, content_type="application/zip")
    called = f"filename=\"receipt-{found.number}.zip\"; filename*=UTF-8''{_FILE_NAME.format(found.number)}"
    response["Content-Disposition"] = f"attachment; {called}"
    response["Cache-Control"] = "no-store"
    return response


_FILE_NAME = "%E5%AD%98%E8%AF%81%E5%9B%9E%E6%89%A7-{}.zip"
"""``存证回执-<number>.zip`` (RFC 8187)."""


@require_http_methods(["GET", "HEAD", "POST"])
def verify(request: SiteRequest) -> HttpResponse:
    """Judge a file, which is not kept; or say of a number whether it exists and is unchanged. Open to everybody."""
    shown: dict[str, Any] = {"number": request.GET.get("number", "")[:26], "key_list": believed_keys()}
    if request.method != "POST":
        return page(request, "verify", "verify", section="help", **shown)
    shown["number"] = request.POST.get("number", "").strip().upper()[:26]
    sender = context_of(request).sender
    status = 200
    try:
        throttle.refuse_when_too_many("verify", sender)
        shown |= (
            _judged(request) if "file" in request.FILES else {"exists": _looked_up(shown["number"], request.POST.get("last", ""))}
        )
    except Refusal as refusal:
        throttle.count_failure("verify", sender)
        status = status_of(refusal.reason)
        shown |= {"refusal": refusals.describe(refusal.reason, refusal.facts, number=""), "part": refusal.facts.get("part", "")}
    return page(request, "verify", "verify", section="help", status=status, **shown)


def _judged(request: HttpRequest) -> dict[str, Any]:
    upload = request.FILES["file"]
    anchors, keys = believed_anchors(), believed_keys()
    if not anchors:  # nothing would be compared
        raise Refusal(Reason.REGISTER_DAMAGED, "no anchor to believe")
    if not keys:
        raise Refusal(Reason.SERVER_BUSY, "no sealing key yet")
    report = verify_receipt(cast(Any, upload).read(), anchors=anchors, keys=keys)
    said: Statement = report.statement
    record: Record = report.record
    notes = [note_sentence(note) for note in report.notes]
    purpose, at = purposes().get(said.purpose, said.purpose), datetime.fromisoformat(record.at)
    return {"report": report, "said": said, "record": record, "at": at, "notes": notes, "purpose": purpose}


def _looked_up(number: str, last: str) -> dict[str, Any]:
    """What anybody may know of a receipt who holds its number and the end of the lock's id: no personal data.

    Raises:
        Refusal: RECEIPT_UNKNOWN, for a wrong end as well; RECEIPT_ALTERED.
    """
    found = Receipt.objects.filter(pk=number).first() if _NUMBER.fullmatch(number) else None
    lock = Lock.objects.filter(pk=found.lock).first() if found is not None and found.lock else None
    if found is None or lock is None or len(last) != 4 or lock.lock_id[-4:].upper() != last.strip().upper():
        raise Refusal(Reason.RECEIPT_UNKNOWN, "no receipt of this number with such a lock")
    record_of(found)
    return {
        "number": found.number,
        "purpose": purposes().get(found.purpose, found.purpose),
        "at": found.at,
        "sealed": sealed_at(found),
    }
