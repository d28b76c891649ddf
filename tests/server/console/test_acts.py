"""Every button of the console takes as many operators as the table says, and leaves the audit event that it names (SEC04, A102)."""

from __future__ import annotations

import io
import re
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib import admin
from django.urls import URLPattern, URLResolver
from django.utils import timezone
from server.messaging.test_delivery import contact
from worlds.browser import console_client
from worlds.driver_packages import make_package, package_key, public
from worlds.rows import OTHER_USCC, USCC, rewrite

from calock.demo import pki
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.applications.installation import install_application
from calock.server.applications.services import suspend_application
from calock.server.approvals.models import Approval, ApprovalState
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.console.acts import ACTS
from calock.server.downloads import store
from calock.server.downloads.models import DriverPackage
from calock.server.downloads.services import publish_package, upload_package
from calock.server.egress.decisions import add_destination
from calock.server.egress.models import Destination
from calock.server.egress.purposes import Purpose, register_purpose
from calock.server.imports.models import ImportRun
from calock.server.locks.models import Binding, Lock, PendingBinding
from calock.server.organisations.models import Organisation
from calock.server.outbox.models import Message
from calock.server.providers.anchors import CA_RESUME, CA_SUSPEND, CA_WITHDRAW
from calock.server.providers.models import CaRecord, CaState, ProviderState, RevocationSource

pytestmark = pytest.mark.django_db

register_purpose(Purpose("test", "试验"))
WHY = {"reason": "电话核实"}


def names() -> set[str]:
    found = set()

    def walk(patterns) -> None:
        for item in patterns:
            if isinstance(item, URLResolver):
                walk(item.url_patterns)
            elif isinstance(item, URLPattern) and item.name:
                found.add(item.name)

    walk(admin.site.urls[0])
    return found


NOTHING = ("_add", "_history", "_delete", "jsi18n")
"""Addresses of Django's admin that answer 404 or hold no act (``test_access``)."""


def test_every_address_of_the_console_is_in_the_table_and_no_other():
    assert {name for name in names() if not name.endswith(NOTHING)} == set(ACTS)


@pytest.fixture
def place(world, organisation, member, tmp_path, settings):
    """Rows for every act. The organisation's own code is a valid one, so that it may be changed."""
    settings.CALOCK = replace(settings.CALOCK, data=tmp_path)
    (tmp_path / "package-keys.txt").write_text(f"# ours\n{public(package_key())}\n")
    store._known_good.clear()
    world.organisation, world.member = organisation, member
    world.other = Organisation.objects.create(kind="supplier", name="别家", uscc=OTHER_USCC)
    world.colleague = Account.objects.create_account(
        username="guanli", name="王管理", organisation=organisation, role=Role.ORGANISATION_ADMIN
    )
    lock = Lock.objects.create(provider=world.provider, lock_id="7301401000450001")
    world.binding = Binding.objects.create(lock=lock, account=member, bound_by=member, bound_at=timezone.now(), site="shanxi")
    return world


def account(row) -> str:
    return f"/console/accounts/account/{row.pk}/change/"


def organisation_page(world) -> str:
    return f"/console/organisations/organisation/{world.organisation.pk}/change/"


def step_page(world) -> str:
    return f"/console/providers/{world.provider.pk}/step/"


def ca_file() -> io.BytesIO:
    now = datetime.now(UTC)
    root = pki.make_root("另一个根 CA", "SM2", not_before=now - timedelta(days=9), not_after=now + timedelta(days=3000))
    file = io.BytesIO(root.certificate)
    file.name = "root.crt"
    return file


def package(*, published: bool = False) -> DriverPackage:
    made = upload_package(chunks=[make_package()], by=None, context=None)
    return publish_package(package=made, by=None, context=None) if published else made


def uploaded() -> io.BytesIO:
    file = io.BytesIO(make_package())
    file.name = "driver.zip"
    return file


def unsent() -> Message:
    now = timezone.now()
    return Message.objects.create(kind="test", key="k", created_at=now, due_at=now, failed_at=now, attempts=9)


def destination() -> Destination:
    return add_destination(purpose="test", url="https://gateway.example/", private_network=False, by=None, context=None)


def people() -> io.BytesIO:
    file = io.BytesIO("账户,姓名\nneu,新\n".encode())
    file.name = "leute.csv"
    return file


def imported(world) -> ImportRun:
    console_client(world.first).post("/console/imports/upload/", {"kind": "accounts", "list": people()})
    return ImportRun.objects.get()


def claim(world) -> PendingBinding:
    return PendingBinding.objects.create(account=world.member, provider=world.provider, lock_id="SX-1", imported_at=timezone.now())


def waiting(world) -> Approval:
    """A proposal of the second operator, for the first to decide about."""
    console_client(world.second).post(account(world.member), {"step": "promote", **WHY})
    return Approval.objects.get()


def decision(world, step: str):
    row = waiting(world)
    return f"/console/approvals/{row.pk}/", {"step": step, "version": row.version, "sha256": row.sha256, "note": "不符"}


def own_proposal(world):
    console_client(world.first).post(account(world.member), {"step": "promote", **WHY})
    row = Approval.objects.get()
    return f"/console/approvals/{row.pk}/", {"step": "take_back", "version": row.version}


def record(world, step: str):
    return step_page(world), {"step": step, "record": world.intermediate.pk, "version": world.intermediate.version, **WHY}


def resumed(world):
    CaRecord.objects.get(pk=world.intermediate.pk).enter(CaState.SUSPENDED, timezone.now())
    row = CaRecord.objects.get(pk=world.intermediate.pk)
    row.enter(CaState.SUSPENDED, timezone.now())
    row.save()
    return step_page(world), {"step": CA_RESUME, "record": row.pk, "version": row.version, **WHY}


def trust(world):
    from calock.server.console.forms import TrustForm  # noqa: PLC0415 - one of many examples

    form = TrustForm.initial_of(world.provider)
    return f"/console/providers/{world.provider.pk}/trust/", {
        **form,
        "sites": ["shanxi", "zcy"],
        "allow_expired_binding": "",
        **WHY,
    }


def edited(world):
    fields = ("name", "short_name", "legal_name", "order", "version")
    form = {name: getattr(world.provider, name) for name in fields}
    return f"/console/providers/{world.provider.pk}/edit/", {**form, "name": "新名称"}


def links(world):
    form = {"hotline": "0351-7654321", "website": "", "renew_url": "https://ca.example/renew", "unlock_url": ""}
    return f"/console/providers/{world.provider.pk}/links/", {**form, "version": world.provider.version, **WHY}


def disabled(world, row):
    rewrite(Account.objects.get(pk=row.pk), state=AccountState.DISABLED)
    return account(row)


def erasable(world) -> str:
    Binding.objects.filter(account=world.member).update(unbound_at=timezone.now(), unbound_by=world.member)
    return disabled(world, world.member)


def disabled_operator(row: Account) -> str:
    row.state = AccountState.DISABLED
    row.save()
    return account(row)


def closed(world):
    Organisation.objects.filter(pk=world.organisation.pk).update(state="disabled")
    return organisation_page(world)


def third(world) -> Account:
    return Account.objects.create_account(username="bing", name="运营丙", role=Role.OPERATOR)


def application_form(**changed):
    form = {
        "site": "shanxi", "client_id": "xiangmu", "name": "项目采购", "icon": "grid", "order": 10, "audience": ["supplier"],
        "protocols": ["oidc"], "redirect_uris": "https://xiangmu.example/callback", "auth_method": "client_secret_basic",
        "id_token_alg": "RS256", "version": 0, **WHY,
    }  # fmt: skip
    return {**form, **changed}


def application(world, *, secrets: int = 1, state: str = "enabled"):
    row = install_application({
        "site": "shanxi", "client_id": "xiangmu", "name": "项目采购", "audience": ["supplier"], "protocols": ["oidc"],
        "redirect_uris": ["https://xiangmu.example/callback"], "auth_method": "client_secret_basic",
        "secrets": [f"{number:064x}" for number in range(secrets)],
    })  # fmt: skip
    if state != "enabled":
        suspend_application(application=row, reason="演练", by=world.second, context=None)
        row.refresh_from_db()
    return row


def application_step(world, step: str, **more):
    row = application(world, **more)
    return f"/console/applications/{row.pk}/step/", {"step": step, "version": row.version, **WHY}


EXAMPLES = {
    ("application_new", ""): lambda world: ("/console/applications/new/", application_form()),
    ("application_edit", ""): lambda world: (
        f"/console/applications/{application(world).pk}/edit/", application_form(version=1, name="采购")
    ),
    ("application_step", "suspend"): lambda world: application_step(world, "suspend"),
    ("application_step", "resume"): lambda world: application_step(world, "resume", state="suspended"),
    ("application_step", "new_secret"): lambda world: application_step(world, "new_secret"),
    ("application_step", "old_secret"): lambda world: application_step(world, "old_secret", secrets=2),
    ("provider_new", ""): lambda world: ("/console/providers/new/", {"code": "neu", "name": "新", "short_name": "新", "order": 5}),
    ("provider_propose", ""): lambda world: ("/console/providers/propose/", {"vendor": "bjca", **WHY}),
    ("provider_edit", ""): edited,
    ("provider_links", ""): links,
    ("provider_trust", ""): trust,
    ("provider_step", "suspend"): lambda world: (step_page(world), {"step": "suspend", **WHY}),
    ("provider_step", "propose"): lambda world: (
        step_page(world), {"step": "propose", "certificate": ca_file(), "role": "anchor", "group": "neu", **WHY}
    ),
    ("provider_step", CA_SUSPEND): lambda world: record(world, CA_SUSPEND),
    ("provider_step", CA_WITHDRAW): lambda world: record(world, CA_WITHDRAW),
    ("provider_step", CA_RESUME): resumed,
    ("provider_step", "add_source"): lambda world: (
        step_page(world),
        {"step": "add_source", "record": world.intermediate.pk, "kind": "crl", "url": "http://ca.example/neu.crl"},
    ),
    ("provider_step", "propose_source"): lambda world: (
        step_page(world),
        {"step": "add_source", "record": world.intermediate.pk, "kind": "crl", "url": "http://10.0.0.9/neu.crl",
         "private_network": "on", **WHY},
    ),
    ("provider_step", "remove_source"): lambda world: (
        step_page(world), {"step": "remove_source", "source": RevocationSource.objects.first().pk}
    ),
    ("provider_step", "emergency"): lambda world: (
        step_page(world), {"step": "emergency", "record": world.intermediate.pk, "hours": "6", **WHY}
    ),
    ("approval", "approve"): lambda world: decision(world, "approve"),
    ("approval", "reject"): lambda world: decision(world, "reject"),
    ("approval", "take_back"): own_proposal,
    ("accounts_account_change", "reset"): lambda world: (account(world.member), {"step": "reset"}),
    ("accounts_account_change", "disable"): lambda world: (account(world.member), {"step": "disable"}),
    ("accounts_account_change", "enable"): lambda world: (disabled(world, world.member), {"step": "enable"}),
    ("accounts_account_change", "rename"): lambda world: (account(world.member), {"step": "rename", "name": "张珊"}),
    ("accounts_account_change", "demote"): lambda world: (account(world.colleague), {"step": "demote"}),
    ("accounts_account_change", "promote"): lambda world: (account(world.member), {"step": "promote", **WHY}),
    ("accounts_account_change", "move"): lambda world: (account(world.member), {"step": "move", "uscc": OTHER_USCC, **WHY}),
    ("accounts_account_change", "operator_disable"): lambda world: (account(third(world)), {"step": "operator_disable", **WHY}),
    ("accounts_account_change", "operator_enable"): lambda world: (
        disabled_operator(third(world)), {"step": "operator_enable", **WHY}
    ),
    ("accounts_account_change", "enrol"): lambda world: (account(third(world)), {"step": "enrol", **WHY}),
    ("accounts_account_change", "lock_only"): lambda world: (account(world.member), {"step": "lock_only"}),
    ("accounts_account_change", "lock_only_less"): lambda world: (
        account(world.member), {"step": "lock_only_less", "value": "off", **WHY}
    ),
    ("accounts_account_change", "erase"): lambda world: (erasable(world), {"step": "erase", **WHY}),
    ("accounts_account_change", "take_contact"): lambda world: (
        account(world.member), {"step": "take_contact", "contact": str(contact(world.member).pk), **WHY}
    ),
    ("accounts_account_change", "show_name"): lambda world: (account(world.member), {"step": "show_name"}),
    ("account_new", ""): lambda world: ("/console/accounts/new/", {"username": "neu", "name": "新", "uscc": "", "role": "member"}),
    ("organisations_organisation_change", "disable"): lambda world: (organisation_page(world), {"step": "disable"}),
    ("organisations_organisation_change", "enable"): lambda world: (closed(world), {"step": "enable"}),
    ("organisations_organisation_change", "lock_only"): lambda world: (
        organisation_page(world), {"step": "lock_only"}
    ),
    ("organisations_organisation_change", "lock_only_less"): lambda world: (
        organisation_page(world), {"step": "lock_only_less", "value": "off", **WHY}
    ),
    ("organisations_organisation_change", "rename"): lambda world: (
        organisation_page(world), {"step": "rename", "name": "新名称有限公司", "version": 1}
    ),
    ("organisations_organisation_change", "code"): lambda world: (
        organisation_page(world), {"step": "code", "uscc": USCC, "name": "新名称有限公司", "version": 1, **WHY}
    ),
    ("organisations_organisation_change", "merge"): lambda world: (
        organisation_page(world), {"step": "merge", "uscc": OTHER_USCC, "version": 1, **WHY}
    ),
    ("organisation_new", ""): lambda world: ("/console/organisations/new/", {"name": "新单位", "uscc": USCC, "kind": "supplier"}),
    ("locks_binding_change", "unbind"): lambda world: (
        f"/console/locks/binding/{world.binding.pk}/change/", {"step": "unbind", **WHY}
    ),
    ("locks_binding_change", "suspend"): lambda world: (
        f"/console/locks/binding/{world.binding.pk}/change/", {"step": "suspend", **WHY}
    ),
    ("locks_pendingbinding_change", "withdraw"): lambda world: (
        f"/console/locks/pendingbinding/{claim(world).pk}/change/", {"step": "withdraw"}
    ),
    ("import_upload", ""): lambda world: ("/console/imports/upload/", {"kind": "accounts", "list": people()}),
    ("import_run", "propose"): lambda world: (f"/console/imports/{imported(world).pk}/", {"step": "propose", **WHY}),
    ("import_run", "discard"): lambda world: (f"/console/imports/{imported(world).pk}/", {"step": "discard"}),
    ("import_report", ""): lambda world: (f"/console/imports/{imported(world).pk}/report/?format=csv", None),
    ("downloads_driverpackage_upload", ""): lambda world: ("/console/downloads/driverpackage/upload/", {"package": uploaded()}),
    ("downloads_driverpackage_change", "publish"): lambda world: (
        f"/console/downloads/driverpackage/{package().pk}/change/",
        {"step": "publish", "checked": DriverPackage.objects.get().sha256, **WHY},
    ),
    ("downloads_driverpackage_change", "withdraw"): lambda world: (
        f"/console/downloads/driverpackage/{package(published=True).pk}/change/", {"step": "withdraw", **WHY}
    ),
    ("egress", "add"): lambda world: (
        "/console/egress/", {"step": "add", "purpose": "test", "url": "https://gateway.example/", **WHY}
    ),
    ("egress", "remove"): lambda world: ("/console/egress/", {"step": "remove", "destination": str(destination().pk)}),
    ("outbox", "send_again"): lambda world: ("/console/outbox/", {"step": "send_again", "message": str(unsent().pk)}),
}  # fmt: skip
EXAMPLES |= {
    (f"{app}_{model}_export", ""): lambda world, app=app, model=model: (f"/console/{app}/{model}/export/?format=csv", None)
    for app, model in (
        ("accounts", "account"), ("organisations", "organisation"), ("locks", "lock"), ("locks", "binding"),
        ("locks", "pendingbinding"),
        ("downloads", "driverpackage"), ("audit", "auditevent"),
    )
}  # fmt: skip
KEYS = [(page, step) for page, steps in ACTS.items() for step in steps]


def test_every_act_has_an_example():
    assert set(KEYS) == set(EXAMPLES)


def events() -> dict[str, int]:
    found: dict[str, int] = {}
    for event in AuditEvent.objects.filter(reason="").values_list("event", flat=True):
        found[event] = found.get(event, 0) + 1
    return found


@pytest.mark.parametrize("key", KEYS, ids=[f"{page}-{step}" for page, step in KEYS])
def test_an_act_takes_its_operators_and_leaves_its_event(place, first, second, key):
    act = ACTS[key[0]][key[1]]
    address, form = EXAMPLES[key](place)
    before = events()
    answer = first.get(address) if form is None else first.post(address, form, follow=True)
    assert answer.status_code == 200
    after = events()
    if act.operators == 1 or key[0] == "approval":  # somebody else proposed already
        assert after.get(act.event, 0) == before.get(act.event, 0) + 1
        return
    assert after.get(act.event, 0) == before.get(act.event, 0), "one operator did what takes two"
    assert after[Event.APPROVAL_PROPOSED] == 1
    approval = Approval.objects.get(state=ApprovalState.PENDING)
    decide = {"step": "approve", "version": approval.version, "sha256": approval.sha256}
    first.post(f"/console/approvals/{approval.pk}/", decide)
    assert events().get(act.event, 0) == before.get(act.event, 0)
    assert second.get(f"/console/approvals/{approval.pk}/").status_code == 200
    second.post(f"/console/approvals/{approval.pk}/", decide, follow=True)
    assert events().get(act.event, 0) == before.get(act.event, 0) + 1
    assert AuditEvent.objects.filter(event=act.event).latest("id").actor == place.second.pk


SHOWN_AT = re.compile(r"(?<=/)(step|upload)/$")
"""What is taken off an address that takes posts alone: the page above it has the form."""


@pytest.mark.parametrize("key", [key for key in KEYS if not key[0].endswith(("_export", "_report"))], ids="-".join)
def test_a_page_has_a_form_that_asks_for_all_that_its_act_needs(place, first, key):
    address, sent = EXAMPLES[key](place)
    html = first.get(SHOWN_AT.sub("", address)).content.decode()
    forms = [
        set(re.findall(r'\bname="([^"]+)"', form))
        for form in re.findall(r"<form\b.*?</form>", html, re.DOTALL)
        if not sent.get("step") or f'value="{sent["step"]}"' in form
    ]
    assert any(names >= set(sent) for names in forms), forms


def test_sec04_an_operator_is_not_put_away_by_the_one_who_needs_their_consent(world, first):
    first.post(account(world.second), {"step": "disable"})
    first.post(account(world.second), {"step": "operator_disable", **WHY})
    assert Account.objects.get(pk=world.second.pk).is_active
    assert AuditEvent.objects.filter(event=Event.ACCOUNT_DISABLED, reason="SECOND_OPERATOR_NEEDED").count() == 1


def test_sec04_djangos_own_groups_and_users_are_not_there(first):
    for address in ("/console/auth/group/", "/console/auth/group/add/", "/console/auth/"):
        assert first.get(address).status_code == 404, address
        assert first.post(address, {"name": "g"}).status_code == 404, address


def test_a_table_row_names_an_event_and_one_or_two_operators():
    for steps in ACTS.values():
        for act in steps.values():
            assert act.operators in (1, 2)
            assert isinstance(act.event, Event)


@pytest.mark.postgresql  # which keeps no NUL
@pytest.mark.parametrize(
    ("key", "field"),
    [
        (("accounts_account_change", "move"), "uscc"),
        (("accounts_account_change", "take_contact"), "contact"),
        (("organisations_organisation_change", "merge"), "uscc"),
        (("organisations_organisation_change", "code"), "name"),
        (("downloads_driverpackage_change", "withdraw"), "reason"),
    ],
)
def test_a_text_that_no_database_keeps_is_refused_in_words(place, first, key, field):
    address, form = EXAMPLES[key](place)
    before = events()
    answer = first.post(address, {**form, field: "a\0b"}, follow=True)
    assert answer.status_code == 200
    assert 'class="alert bad' in answer.content.decode()
    assert events() == before


def test_nothing_is_done_by_a_step_that_no_table_names(place, first):
    before = AuditEvent.objects.filter(reason="").count()
    for address in (
        account(place.member),
        organisation_page(place),
        step_page(place),
        f"/console/locks/binding/{place.binding.pk}/change/",
    ):
        for step in ("", "step_reset", "__init__", "show", secrets.token_hex(4)):
            assert first.post(address, {"step": step, **WHY}, follow=True).status_code == 200
    assert AuditEvent.objects.filter(reason="").count() == before
    assert place.provider.state == ProviderState.ENABLED
