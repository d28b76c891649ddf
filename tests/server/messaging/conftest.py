from __future__ import annotations

import dataclasses

import pytest
from worlds.browser import page_client
from worlds.mail import mail_server, sms_gateway
from worlds.rows import PASSWORD, account, supplier

from calock.server.egress.decisions import add_destination
from calock.server.messaging.sending import forward_notices
from calock.server.outbox.kinds import kinds
from calock.server.outbox.models import Message
from calock.server.outbox.services import claim, deliver
from calock.server.tools import clock

MAIL = "zhang@supplier.example"
PHONE = "13812345678"


@pytest.fixture(scope="module")
def _server():
    with mail_server() as found:
        yield found


@pytest.fixture
def mailbox(_server, settings):
    """A real mail server, named in the settings."""
    box, server = _server
    box.mails.clear()
    box.says.clear()
    settings.CALOCK = dataclasses.replace(settings.CALOCK, mail=server)
    return box


@pytest.fixture
def gateway(settings, db):
    with sms_gateway() as found:
        settings.CALOCK = dataclasses.replace(settings.CALOCK, sms_token="the-token")
        add_destination(purpose="sms", url=found.url, private_network=True, by=None, context=None)
        yield found


@pytest.fixture
def person(db):
    return account("zhangsan", "张三", organisation=supplier(), password=PASSWORD)


@pytest.fixture
def browser(person):
    return page_client("shanxi", person)


def background() -> None:
    """What the background does in a moment: forwards notices, and sends whatever waits, due or not."""
    forward_notices()
    Message.objects.waiting().update(due_at=clock.database_now())
    for kind in kinds():
        for message in claim(kind, limit=100):
            deliver(message, kind)


def add(browser, box, value: str = MAIL, kind: str = "mail"):
    """Add a contact and verify it by the code that arrives."""
    assert browser.post("/contacts/add/", {"kind": kind, "value": value, "password": PASSWORD}).status_code == 302
    background()
    code = box.code(value) if kind == "mail" else box.got[-1]["values"]["code"]
    page = browser.get("/contacts/").content.decode()
    address = page.partition("/verify/")[0].rpartition('"')[2] + "/verify/"
    answer = browser.post(address, {"code": code})
    assert answer.headers["Location"] == "/contacts/?done=verified", answer.content.decode()
