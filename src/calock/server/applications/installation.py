"""Registering applications by the server's owner, without operators: for a new server, and for the practice world."""

from __future__ import annotations

from django.db import transaction

from calock.server.applications.models import Application, ApplicationState
from calock.server.applications.services import require_own_addresses, store
from calock.server.applications.wishes import clean
from calock.server.audit.events import Event
from calock.server.audit.services import record


def install_application(values: object) -> Application:
    """Register an application, or give the one of that ``client_id`` what ``values`` say; nothing when it says so already.

    Raises:
        Refusal: APPLICATION_REFUSED; REGISTER_DAMAGED.
    """
    wish = clean(values)
    require_own_addresses(wish)
    with transaction.atomic():
        row = Application.objects.select_for_update().filter(client_id=wish.client_id).first()
        if row is not None and row.wish == wish and row.state == ApplicationState.ENABLED:
            return row
        new = row is None
        row = row or Application()
        row.adopt(wish)
        row.state = ApplicationState.ENABLED
        store(row, new=new)
        event = Event.APPLICATION_REGISTERED if new else Event.APPLICATION_CHANGED
        record(event, subject=row.pk, details={"client": row.client_id, "version": row.version, "how": "by the owner"})
    return row
