"""What tests of bindings ask and expect through a browser."""

from __future__ import annotations

from worlds.rows import PASSWORD

from calock.server.audit.models import AuditEvent


def with_password(account):
    account.set_password(PASSWORD)
    account.save()
    return account


def refused(answer, reason, event="binding:lock:refused"):
    told = answer.json()["error"]
    assert told["reason"] == reason
    assert 400 <= answer.status_code < 500
    row = AuditEvent.objects.get(number=told["number"])
    assert (row.reason, row.event) == (reason, event)
    return told


def end(browser, binding, **body):
    return browser.post(f"/api/bindings/{binding}/end", {"reason": "离职", **body})
