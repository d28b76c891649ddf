"""What operators do with driver packages, and the count of what people took."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import clean_reason
from calock.server.accounts.models import Account
from calock.server.audit import services as audit
from calock.server.audit.events import Event
from calock.server.downloads import store
from calock.server.downloads.keys import package_keys
from calock.server.downloads.models import DriverPackage, PackageState, WeeklyDownloads
from calock.server.providers.models import Provider
from calock.server.sessions.context import RequestContext
from calock.wire.package import Release, VerifiedPackage, inspect


def _refused(why: str) -> Refusal:
    return Refusal(Reason.PACKAGE_REFUSED, why, {"why": why})


def _require_operator(by: Account | None) -> None:
    """``by`` None is the server's own command line."""
    if by is not None and not (by.is_operator and by.is_active):
        raise Refusal(Reason.NOT_ALLOWED, "only operators manage driver packages")


def upload_package(*, chunks: Iterable[bytes], by: Account | None, context: RequestContext | None) -> DriverPackage:
    """Take a package into the catalogue as a draft. It is inspected where it lies, never unpacked.

    The same file again is the same package.

    Raises:
        Refusal: NOT_ALLOWED; PACKAGE_REFUSED: no signed package of ours, too large, or another file of the same version is there.
    """
    _require_operator(by)
    keys = package_keys()
    if not keys:
        raise _refused("no package key is configured on this server")
    try:
        incoming = store.Incoming(chunks)
        try:
            with incoming.open() as file:
                found = inspect(file, keys)
            return _enter(incoming, found, by=by, context=context)
        finally:
            incoming.discard()
    except Refusal as refusal:
        if refusal.reason is Reason.PACKAGE_REFUSED:
            refusal.facts.setdefault("why", refusal.detail)
        raise


def _enter(
    incoming: store.Incoming, found: VerifiedPackage, *, by: Account | None, context: RequestContext | None
) -> DriverPackage:
    manifest, stored = found.manifest, incoming.stored
    kind = {"code": manifest.code, "os": manifest.os, "arch": manifest.arch, "version": manifest.version}
    same = DriverPackage.objects.filter(**kind).first()
    if same is not None:
        if same.sha256 != stored.sha256:
            raise _refused("another file of this version is in the catalogue; versions are never replaced")
        incoming.keep()  # puts a damaged or lost file back
        return same
    incoming.keep()
    try:
        with transaction.atomic():
            package = DriverPackage.objects.create(
                **kind,
                title=manifest.title,
                sites=list(manifest.sites),
                file_name=manifest.file_name,
                size=stored.size,
                sha256=stored.sha256,
                sm3=stored.sm3,
                manifest=found.text,
                signature=found.signature,
                changes=manifest.changes,
            )
            package.providers.set(Provider.objects.filter(code__in=manifest.providers))
            _record(Event.PACKAGE_UPLOADED, package, by=by, context=context)
    except IntegrityError as error:
        raise _refused("another file of this version is in the catalogue; versions are never replaced") from error
    return package


def _record(event: Event, package: DriverPackage, *, by: Account | None, context: RequestContext | None) -> None:
    details = {"code": package.code, "version": package.version, "system": f"{package.os}-{package.arch}", "sha256": package.sha256}
    audit.record(event, actor=by, context=context, subject=package.pk, details=details)


def publish_package(*, package: DriverPackage, by: Account | None, context: RequestContext | None) -> DriverPackage:
    """Offer a draft for download from now on: as two operators decided (the caller checked it), or as the server's owner wants.

    Raises:
        Refusal: NOT_ALLOWED; VERSION_CHANGED: no draft any more; PACKAGE_DAMAGED: the stored file is not the one that came.
    """
    _require_operator(by)
    store.open_checked(package.sha256, package.size).close()
    with transaction.atomic():
        locked = DriverPackage.objects.select_for_update().get(pk=package.pk)
        if locked.state != PackageState.DRAFT:
            raise Refusal(Reason.VERSION_CHANGED, "only a draft can be published; a withdrawn version stays withdrawn")
        locked.state = PackageState.PUBLISHED
        locked.released_at = context.at if context else timezone.now()
        locked.save(update_fields=["state", "released_at"])
        _record(Event.PACKAGE_PUBLISHED, locked, by=by, context=context)
    return locked


def withdraw_package(*, package: DriverPackage, reason: str, by: Account | None, context: RequestContext | None) -> DriverPackage:
    """Stop offering a package, for good. Its row and its file stay; its address shows the newer one.

    Raises:
        Refusal: NOT_ALLOWED; REASON_MISSING; VERSION_CHANGED: withdrawn already.
    """
    _require_operator(by)
    reason = clean_reason(reason)
    with transaction.atomic():
        locked = DriverPackage.objects.select_for_update().get(pk=package.pk)
        if locked.state == PackageState.WITHDRAWN:
            raise Refusal(Reason.VERSION_CHANGED, "withdrawn already")
        locked.state = PackageState.WITHDRAWN
        locked.withdrawn_at = context.at if context else timezone.now()
        locked.withdrawn_reason = reason
        locked.save(update_fields=["state", "withdrawn_at", "withdrawn_reason"])
        _record(Event.PACKAGE_WITHDRAWN, locked, by=by, context=context)
    return locked


def monday_of(day: date) -> date:
    """First day of the week that holds ``day``."""
    return day - timedelta(days=day.weekday())


def count_download(*, package: DriverPackage, context: RequestContext) -> None:
    """One download of the whole file that began: the counters, of all time and of the week, and its audit row."""
    with transaction.atomic():
        DriverPackage.objects.filter(pk=package.pk).update(downloads=F("downloads") + 1)
        week, _new = WeeklyDownloads.objects.get_or_create(package=package, monday=monday_of(timezone.localdate(context.at)))
        WeeklyDownloads.objects.filter(pk=week.pk).update(count=F("count") + 1)
        account = context.session.account if context.session else None
        _record(Event.PACKAGE_DOWNLOADED, package, by=account, context=context)


def release_of(package: DriverPackage, path: str) -> Release:
    """What a driver is told about the newest version; it checks the manifest's signature itself."""
    return Release(manifest=package.manifest, signature=package.signature, path=path, size=package.size, sha256=package.sha256)
