"""A holder's next lock, on the pages: one more, a replacement, a renewed one, one of another kind, and one of a firm that changed.

Each story has a firm of its own and fresh soft locks of a practice CA, so none meets what another left.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from calock.agent.backends.soft import create_soft_lock
from calock.demo import pki
from calock.demo.people import organisation_code, uscc
from calock.demo.practice import open_practice
from journeys.people import Person
from journeys.platform import PASSWORD, Platform

PIN = "314159"
STORIES = ("colleagues", "replaced", "renewed", "sm2", "changed")


@dataclass
class Firm:
    """An organisation with two members, ``-1`` its administrator, and what its locks are certified with."""

    story: str
    platform: Platform
    name: str
    code: str
    new_code: str
    files: set[Path] = field(default_factory=set)

    def user(self, number: int = 1) -> str:
        return f"{self.story}-{number}"

    def lock(self, serial: str, *, family: str = "huren-p256", code: str = "", name: str = "", days: int = 300) -> str:
        """Plug in a lock that a practice CA issued to the firm, in the place of one of this serial number; its last digits."""
        now = datetime.now(UTC).replace(microsecond=0)
        issuing = open_practice(self.platform.place.root).families[family].issuing
        key = pki.make_key(issuing.key.algorithm)
        holder = name or self.name
        certificate = issuing.issue_lock(
            holder, key, not_before=now - timedelta(days=1), not_after=now + timedelta(days=days), organisation=holder,
            uscc=code or self.code, lock_id=serial,
        )  # fmt: skip
        folder = self.platform.place.locks
        file = create_soft_lock(
            folder, pin=PIN, key_pkcs8=key.private_pkcs8, certificate_der=certificate, serial=serial, label="新锁"
        )
        self.files.add(file)
        return serial[-4:]


MAKE = """
import json, sys
from calock.server.accounts.models import Account
from calock.server.organisations.models import Organisation
for story, name, code in json.loads({firms!r}):
    firm = Organisation.objects.create(kind="supplier", name=name, uscc=code)
    for number, role in ((1, "organisation_admin"), (2, "member")):
        Account.objects.create_account(
            username=f"{{story}}-{{number}}", name=f"{{story}} {{number}}", password={password!r}, role=role, organisation=firm
        )
"""
CHANGE = """
from django.utils import timezone
from calock.server.accounts.models import Account
from calock.server.accounts.organisations import change_code
from calock.server.organisations.models import Organisation
firm, operator = Organisation.objects.get(uscc={code!r}), Account.objects.get(username="yunying01")
change_code(
    organisation=firm, name={name!r}, uscc={new_code!r}, version=firm.version, by=operator, at=timezone.now(), context=None
)
"""


@pytest.fixture(scope="module")
def firms(platform: Platform) -> Iterator[dict[str, Firm]]:
    def code(number: int) -> str:
        return uscc("91140100" + organisation_code(f"MA0NEXT{number}"))

    found = {story: Firm(story, platform, f"测试{story}有限公司", code(2 * n), code(2 * n + 1)) for n, story in enumerate(STORIES)}
    rows = json.dumps([(firm.story, firm.name, firm.code) for firm in found.values()])
    platform.manage("shell", "-c", MAKE.format(firms=rows, password=PASSWORD))
    yield found
    for firm in found.values():
        for file in firm.files:
            file.unlink()


def answer(person: Person, words: str) -> None:
    """Say what the lock is that was just proved, and see the dialog close."""
    dialog = person.page.get_by_role("dialog")
    choice = dialog.locator("[data-choices] label", has_text=words)
    expect(choice.first).to_be_visible()
    choice.first.click()
    dialog.get_by_role("button", name=re.compile("^确 ?定$")).click()
    expect(person.page.locator("[data-bind]")).to_be_hidden()


def enters(person: Person, tail: str) -> None:
    person.log_out()
    person.ca_login(tail, PIN)
    person.expect_inside()


def test_two_locks_of_one_firm_on_two_accounts_and_on_one(person: Person, firms: dict[str, Firm]) -> None:
    firm = firms["colleagues"]
    one, two, three = (firm.lock(f"730140990000400{n}") for n in (1, 2, 3))
    person.enter(firm.user(1))
    person.bind(one, PIN)
    person.expect_bound()
    person.log_out()
    person.enter(firm.user(2))
    person.bind(two, PIN)
    person.expect_bound()
    person.bind(three, PIN)
    answer(person, "作为另一把锁绑定")
    expect(person.page.locator("[data-list] tbody tr").filter(has_text=f"账户: {firm.user(2)}")).to_have_count(2)
    for tail in (one, two, three):
        enters(person, tail)


def test_a_lock_that_takes_the_place_of_another(person: Person, firms: dict[str, Firm]) -> None:
    firm = firms["replaced"]
    old, new = firm.lock("7301409900004011"), firm.lock("7301409900004012")
    person.enter(firm.user())
    person.bind(old, PIN)
    person.expect_bound()
    person.bind(new, PIN)
    answer(person, "续期/换锁，替换原锁")
    rows = person.page.locator("[data-list] tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(new)
    enters(person, new)
    person.log_out()
    person.ca_login(old, PIN)
    person.expect_refused("该 CA 锁尚未绑定账户")


def test_a_new_certificate_on_the_same_device(person: Person, firms: dict[str, Firm]) -> None:
    firm = firms["renewed"]
    tail = firm.lock("7301409900004021")
    person.enter(firm.user())
    person.bind(tail, PIN)
    person.expect_bound()
    person.log_out()
    firm.lock("7301409900004021", days=700)
    person.ca_login(tail, PIN)
    person.expect_refused("检测到已续期的新证书")
    person.enter(firm.user())
    person.bind(tail, PIN)
    answer(person, "续期：同一把锁换了新证书")
    expect(person.page.locator("[data-list] tbody tr")).to_have_count(1)
    enters(person, tail)


def test_the_move_to_a_lock_of_the_national_algorithms(person: Person, firms: dict[str, Firm]) -> None:
    """Another CA of the provider: a renewal like others, and nobody is told of another holder."""
    firm = firms["sm2"]
    tail = firm.lock("7301409900004031")
    person.enter(firm.user())
    person.bind(tail, PIN)
    person.expect_bound()
    person.log_out()
    firm.lock("7301409900004031", family="huren-sm2", days=700)
    person.ca_login(tail, PIN)
    person.expect_refused("检测到已续期的新证书")
    person.enter(firm.user())
    person.bind(tail, PIN)
    answer(person, "续期：同一把锁换了新证书")
    person.page.locator("[data-list] tbody tr").first.get_by_role("link", name="详情").click()
    expect(person.page.locator("main")).to_contain_text("SM2")
    enters(person, tail)


def test_a_firm_that_changes_its_name_and_its_code(person: Person, firms: dict[str, Firm]) -> None:
    """Its lock goes on logging in; the one with the new name and code is bound like any other; the old code binds no more."""
    firm = firms["changed"]
    old = firm.lock("7301409900004041")
    person.enter(firm.user())
    person.bind(old, PIN)
    person.expect_bound()
    name = "测试更名后有限公司"
    firm.platform.manage("shell", "-c", CHANGE.format(code=firm.code, new_code=firm.new_code, name=name))
    enters(person, old)
    new = firm.lock("7301409900004042", code=firm.new_code, name=name)
    late = firm.lock("7301409900004043")
    person.bind(new, PIN)
    expect(person.expect_bound()).to_contain_text(new)
    enters(person, new)
    person.log_out()
    person.enter(firm.user(2))
    person.bind(late, PIN)
    person.expect_refused("证书单位与当前账户单位不一致")
