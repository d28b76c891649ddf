"""The calendar of when locks expire (RFC 5545): one all-day event a lock, with alarms 30 and 7 days before.

An event is named by the binding: a renewal moves the event instead of leaving an old one behind, also in a calendar into which the
file was imported once (RFC 5545, 3.8.4.7; the higher SEQUENCE goes before).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F
from django.utils.translation import gettext as _
from icalendar import Alarm, Calendar, Event

from calock.server.accounts.models import Account
from calock.server.audit.canonical import clean
from calock.server.locks.models import Binding, BindingQuerySet, LockCertificate
from calock.server.portal.rows import shorten
from calock.server.sites.profile import Profile
from calock.server.tools.masking import mask_name
from calock.server.tools.times import local

TYPE = "text/calendar; charset=utf-8"
MOST = 1000
"""Events of one calendar, those that come first."""
PAST = timedelta(days=90)
"""Ends that lie further back are shown no more."""
ALARMS = (timedelta(days=-30), timedelta(days=-7))


def calendar_of(account: Account, *, site: Profile, at: datetime) -> bytes:
    """The locks that log in to the account, and for an administrator those of its organisation's members."""
    calendar = Calendar()
    calendar.add("prodid", "-//calock//CA locks//ZH")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", _("CA 锁到期 · %(platform)s") % {"platform": site.names.platform})
    calendar.add("x-published-ttl", "P1D")
    rows = Binding.objects.visible_to(account).logging_in()
    for binding, versions in _with_versions(rows, at):
        calendar.add_component(_event(binding, versions, account, site=site, at=at))
    octets: bytes = calendar.to_ical()
    return octets


def _with_versions(rows: BindingQuerySet, at: datetime) -> Iterable[tuple[Binding, list[LockCertificate]]]:
    """What ends from a while ago on, first what ends first; with each lock's certificates, the current one first."""
    ending = rows.filter(
        lock__certificates__superseded_at__isnull=True,
        lock__certificates__revoked_at__isnull=True,
        lock__certificates__not_after__gt=at - PAST,
    )
    chosen = list(ending.select_related("account", "lock__provider").order_by("lock__certificates__not_after", "pk")[:MOST])
    versions: dict[object, list[LockCertificate]] = {}
    found = LockCertificate.objects.filter(lock__in=[binding.lock_id for binding in chosen]).defer("sealed_der")
    for version in found.order_by(F("superseded_at").desc(nulls_first=True)):
        versions.setdefault(version.lock_id, []).append(version)
    return ((binding, versions[binding.lock_id]) for binding in chosen)


def _event(binding: Binding, versions: list[LockCertificate], reader: Account, *, site: Profile, at: datetime) -> Event:
    current, lock = versions[0], binding.lock
    day = local(current.not_after).date()
    event = Event()
    event.add("uid", f"{binding.pk}@{site.hosts[0]}")
    event.add("sequence", len(versions) - 1)
    event.add("dtstamp", at)
    event.add("last-modified", current.current_since)
    event.add("dtstart", day)
    event.add("dtend", day + timedelta(days=1))
    event.add("transp", "TRANSPARENT")
    summary = _("CA 锁到期：%(lock)s") % {"lock": binding.label or shorten(lock.lock_id)}
    event.add("summary", summary)
    event.add("description", "\n".join(clean(line) for line in _lines(binding, current, reader)))  # a certificate names itself
    if lock.provider.renew_url:
        event.add("url", lock.provider.renew_url)
    for before in ALARMS:
        event.add_component(_alarm(summary, before))
    return event


def _lines(binding: Binding, current: LockCertificate, reader: Account) -> Iterable[str]:
    provider = binding.lock.provider
    yield f"{_('CA 服务商')}: {provider.name}"
    yield f"{_('CA锁ID')}: {binding.lock.lock_id}"
    yield f"{_('证书名称')}: {current.subject_cn}"
    if binding.account_id != reader.pk:
        yield f"{_('账户')}: {mask_name(binding.account.name)} {binding.account.username}"
    if provider.hotline:
        yield f"{_('续期电话')}: {provider.hotline}"
    if provider.renew_url:
        yield f"{_('续期网址')}: {provider.renew_url}"


def _alarm(summary: str, before: timedelta) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", summary)
    alarm.add("trigger", before)
    return alarm
