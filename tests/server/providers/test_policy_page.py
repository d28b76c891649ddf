"""docs/policy.md names every key that rules may have, and no other, each with its real default; so do the vendor folders."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from calock.core.policy import IdentityRule, IdentityRules, Policy, RevocationRules
from calock.wire.vendors import SHIPPED, read_vendors

PAGE = (Path(__file__).parents[3] / "docs" / "policy.md").read_text("utf-8")
RULE = re.compile(r"^\|---\|---\|---\|$", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| ", re.MULTILINE)
TABLES = [dict(ROW.findall(table)) for table in RULE.split(PAGE)[1:]]
DEFAULTS = Policy().to_json()


def default_of(cls: type, name: str) -> object:
    if cls is IdentityRule:
        (found,) = [item for item in fields(cls) if item.name == name]
        return found.default
    whole = {Policy: DEFAULTS, IdentityRules: DEFAULTS["identity"], RevocationRules: DEFAULTS["revocation"]}[cls]
    return whole[name]


@pytest.mark.parametrize(("place", "cls"), [*enumerate((Policy, IdentityRules, IdentityRule, RevocationRules))])
def test_the_page_names_each_key_once_with_its_default(place, cls):
    table = TABLES[place]
    assert list(table) == [item.name for item in fields(cls)]
    for name, said in table.items():
        real = default_of(cls, name)
        if said == "see below":
            assert isinstance(real, dict)
        elif said == "must be given":
            assert real is MISSING
        else:
            assert json.loads(said.strip("`")) == real, name


def test_the_page_has_no_further_tables():
    assert len(TABLES) == 4
    assert len(re.findall(r"^\| `", PAGE, re.MULTILINE)) == sum(map(len, TABLES))


@pytest.mark.parametrize("code", read_vendors())
def test_the_rules_of_every_vendor_folder_are_rules(code):
    """No folder opens what the page warns of."""
    policy = Policy.from_json(read_vendors()[code].rules)
    written = tomllib.loads((SHIPPED / code / "vendor.toml").read_text("utf-8"))["rules"]
    assert set(written) <= set(TABLES[0])
    assert (policy.grace_days, policy.revocation.mode, policy.revocation.emergencies, policy.legacy) == (0, "require", (), ())
    assert policy.hardware_policies == (), "a practice lock is a file"
