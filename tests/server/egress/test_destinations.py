"""Addresses that two operators listed for a purpose are talked to, and no other."""

from __future__ import annotations

import pytest
from worlds.browser import console_client
from worlds.register import make_world

from calock.server.approvals.models import Approval
from calock.server.egress import purposes
from calock.server.egress.connections import FetchFailedError
from calock.server.egress.decisions import add_destination
from calock.server.egress.models import Destination
from calock.server.egress.purposes import Purpose, register_purpose
from calock.server.egress.services import ask
from calock.server.tools.addresses import FetchRefusedError

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _purposes(monkeypatch):
    monkeypatch.setattr(purposes._purposes, "things", {})
    for code in ("letters", "others"):
        register_purpose(Purpose(code, "试验"))


@pytest.fixture
def receiver(source):
    source.serve("/in", b"thanks")
    return source


def address(server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/in"


def listed(server, purpose: str = "letters") -> Destination:
    return add_destination(purpose=purpose, url=address(server), private_network=True, by=None, context=None)


def test_an_address_is_listed_by_two_operators_and_removed_by_one(receiver):
    world = make_world()
    first, second = console_client(world.first), console_client(world.second)
    wanted = {"step": "add", "purpose": "letters", "url": address(receiver), "private_network": "on", "reason": "短信网关"}
    first.post("/console/egress/", wanted)
    with pytest.raises(FetchRefusedError):
        ask("letters", address(receiver))
    row = Approval.objects.get()
    second.post(f"/console/approvals/{row.pk}/", {"step": "approve", "version": row.version, "sha256": row.sha256})
    assert ask("letters", address(receiver), body=b"x", content_type="text/plain") == b"thanks"
    for wrong in (wanted, {**wanted, "purpose": "nobody"}, {**wanted, "url": "file:///etc/passwd"}):
        assert 'class="alert bad' in first.post("/console/egress/", wrong, follow=True).content.decode()
    assert Approval.objects.count() == 1
    first.post("/console/egress/", {"step": "remove", "destination": str(Destination.objects.get().pk)})
    with pytest.raises(FetchRefusedError):
        ask("letters", address(receiver))
    assert len(receiver.asked) == 1


def test_an_address_of_one_purpose_is_none_of_another(receiver):
    listed(receiver)
    for purpose in ("others", "unheard of"):
        with pytest.raises(FetchRefusedError):
            ask(purpose, address(receiver), body=b"x")
    assert receiver.asked == []


def test_an_address_written_into_the_database_is_not_talked_to(receiver):
    row = listed(receiver, "others")
    Destination.objects.update(purpose="letters")
    with pytest.raises(FetchRefusedError):
        ask("letters", address(receiver))
    Destination.objects.filter(pk=row.pk).delete()
    Destination.objects.create(purpose="letters", url=address(receiver), private_network=True, added_at=row.added_at, mac=row.mac)
    with pytest.raises(FetchRefusedError):
        ask("letters", address(receiver))
    assert receiver.asked == []


def test_the_sender_learns_the_status_and_no_header_can_be_smuggled_in(receiver):
    listed(receiver)
    gone = address(receiver).replace("/in", "/gone")
    with pytest.raises(FetchFailedError) as failed:
        ask("letters", gone, body=b"x")
    assert failed.value.status == 404
    assert ask("letters", gone, body=b"x", statuses=(404,)) == b""
    with pytest.raises(FetchFailedError):
        ask("letters", address(receiver), headers={"X-Id": "1\r\nX-Evil: 2"})
