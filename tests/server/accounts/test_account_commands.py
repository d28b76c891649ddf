"""The owner's command line: organisations and accounts of a new platform."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from worlds.browser import context
from worlds.rows import OTHER_USCC, PASSWORD, USCC

from calock.core.refusals import Refusal
from calock.server.accounts.codes import choose_password
from calock.server.accounts.creation import create_account
from calock.server.accounts.hashers import PasswordHasher
from calock.server.accounts.models import Account, Role
from calock.server.accounts.organisations import create_organisation, set_organisation_state
from calock.server.audit.models import AuditEvent
from calock.server.login.services import login_with_password
from calock.server.organisations.models import Organisation, OrganisationKind, OrganisationState
from calock.server.process import settings
from calock.server.sites.registry import sites

pytestmark = pytest.mark.django_db


def test_a_password_is_kept_with_the_parameters_that_owasp_names():
    assert PasswordHasher().encode("Chang-Cheng-7-Li", "salt-of-16-bytes").startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert settings.PASSWORD_HASHERS[0] == "calock.server.accounts.hashers.PasswordHasher"


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a niceness of its own on Linux alone")
def test_threads_that_hash_give_way_to_logins_with_locks():
    PasswordHasher().encode("Chang-Cheng-7-Li", "salt-of-16-bytes")
    own = os.getpriority(os.PRIO_PROCESS, 0)
    others = [os.getpriority(os.PRIO_PROCESS, int(thread.name)) for thread in Path("/proc/self/task").iterdir()]
    assert max(others) == min(19, own + 15)


def test_a_new_platform_gets_an_organisation_its_administrator_and_an_operator(capsys):
    call_command("create_organisation", "测试供应商有限公司", USCC)
    call_command("create_account", "guanli01", "王管理", "--role", "organisation_admin", "--organisation", USCC)
    call_command("operators", "create", "yunying09", "运营")
    printed = next(line for line in capsys.readouterr().out.splitlines() if "guanli01" in line)
    code = printed.rpartition(" ")[2]
    account = Account.objects.get(username="guanli01")
    assert (account.organisation.uscc, account.has_usable_password()) == (USCC, False)
    choose_password(username="guanli01", code=code, new=PASSWORD, context=context())
    assert login_with_password(username="guanli01", password=PASSWORD, context=context())
    assert AuditEvent.objects.filter(event="account:created").count() == 2
    assert code not in repr(list(AuditEvent.objects.values()))


@pytest.mark.parametrize(
    "arguments",
    [
        ["create_organisation", "名", USCC[:-1] + ("1" if USCC[-1] != "1" else "2")],
        ["create_organisation", " ", USCC],
        ["create_account", "a b", "名"],
        ["create_account", "x", "名"],
        ["create_account", "xx", "名\n"],
        ["create_account", "xx", "名", "--organisation", OTHER_USCC],
        ["create_account", "xx", "名", "--role", "organisation_admin"],
        ["create_account", "xx", "名", "--role", "root"],
    ],
)
def test_nonsense_is_refused_and_writes_nothing(arguments):
    with pytest.raises(CommandError):
        call_command(*arguments)
    assert not Organisation.objects.exists()
    assert not Account.objects.exists()


def test_nothing_exists_twice(lock_world):
    for arguments in (["create_organisation", "又", USCC], ["create_account", "zhangsan", "又"]):
        with pytest.raises(CommandError, match="已"):
            call_command(*arguments)


def test_two_who_write_one_name_at_once_are_told_by_the_database(lock_world):
    """Nothing is looked up before the row is written: what another wrote a moment ago counts, and the transaction goes on."""
    written = AuditEvent.objects.count()
    for table, create in (
        ("accounts_account", partial(create_account, username="zhangsan", name="又", role=Role.MEMBER)),
        ("organisations_organisation", partial(create_organisation, name="又", uscc=USCC, kind=OrganisationKind.SUPPLIER)),
    ):
        with CaptureQueriesContext(connection) as queries, pytest.raises(Refusal, match="已"):
            create()
        assert next(query["sql"] for query in queries if table in query["sql"]).startswith("INSERT")
    assert AuditEvent.objects.count() == written


@pytest.mark.parametrize("who", ["member", "admin", "outside_admin"])
def test_nobody_but_an_operator_makes_accounts_or_closes_organisations(lock_world, who):
    actor = getattr(lock_world, who)
    made = context(account=actor)
    with pytest.raises(Refusal):
        create_account(username="neu", name="新", role=Role.OPERATOR, by=actor, context=made)
    with pytest.raises(Refusal):
        set_organisation_state(organisation=lock_world.other_organisation, state=OrganisationState.DISABLED, by=actor, context=made)
    assert not Account.objects.filter(username="neu").exists()


def test_an_operator_makes_no_operators(lock_world):
    """A34: a second account of the same person would approve what the first one proposed."""
    made = context(account=lock_world.operator)
    with pytest.raises(Refusal):
        create_account(username="neu", name="新", role=Role.OPERATOR, by=lock_world.operator, context=made)
    assert not Account.objects.filter(username="neu").exists()
    create_account(username="neu", name="新", role=Role.MEMBER, by=lock_world.operator, context=made)


def test_the_owner_gives_an_operator_a_one_time_code(lock_world, capsys):
    session = context(account=lock_world.operator).session
    call_command("reset_password", "yunying")
    first, *links = capsys.readouterr().out.strip().splitlines()
    code = first.rpartition(" ")[2]
    assert len(links) == len(sites())
    assert all(link.endswith(f"/password/code/?account=yunying#{code}") for link in links)
    choose_password(username="yunying", code=code, new=PASSWORD, context=context())
    assert Account.objects.get(username="yunying").check_password(PASSWORD)
    session.refresh_from_db()
    assert session.ended_at is not None
    assert AuditEvent.objects.get(event="account:password:reset").actor is None
    with pytest.raises(CommandError):
        call_command("reset_password", "niemand")


def test_closing_an_organisation_ends_its_members_sessions(lock_world):
    member = context(account=lock_world.member).session
    outsider = context(account=lock_world.outsider).session
    made = context(account=lock_world.operator)
    set_organisation_state(
        organisation=lock_world.organisation, state=OrganisationState.DISABLED, by=lock_world.operator, context=made
    )
    member.refresh_from_db()
    outsider.refresh_from_db()
    assert member.end_reason == "organisation disabled"
    assert outsider.ended_at is None
