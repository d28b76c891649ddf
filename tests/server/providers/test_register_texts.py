"""What the register's texts may be: codes, names, addresses, and how many rows of a kind there may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds.register import AT_START

from calock.core.refusals import Reason, Refusal
from calock.demo import pki
from calock.server.providers.anchors import propose_ca
from calock.server.providers.links import propose_links
from calock.server.providers.models import Provider
from calock.server.providers.services import LINK_FIELDS, create_provider, edit_provider, propose_trust
from calock.server.providers.validators import ascii_address

pytestmark = pytest.mark.django_db

hosts = st.sampled_from(
    ["ca.example", "山西.中国", "CA.Example.", "10.0.0.1", "[2001:db8::1]", "localhost", "xn--", "a..b", "u@ca.example", "", "ß.de"]
)
addresses = st.one_of(
    st.builds(
        lambda scheme, host, port, rest: f"{scheme}{host}{port}/{rest}",
        st.sampled_from(["http://", "https://", "HTTPS://", "ftp://", "//", "javascript:"]),
        hosts,
        st.sampled_from(["", ":8080", ":0", ":99999", ":x"]),
        st.one_of(st.sampled_from(["", "a.crl", "吊销 列表.crl", "?q=值&x=%zz#头", "a|b^c", "%e4%b8"]), st.text(max_size=40)),
    ),
    st.text(max_size=30),
    st.just("http://ca.example/" + "x" * 500),
)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://山西.中国/", "https://xn--rht816h.xn--fiqs8s/"),
        (" HTTP://CA.Example.:8080/a ", "http://ca.example:8080/a"),
        ("http://ca.example/吊销.crl?类=1#头", "http://ca.example/%E5%90%8A%E9%94%80.crl?%E7%B1%BB=1#%E5%A4%B4"),
        ("http://[2001:db8::1]/%20a", "http://[2001:db8::1]/%20a"),
        ("http://ca.example", "http://ca.example"),
    ],
)
def test_addresses_are_kept_in_ascii(typed, kept):
    assert ascii_address(typed) == kept
    assert ascii_address(kept) == kept


@given(addresses)
def test_an_address_is_ascii_or_refused_and_stays_as_it_is(text):
    try:
        kept = ascii_address(text)
    except ValueError:
        return
    assert ascii_address(kept) == kept
    assert kept.isascii()


@pytest.mark.parametrize("code", ["Shanxi_CA", "SHANXI", "a_b", "-a", "山西", "x" * 51, "", "a\n"])
def test_codes_of_another_form_are_refused(world, code):
    with pytest.raises(Refusal, match=f"^{Reason.REQUEST_MALFORMED}"):
        create_provider(code=code, values={"name": "n", "short_name": "s"}, by=world.first, context=None)


@pytest.mark.parametrize("field", ["website", "renew_url", "unlock_url"])
@pytest.mark.parametrize("url", ["ftp://x.cn/a", "javascript:alert(1)", "//x.cn", "x.cn", "http://u:p@x.cn/", "http://"])
def test_links_of_another_form_are_refused(world, field, url):
    links = {"hotline": "", "website": "", "renew_url": "", "unlock_url": "", field: url}
    change = {"version": world.provider.version, "values": links, "reason": "r", "by": world.first, "context": None}
    with pytest.raises(Refusal, match=f"^{Reason.REQUEST_MALFORMED}"):
        propose_links(provider=world.provider, **change)


@pytest.mark.parametrize("field", LINK_FIELDS)
def test_sec04_one_operator_changes_no_link_that_people_are_sent_to(world, field):
    for way in (
        lambda: edit_provider(
            provider=world.provider, version=world.provider.version, values={field: "1"}, by=world.first, context=None
        ),
        lambda: create_provider(code="neu", values={"name": "n", "short_name": "s", field: "1"}, by=world.first, context=None),
    ):
        try:
            made = way()
        except Refusal as refusal:
            assert refusal.reason == Reason.REQUEST_MALFORMED
        else:
            assert getattr(made, field) == ""
    assert getattr(Provider.objects.get(pk=world.provider.pk), field) == getattr(world.provider, field)


@pytest.mark.parametrize("sites", [["X"], ["a b"], [""], ["../a"], [f"s{n}" for n in range(51)]])
def test_sites_of_another_form_are_refused(world, sites):
    change = {"state": "enabled", "sites": sites, "rules": {}, "allow_expired_binding": False, "reason": "r"}
    with pytest.raises(Refusal, match=f"^{Reason.REQUEST_MALFORMED}"):
        propose_trust(provider=world.provider, version=world.provider.version, **change, by=world.first, context=None)


def test_a_provider_has_so_many_cas_and_no_more(world, monkeypatch):
    monkeypatch.setattr("calock.server.providers.anchors.MAX_CAS", 2)
    root = pki.make_root("第三个", "EC", not_before=AT_START, not_after=pki.years(AT_START, 20)).certificate
    with pytest.raises(Refusal, match="CA 证书最多 2 个"):
        propose_ca(provider=world.provider, certificate=root, anchor=True, group="", reason="r", by=world.first, context=None)


def test_a_provider_with_such_a_code_can_still_be_edited(world):
    old = Provider.objects.create(code="Shanxi_CA", name="山西", short_name="山西", state="suspended")
    edit_provider(provider=old, version=old.version, values={"legal_name": "1"}, by=world.first, context=None)
    assert Provider.objects.get(code="Shanxi_CA").legal_name == "1"
