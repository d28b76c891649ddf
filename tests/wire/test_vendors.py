"""A CA vendor is one folder: strictly read, whole, and an operator's own stand beside those of the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from calock.wire.folders import DefinitionError
from calock.wire.vendors import SHIPPED, library_names, read_vendor, read_vendors, vendor_folders

VENDORS = read_vendors()
TEXT = """
code = "jinan"
name = "济南 CA"
short_name = "济南 CA"

[rules]
algorithms = ["SM2"]

[libraries.pkcs11]
linux = ["libjinan_p11.so"]

[product]
title = "济南互认驱动"
sites = ["jinan"]
providers = ["jinan"]
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """An operator's folder of vendors, with one in it."""
    (tmp_path / "jinan").mkdir()
    (tmp_path / "jinan" / "vendor.toml").write_text(TEXT, "utf-8")
    (tmp_path / "jinan" / "vendor.pem").touch()
    return tmp_path


def refused(match: str):
    return pytest.raises(DefinitionError, match=match)


def test_the_vendors_of_both_platforms_are_there_and_each_driver_package_is_one_of_theirs():
    assert {code for code, vendor in VENDORS.items() if vendor.product} == {"shanxi-huren", "zcy-huren", "zhejiang-tiangu"}
    for vendor in VENDORS.values():
        assert vendor.product is None or set(vendor.product.providers) <= VENDORS.keys()


def test_an_operators_vendor_stands_beside_them(own):
    found = read_vendors(own)
    assert found.keys() - VENDORS.keys() == {"jinan"}
    assert "libjinan_p11.so" in library_names(found.values(), "pkcs11", "linux")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('code = "jinan"', 'code = "qingdao"', "jinan/vendor.toml: code 'qingdao' is not the name of its folder"),
        ('name = "济南 CA"\n', "", "jinan/vendor.toml: Object missing required field `name`"),
        ('name = "济南 CA"\n', "name = 1\n", r"jinan/vendor.toml: Expected `str`, got `int` - at `\$\.name`"),
        ('short_name = "济南 CA"', 'short_name = "济南 CA"\nhotlin = "1"', "unknown field `hotlin`"),
        ('algorithms = ["SM2"]', 'algorithms = ["DSA"]', "jinan/vendor.toml: rules: policy.algorithms"),
        ('algorithms = ["SM2"]', "algorithm = 1", "jinan/vendor.toml: rules: .*algorithm"),
        ("libjinan_p11.so", "../libjinan_p11.so", r"libraries\.pkcs11\.linux"),
        ("libjinan_p11.so", "/tmp/evil.so", r"libraries\.pkcs11\.linux"),
        ('title = "济南互认驱动"\n', "", r"missing required field `title` - at `\$\.product`"),
        ("[product]", "[product", "jinan/vendor.toml: "),
        ("[product]", '[[ca]]\nfile = "root.pem"\n[product]', "jinan/vendor.toml: ca.file: there is no root.pem"),
        (
            "[product]",
            '[[ca]]\nfile = "vendor.pem"\ninside = ["http://10.0.0.1/"]\n[product]',
            "ca.inside: an address of vendor.pem",
        ),
        ("[product]", '[[ca]]\nfile = "../root.pem"\n[product]', r"ca\[0\]\.file|ca\[\.\.\.\]\.file"),
    ],
)
def test_a_folder_that_makes_no_sense_is_refused_by_file_and_key(own, old, new, says):
    path = own / "jinan" / "vendor.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with refused(says):
        read_vendors(own)


def test_one_code_in_both_places_is_refused_with_both_named(own):
    (own / "jinan").rename(own / "bjca")
    with refused(f"{own}/bjca and {SHIPPED}/bjca have one name"):
        vendor_folders(own)


def test_a_folder_without_a_definition_and_a_place_without_a_folder_are_refused(own, tmp_path):
    (own / "jinan" / "vendor.toml").rename(own / "jinan" / "vendor.tml")
    with refused("jinan holds no vendor.toml"):
        vendor_folders(own)
    (tmp_path / "empty").mkdir()
    with refused("empty holds no folder"):
        vendor_folders(tmp_path / "empty")
    with refused("nowhere cannot be read"):
        vendor_folders(tmp_path / "nowhere")


def test_what_is_hidden_is_no_vendor(own):
    (own / ".git").mkdir()
    assert read_vendor(vendor_folders(own)["jinan"]).code == "jinan"


def test_each_oid_of_the_programs_own_vendors_says_where_it_is_published(own, monkeypatch):
    text = TEXT.replace("[libraries", '[[rules.identity.holder]]\nsource = "oid"\noid = "1.2.3.4"\nkind = "uscc"\n[libraries', 1)
    path = own / "jinan" / "vendor.toml"
    path.write_text(text, "utf-8")
    read_vendor(own / "jinan")  # an operator's own folder may leave it out
    path.write_text(f'{text}\n[published]\n"1.2.3.5" = "GM/T 0015"\n', "utf-8")
    with refused(r"published: no identity rule reads 1\.2\.3\.5"):
        read_vendor(own / "jinan")
    monkeypatch.setattr("calock.wire.vendors.SHIPPED", own)
    path.write_text(text, "utf-8")
    with refused(r"published: nothing says where 1\.2\.3\.4 is published"):
        read_vendor(own / "jinan")


def test_no_shipped_rule_takes_a_holders_number_for_the_locks():
    """信任服务号 of GDCA, 证书实体唯一标识 of NETCA, and their like: a firm's second lock would show the first one's id."""
    assert {rule["source"] for vendor in VENDORS.values() for rule in vendor.rules["identity"]["lock"]} == {"device"}
