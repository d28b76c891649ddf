"""``calock manage provider propose-rules``: what an operator reads, and that it is what the rules take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from django.core.management import CommandError, call_command
from worlds.register import AT_START

from calock.core.policy import Policy
from calock.demo import pki
from calock.server.providers.models import Provider
from calock.server.providers.services import clean_rules

pytestmark = pytest.mark.django_db

SERVER = "1.3.6.1.5.5.7.3.1"
DATES = {"not_before": AT_START, "not_after": pki.years(AT_START, 20)}


@pytest.fixture(scope="module")
def ca() -> pki.Authority:
    return pki.make_root("样本 CA", "EC", **DATES)


def run(capsys, *arguments: object) -> dict:
    call_command("provider", "propose-rules", *map(str, arguments))
    return json.loads(capsys.readouterr().out)


def sample(ca: pki.Authority, folder: Path, name: str = "lock.der", **fields) -> Path:
    (folder / name).write_bytes(ca.issue_lock("张三", pki.make_key("EC"), **DATES, **fields))
    return folder / name


def test_l11_the_proposal_is_printed_with_its_consequences_and_the_rules_take_it(capsys, tmp_path, ca):
    answer = run(capsys, sample(ca, tmp_path, ekus=[SERVER]))
    assert answer["accepts_all"]
    assert answer["rules"] == {"ekus": ["1.3.6.1.5.5.7.3.2", SERVER]}
    assert clean_rules(answer["rules"]) == Policy(ekus=("1.3.6.1.5.5.7.3.2", SERVER)).to_json()
    (change,) = answer["changes"]
    assert change["key"] == "ekus"
    assert SERVER in change["zh"]
    assert SERVER in change["en"]
    assert [(item["reason"], item["has_path"]) for item in answer["samples"]] == [(None, False)]


def test_l11_a_chain_brings_its_own_ca_certificates(capsys, tmp_path, ca):
    lock = x509.load_der_x509_certificate(sample(ca, tmp_path).read_bytes())
    root = x509.load_der_x509_certificate(ca.certificate)
    (tmp_path / "chain.p7b").write_bytes(pkcs7.serialize_certificates([root, lock], Encoding.DER))
    answer = run(capsys, tmp_path / "chain.p7b")
    assert [(item["reason"], item["has_path"]) for item in answer["samples"]] == [(None, True)]


def test_l11_a_providers_rules_and_cas_are_where_the_proposal_starts(capsys, tmp_path, world, authority):
    Provider.objects.filter(pk=world.provider.pk).update(rules=clean_rules({"grace_days": 3}))
    answer = run(capsys, sample(authority, tmp_path, ekus=[SERVER]), "--provider", world.provider.code)
    assert answer["rules"] == {"ekus": ["1.3.6.1.5.5.7.3.2", SERVER], "grace_days": 3}
    assert answer["samples"][0]["has_path"]


def test_l03_no_personal_number_is_printed(capsys, tmp_path, ca):
    number = "11010519491231002X"
    lock = ca.issue_lock(f"{number}_张三", pki.make_key("EC"), **DATES, extra=[pki.text_extension("1.2.3.4", number)])
    (tmp_path / "lock.der").write_bytes(lock)
    call_command("provider", "propose-rules", str(tmp_path / "lock.der"))
    printed = capsys.readouterr().out
    assert number not in printed
    assert json.loads(printed)["samples"][0]["holder_kind"] == "id_card"


@pytest.mark.parametrize("content", [None, b"", b"a letter", b"\x30\x03abc", b"\x30" * (1024 * 1024 + 1)])
def test_l11_a_sample_that_cannot_be_read_is_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(CommandError) as caught:
        call_command("provider", "propose-rules", str(tmp_path / "file"))
    assert "\n" not in str(caught.value)


def test_l11_an_unknown_provider_is_one_line(tmp_path, ca):
    with pytest.raises(CommandError, match="there is no provider nowhere"):
        call_command("provider", "propose-rules", str(sample(ca, tmp_path)), "--provider", "nowhere")
