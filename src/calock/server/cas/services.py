"""CAS 3.0: which service an address belongs to, whether a ticket holds, and what is said of its person (CAS Protocol 3.0.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from calock.core.refusals import Reason, Refusal
from calock.server.applications.models import Application, ApplicationState
from calock.server.cas.models import ServiceTicket
from calock.server.grants.models import Grant
from calock.server.grants.services import is_live, spend
from calock.server.grants.store import Shown
from calock.server.tools.addresses import FetchRefusedError, split

PROTOCOL = "cas"
MAX_SERVICE = 1000
_TICKETS = Shown(ServiceTicket)
ADDRESSES = {PROTOCOL: "cas_services", "gate": "gate_urls"}
"""Where the addresses of a protocol are registered; the gate (``server/gate``) sends people back by tickets too."""


class ValidationError(Exception):
    """A ticket that is not validated; ``code`` as in clause 2.5.3."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Validated:
    """Whom a ticket speaks of."""

    grant: Grant
    renewed: bool


def application_for(service: str, *, site: str, protocol: str = PROTOCOL) -> Application:
    """The application to which a service address belongs: the one with the longest registered prefix, never by a pattern.

    A suspended application keeps its addresses: they do not fall to one that is registered for more of the same host.

    Raises:
        Refusal: APPLICATION_UNKNOWN; REGISTER_DAMAGED, also when two applications have the same address.
    """
    if len(service) <= MAX_SERVICE and is_plain(service):
        found = [
            (len(urlsplit(prefix).path.rstrip("/")), row)
            for row in Application.objects.filter(site=site)
            for prefix in row.content.get(ADDRESSES[protocol], ())
            if is_below(service, prefix)
        ]
        if found:
            longest = max(length for length, _ in found)
            row, *others = {row for length, row in found if length == longest}
            if others:  # one was put back from before the other had the address
                raise Refusal(Reason.REGISTER_DAMAGED, f"{row.client_id} and {others[0].client_id} have the same address")
            if protocol in row.wish.protocols and row.state == ApplicationState.ENABLED:
                return row
    raise Refusal(Reason.APPLICATION_UNKNOWN, f"service {service[:120]!r}")


def is_plain(address: str) -> bool:
    """Whether browsers, and whoever compares it here, read an address in the same way."""
    if any(not "!" <= letter <= "~" for letter in address):
        return False
    try:
        parts = split(address)
    except FetchRefusedError:
        return False
    path = parts.path.lower()
    return (
        "#" not in address
        and ".." not in path
        and "%2e" not in path
        and "%2f" not in path
        and "%5c" not in path
        and "//" not in path
    )


def is_below(address: str, prefix: str) -> bool:
    """Whether ``address`` is the registered one or lies below it: same scheme, host and port, and the path goes on at a slash."""
    one, other = urlsplit(address), urlsplit(prefix)
    if (one.scheme, one.netloc) != (other.scheme, other.netloc):
        return False
    return one.path == other.path or one.path.startswith(other.path.rstrip("/") + "/")


def validate(*, ticket: str, service: str, renew: bool, site: str, at: datetime, protocol: str = PROTOCOL) -> Validated:
    """Use a ticket up; one of another protocol is unknown, and stays good.

    Raises:
        ValidationError: INVALID_REQUEST, INVALID_TICKET_SPEC, INVALID_TICKET, INVALID_SERVICE.
    """
    if not ticket or not service:
        raise ValidationError("INVALID_REQUEST", "ticket and service are required")
    if not ticket.startswith("ST-"):
        raise ValidationError("INVALID_TICKET_SPEC", "only service tickets are validated")
    row = _TICKETS.find(ticket)
    if row is None or (row.grant.application.site, row.grant.protocol) != (site, protocol) or not _use(row, at):
        raise ValidationError("INVALID_TICKET", "the ticket is unknown, used or over")
    if row.service != service:
        raise ValidationError("INVALID_SERVICE", "the ticket is another service's")
    if renew and not row.renewed:
        raise ValidationError("INVALID_TICKET", "the person did not prove themselves for this ticket")
    return Validated(row.grant, row.renewed)


def _use(row: ServiceTicket, at: datetime) -> bool:
    return spend(row, why="ticket used twice", at=at) and at < row.expires_at and is_live(row.grant, at=at)


def attributes_of(validated: Validated) -> dict[str, str]:
    """What is told beside the account's name (clause 2.5.7): who, of which organisation, proved how and when."""
    grant, account = validated.grant, validated.grant.account
    found = {
        "authenticationDate": grant.auth_time.isoformat(timespec="seconds"),
        "longTermAuthenticationRequestTokenUsed": "false",
        "isFromNewLogin": "true" if validated.renewed else "false",
        "acr": grant.acr,
        "name": account.name,
        "role": str(account.role),
    }
    if account.organisation is not None:
        found |= {
            "org_name": account.organisation.name,
            "org_uscc": account.organisation.uscc,
            "org_kind": str(account.organisation.kind),
        }
    return found
