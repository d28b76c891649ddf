"""A site is data: strictly read, complete in both languages, found by host name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from calock.server.sites.names import check_names
from calock.server.sites.registry import SITES, load_profile, load_sites, site_for_host
from calock.wire.folders import DefinitionError
from calock.wire.vendors import read_vendors


@pytest.fixture
def two_sites(tmp_path: Path) -> Path:
    for code in ("shanxi", "zcy"):
        (tmp_path / code).mkdir()
        shutil.copy(SITES / code / "profile.toml", tmp_path / code)
    return tmp_path


def _change(root: Path, code: str, old: str, new: str) -> None:
    path = root / code / "profile.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_the_delivered_sites_load():
    assert list(load_sites(environ={}))[:2] == ["shanxi", "zcy"]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('code = "shanxi"', 'code = "shanxi"\nsurprise = 1', "surprise"),
        ('landing = "apps"', "", "landing"),
        ('landing = "apps"', 'landing = "somewhere"', "somewhere"),
        ('pin_entry = "page-then-window"', 'pin_entry = "server"', "server"),
        ("ca_icon = false", 'ca_icon = "no"', "ca_icon"),
        ('code = "shanxi"', 'code = "zcy"', "zcy"),
        ('page = "home"', 'page = "https://evil.example/"', "evil"),
        ('hosts = ["shanxi.localhost"', 'hosts = ["https://shanxi.localhost/"', "host name"),
        ("[names]", "[names", "profile.toml"),
        (', en = "Home" }', " }", "en"),
    ],
)  # fmt: skip
def test_a_profile_that_makes_no_sense_is_refused_by_name(two_sites: Path, old: str, new: str, named: str):
    _change(two_sites, "shanxi", old, new)
    with pytest.raises(DefinitionError, match=named):
        load_profile(two_sites / "shanxi", environ={})


def test_the_delivered_sites_and_vendors_name_what_is_there():
    check_names(load_sites(environ={}), read_vendors())


@pytest.mark.parametrize(
    ("site", "old", "new", "named"),
    [
        ("zcy", 'package = "zcy-huren"', 'package = "zcy-ca"', "site zcy: driver.package: no CA vendor 'zcy-ca'"),
        ("zcy", 'package = "zcy-huren"', 'package = "sheca"', "site zcy: driver.package: no CA vendor 'sheca'"),
        ("zcy", 'package = "zcy-huren"', 'package = "shanxi-huren"', "package of shanxi-huren is not for this site"),
        ("shanxi", "providers = []", 'providers = ["shanxi-ca"]', "site shanxi: providers: there is no CA vendor 'shanxi-ca'"),
        ("shanxi", "{ shanxi-huren =", "{ huren =", "site shanxi: bindings.provider_labels: there is no CA vendor 'huren'"),
    ],
)  # fmt: skip
def test_a_name_of_a_vendor_that_is_not_there_is_refused(two_sites: Path, site: str, old: str, new: str, named: str):
    _change(two_sites, site, old, new)
    with pytest.raises(DefinitionError, match=named):
        check_names(load_sites(two_sites, environ={}), read_vendors())


def test_a_site_that_a_vendor_names_is_there(two_sites: Path):
    shutil.rmtree(two_sites / "zcy")
    with pytest.raises(DefinitionError, match=r"CA vendor zcy-huren: product\.sites: there is no site 'zcy'"):
        check_names(load_sites(two_sites, environ={}), read_vendors())


def test_one_host_belongs_to_one_site(two_sites: Path):
    _change(two_sites, "zcy", 'hosts = ["zcy.localhost"]', 'hosts = ["zcy.localhost", "shanxi.localhost"]')
    with pytest.raises(DefinitionError, match=r"shanxi\.localhost belongs to"):
        load_sites(two_sites, environ={})


def test_exactly_one_site_is_the_default(two_sites: Path):
    _change(two_sites, "shanxi", "default = true", "default = false")
    with pytest.raises(DefinitionError, match="default"):
        load_sites(two_sites, environ={})


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """An operator's folder of sites, with one in it."""
    shutil.copytree(SITES / "zcy", tmp_path / "own" / "hubei")
    _change(tmp_path / "own", "hubei", 'code = "zcy"\norder = 2\nhosts = ["zcy', 'code = "hubei"\norder = 3\nhosts = ["hubei')
    return tmp_path / "own"


def test_an_operators_site_stands_beside_the_delivered_ones(own: Path):
    assert [*load_sites(environ={}, own=own)][-1] == "hubei"
    assert load_sites(environ={"CALOCK_HOSTS_HUBEI": "ca.hubei.example"}, own=own)["hubei"].hosts == ("ca.hubei.example",)


@pytest.mark.parametrize("name", ["profile.toml", "static/tokens.css", "static/emblem.svg"])
def test_an_operators_site_is_whole(own: Path, name: str):
    (own / "hubei" / name).unlink()
    with pytest.raises(DefinitionError, match=f"{own}/hubei holds no {name}"):
        load_sites(environ={}, own=own)


def test_a_code_in_both_places_is_refused_with_both_named(own: Path):
    (own / "hubei").rename(own / "zcy")
    with pytest.raises(DefinitionError, match=f"{own}/zcy and {SITES}/zcy have one name"):
        load_sites(environ={}, own=own)


def test_an_operators_site_takes_no_host_of_another(own: Path):
    _change(own, "hubei", 'hosts = ["hubei', 'hosts = ["zcy')
    with pytest.raises(DefinitionError, match=f"zcy.localhost belongs to zcy and to hubei.*{own}/hubei/profile.toml"):
        load_sites(environ={}, own=own)


def test_an_operator_sets_the_hosts(two_sites: Path):
    loaded = load_sites(two_sites, environ={"CALOCK_HOSTS_ZCY": "www.zcygov.cn, login.zcygov.cn"})
    assert loaded["zcy"].hosts == ("www.zcygov.cn", "login.zcygov.cn")
    with pytest.raises(DefinitionError, match="host name"):
        load_sites(two_sites, environ={"CALOCK_HOSTS_ZCY": "https://www.zcygov.cn"})


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"CALOCK_HOSTS_ZCY": ""}, "CALOCK_HOSTS_ZCY names no host"),
        ({"CALOCK_HOSTS_ZCY": " , "}, "CALOCK_HOSTS_ZCY names no host"),
        ({"CALOCK_HOSTS_ZCY": "a b"}, "CALOCK_HOSTS_ZCY: 'a b' is not a host name"),
        ({"CALOCK_HOSTS_SHANXI": "a.b", "CALOCK_HOSTS_ZCY": "A.b"}, "a.b belongs to shanxi and to zcy.*CALOCK_HOSTS_ZCY"),
        ({"CALOCK_HOSTS_ZHEJIANG": "a.b"}, "CALOCK_HOSTS_ZHEJIANG is no site's"),
    ],
)
def test_what_an_operator_sets_wrongly_is_refused_by_its_name(two_sites: Path, environ: dict[str, str], named: str):
    with pytest.raises(DefinitionError, match=named):
        load_sites(two_sites, environ=environ)


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("shanxi.localhost:8000", "shanxi"),
        ("ZCY.localhost", "zcy"),
        ("evil.example", None),
        ("shanxi.localhost.evil.example", None),
        ("", None),
    ],
)
def test_hosts_find_their_site(host: str, code: str | None):
    found = site_for_host(host)
    assert (found.code if found else None) == code
