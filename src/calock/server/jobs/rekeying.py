"""Everything that is stored under one of the server's secrets, made anew under the newest: after a change of the secret."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone

from calock.core.refusals import Refusal
from calock.server.applications.models import Application
from calock.server.approvals.models import Approval
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.contacts.services import rekey_contacts
from calock.server.egress.models import Destination
from calock.server.gate.models import Pass
from calock.server.grants.models import Grant
from calock.server.imports.runs import rekey_lists
from calock.server.locks.rekeying import rekey_certificates
from calock.server.locks.row_seals import rekey_rows
from calock.server.oidc.keys import rekey as rekey_signing_keys
from calock.server.oidc.models import Token
from calock.server.providers.sealed import rekey_register
from calock.server.receipts.services import rekey_receipts
from calock.server.revocation import store
from calock.server.sessions.models import Session
from calock.server.tools.keys import key_ids
from calock.server.tools.rekeying import Rekeyed, seal_anew


def rekey() -> Iterator[Rekeyed]:
    """One room after the other, while the server runs; what was done is written into the audit trail.

    Rows of the trail itself are never changed: each names its key, and without that key its signed seal vouches for it.
    """
    rooms: list[Rekeyed] = []
    for found in _rooms():
        rooms.append(found)
        yield found
    details: dict[str, str | int] = {found.what: found.done for found in rooms if found.done}
    if details:
        record(Event.KEYS_RENEWED, details={"key": key_ids()[0], "failed": sum(len(found.failed) for found in rooms), **details})


def _rooms() -> Iterator[Rekeyed]:
    yield store.rekey()
    try:
        yield rekey_register()
    except Refusal as error:
        yield Rekeyed("register", failed=[error.detail])
    yield from rekey_rows()
    yield seal_anew("applications", Application.objects.all(), is_intact=Application.is_intact, expected=Application.expected_mac)
    yield seal_anew("approvals", Approval.objects.all(), is_intact=Approval.is_intact, expected=Approval.expected_mac)
    yield seal_anew("egress", Destination.objects.all(), is_intact=Destination.is_intact, expected=Destination.expected_mac)
    now = timezone.now()
    live = Session.objects.filter(ended_at__isnull=True, expires_at__gt=now)
    yield seal_anew("sessions", live, is_intact=Session.is_intact, expected=Session.expected_mac)
    grants = Grant.objects.filter(revoked_at__isnull=True, session__in=live)
    yield seal_anew("grants", grants, is_intact=Grant.is_intact, expected=Grant.expected_mac)
    tokens = Token.objects.filter(revoked_at__isnull=True, expires_at__gt=now)
    yield seal_anew("tokens", tokens, is_intact=Token.is_intact, expected=Token.expected_mac)
    yield seal_anew("passes", Pass.objects.filter(grant__in=grants), is_intact=Pass.is_intact, expected=Pass.expected_mac)
    yield rekey_certificates()
    yield rekey_contacts()
    yield rekey_lists()
    yield rekey_signing_keys()
    yield rekey_receipts()
