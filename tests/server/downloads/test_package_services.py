"""Operators upload, publish and withdraw; nothing that is not ours gets in, nothing half-taken stays behind."""

from __future__ import annotations

import hashlib

import pytest
from worlds.browser import context
from worlds.driver_packages import make_package, package_key

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.audit.models import AuditEvent
from calock.server.downloads import store
from calock.server.downloads.models import DriverPackage, PackageState
from calock.server.downloads.services import publish_package, upload_package, withdraw_package
from calock.server.providers.models import Provider


def files_in(directory):
    return [path for path in directory.rglob("*") if path.is_file()]


def refusal_of(call, **arguments) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call(**arguments)
    return caught.value


def test_upload_takes_what_the_manifest_says(upload, package_store):
    Provider.objects.create(code="shanxi-huren", name="山西CA互认平台", short_name="山西 CA")
    data = make_package()
    package = upload(data, publish=False)
    assert (package.code, package.version, package.os, package.arch, package.state) == (
        "shanxi-huren", "1.0.0", "linux", "x86_64", PackageState.DRAFT,
    )  # fmt: skip
    assert package.size == len(data)
    assert [provider.code for provider in package.providers.all()] == ["shanxi-huren"]
    assert store.path_of(package.sha256).read_bytes() == data
    assert len(package.sm3) == 64
    assert package.sm3 != package.sha256


def test_sm3_is_the_real_digest(upload):
    if "sm3" not in hashlib.algorithms_available:
        pytest.skip("this Python's hashlib has no SM3 to compare with")
    data = make_package()
    assert upload(data).sm3 == hashlib.new("sm3", data).hexdigest()


@pytest.mark.parametrize(
    "data",
    [b"", b"MZ" + b"\0" * 3000, make_package(key=package_key("stranger")), make_package(beside={"x": b"1"}), make_package() + b"x"],
    ids=["empty", "program", "stranger", "extra-file", "trailing"],
)
def test_a_refused_upload_leaves_no_file_and_no_row(package_store, operator, data):
    """A83: refused before unpacking, and the refusal says why."""
    refusal = refusal_of(upload_package, chunks=[data], by=operator, context=None)
    assert refusal.reason is Reason.PACKAGE_REFUSED
    assert refusal.facts["why"]
    assert files_in(package_store) == []
    assert not DriverPackage.objects.exists()


def test_an_upload_stops_at_the_limit(package_store, operator):
    sent = []

    def endless():
        while True:
            sent.append(1)
            yield b"\0" * (8 << 20)

    assert refusal_of(upload_package, chunks=endless(), by=operator, context=None).reason is Reason.PACKAGE_REFUSED
    assert len(sent) == 26  # 200 MB in pieces of 8, and the one too many
    assert files_in(package_store) == []


def test_without_a_configured_key_nothing_is_taken(package_store, operator):
    (package_store.parent / "package-keys.txt").unlink()
    assert "no package key" in refusal_of(upload_package, chunks=[make_package()], by=operator, context=None).detail


@pytest.mark.parametrize("role", [Role.MEMBER, Role.ORGANISATION_ADMIN])
def test_only_operators(upload, role):
    other = Account.objects.create_account(username=f"x-{role}", name="某人", role=role)
    package = upload(publish=False)
    for call, arguments in (
        (upload_package, {"chunks": [make_package()]}),
        (publish_package, {"package": package}),
        (withdraw_package, {"package": package, "reason": "x"}),
    ):
        assert refusal_of(call, by=other, context=None, **arguments).reason is Reason.NOT_ALLOWED
    package.refresh_from_db()
    assert package.state == PackageState.DRAFT


def test_the_same_file_again_is_the_same_package(upload):
    assert upload(publish=False).pk == upload(publish=False).pk


def test_a_version_is_never_replaced(upload, operator):
    upload()
    other = make_package(changes="something else")
    assert "never replaced" in refusal_of(upload_package, chunks=[other], by=operator, context=None).detail


def test_the_same_upload_puts_a_lost_file_back(upload):
    package = upload()
    path = store.path_of(package.sha256)
    path.unlink()
    upload(publish=False)
    assert path.exists()


def test_publish_and_withdraw_are_recorded_with_their_actor(upload, operator):
    at = context(account=operator)
    package = upload(publish=False)
    publish_package(package=package, by=operator, context=at)
    withdrawn = withdraw_package(package=package, reason=" 安装失败 ", by=operator, context=at)
    assert (withdrawn.state, withdrawn.withdrawn_reason, withdrawn.released_at) == (PackageState.WITHDRAWN, "安装失败", at.at)
    rows = AuditEvent.objects.filter(subject=package.pk).order_by("id")
    assert [row.event for row in rows] == ["package:uploaded", "package:published", "package:withdrawn"]
    assert {row.actor for row in rows} == {operator.pk}
    assert {row.details["sha256"] for row in rows} == {package.sha256}


def test_withdrawn_is_for_good(upload, operator):
    package = withdraw_package(package=upload(), reason="坏了", by=operator, context=None)
    assert refusal_of(publish_package, package=package, by=operator, context=None).reason is Reason.VERSION_CHANGED
    assert refusal_of(withdraw_package, package=package, reason="again", by=operator, context=None).reason is Reason.VERSION_CHANGED


def test_withdrawing_needs_a_reason(upload, operator):
    refusal = refusal_of(withdraw_package, package=upload(), reason="  ", by=operator, context=None)
    assert refusal.reason is Reason.REASON_MISSING


def test_a_draft_that_was_swapped_on_disk_is_not_published(upload, operator):
    """A84."""
    package = upload(publish=False)
    path = store.path_of(package.sha256)
    path.chmod(0o600)
    path.write_bytes(b"x" * package.size)
    assert refusal_of(publish_package, package=package, by=operator, context=None).reason is Reason.PACKAGE_DAMAGED


def test_newest_is_by_number_and_by_site(upload):
    upload(version="1.9.0")
    newest = upload(version="1.10.0")
    upload(version="1.11.0", sites=["zcy"])
    assert [package.pk for package in DriverPackage.objects.for_site("shanxi")] == [newest.pk]
