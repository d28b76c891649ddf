"""Passwords of another system: their hashes are good for one login, and are ours afterwards. No fast digest is kept bare."""

from __future__ import annotations

import base64
import hashlib

import bcrypt
import pytest
from cryptography.hazmat.primitives import hashes
from django.contrib.auth.hashers import get_hasher, make_password
from passlib.hash import md5_crypt, sha256_crypt, sha512_crypt
from worlds.browser import Browser, context
from worlds.rows import account, rewrite

from calock.core.refusals import Refusal
from calock.server.accounts.foreign_passwords import read_foreign
from calock.server.accounts.models import Account
from calock.server.login.services import login_with_password

pytestmark = pytest.mark.django_db
PASSWORD = "Chang-Cheng-7-里"
OCTETS = PASSWORD.encode()
SALT = b"\x01salt\xff"


def sm3(octets: bytes) -> str:
    made = hashes.Hash(hashes.SM3())
    made.update(octets)
    return made.finalize().hex()


def ldap(name: str, digest: str, salt: bytes = b"") -> str:
    return f"{{{name}}}{base64.b64encode(hashlib.new(digest, OCTETS + salt).digest() + salt).decode()}"


SLOW = {
    "django pbkdf2": get_hasher("pbkdf2_sha256").encode(PASSWORD, "abcdefgh", 1000),
    "django pbkdf2 sha1": get_hasher("pbkdf2_sha1").encode(PASSWORD, "abcdefgh", 1000),
    "django bcrypt": f"bcrypt${bcrypt.hashpw(OCTETS, bcrypt.gensalt(4)).decode()}",
    "django bcrypt sha256": "bcrypt_sha256$"
    + bcrypt.hashpw(hashlib.sha256(OCTETS).hexdigest().encode(), bcrypt.gensalt(4)).decode(),
    "django scrypt": get_hasher("scrypt").encode(PASSWORD, "abcdefgh", 1024),
    "spring and php bcrypt": bcrypt.hashpw(OCTETS, bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"),
    "argon2": make_password(PASSWORD, hasher="argon2").replace("argon2$", "$", 1).replace("t=1", "t=1"),
}
FAST = {
    "ldap sha": ldap("SHA", "sha1"),
    "ldap ssha": ldap("SSHA", "sha1", SALT),
    "ldap ssha256": ldap("SSHA256", "sha256", SALT),
    "ldap ssha512": ldap("ssha512", "sha512", SALT),
    "ldap md5": ldap("MD5", "md5"),
    "ldap smd5": ldap("SMD5", "md5", SALT),
    "ldap crypt": "{CRYPT}" + sha512_crypt.using(rounds=5000).hash(PASSWORD),
    "crypt 1": md5_crypt.hash(PASSWORD),
    "crypt 5": sha256_crypt.using(rounds=1000).hash(PASSWORD),
    "django md5": f"md5$abc${hashlib.md5(b'abc' + OCTETS).hexdigest()}",
    "plain md5": (hashlib.md5(OCTETS).hexdigest().upper(), "MD5", ""),
    "sha256 after": (hashlib.sha256(OCTETS + b"xyz").hexdigest(), "sha256(password+salt)", "xyz"),
    "sha512 with the longest salt": (hashlib.sha512(b"x" * 64 + OCTETS).hexdigest(), "sha512(salt+password)", "x" * 64),
    "sm3 before": (sm3(b"xyz" + OCTETS), "SM3 (salt + password)", "xyz"),
}


def kept(form) -> str:
    text, algorithm, salt = form if isinstance(form, tuple) else (form, "", "")
    return read_foreign(text, algorithm=algorithm, salt=salt).form()


@pytest.mark.parametrize("form", [*SLOW.values(), *FAST.values()], ids=[*SLOW, *FAST])
def test_another_systems_hash_is_good_for_one_login_and_is_ours_afterwards(form):
    encoded = kept(form)
    member = account("zhangsan", "张三")
    rewrite(member, password=encoded)
    with pytest.raises(Refusal, match="CREDENTIALS_WRONG"):
        login_with_password(username="zhangsan", password=PASSWORD + "x", context=context())
    assert Account.objects.get().password == encoded
    login_with_password(username="zhangsan", password=PASSWORD, context=context())
    now = Account.objects.get()
    assert now.password.startswith(make_password("x").rsplit("$", 2)[0])
    assert not now.must_change_password
    login_with_password(username="zhangsan", password=PASSWORD, context=context())
    assert Account.objects.get().password == now.password


@pytest.mark.parametrize("form", FAST.values(), ids=FAST)
def test_no_fast_digest_is_kept_bare(form):
    text = form[0] if isinstance(form, tuple) else form
    digest = text.rpartition("}")[2].rpartition("$")[2]
    encoded = kept(form)
    assert len(encoded) <= Account._meta.get_field("password").max_length
    assert digest not in encoded
    assert digest.lower() not in encoded
    assert "$argon2$argon2id$" in encoded


def test_a_password_that_would_not_be_accepted_here_is_to_be_changed_after_the_login():
    member = account("zhangsan", "张三")
    rewrite(member, password=kept((hashlib.md5(b"123456").hexdigest(), "md5", "")))
    browser = Browser()
    login_with_password(username="zhangsan", password="123456", context=context())
    assert Account.objects.get().must_change_password
    browser.enter(Account.objects.get())
    assert browser.client.get("/sessions/")["Location"].startswith("/password/")


@pytest.mark.parametrize(
    "form",
    [
        "",
        "Klartext",
        "{SSHA}xx",
        "{SSHA}!!!!",
        "{NTLM}AAAA",
        "$2b$31$" + "a" * 53,
        "$2b$10$kurz",
        "$2x$10$" + "a" * 53,
        "$6$rounds=999999999$abc$" + "a" * 86,
        "$6$$",
        "pbkdf2_sha256$999999999$abc$AAAA",
        "pbkdf2_sha256$abc",
        "scrypt$1048576$abc$8$1$AAAA",
        "scrypt$a$b",
        "$argon2id$v=19$m=9999999,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$nichts",
        "!unusable",
        "bcrypt$",
        ("abc", "md5", ""),
        (hashlib.md5(b"x").hexdigest(), "md5", "salt"),
        (hashlib.md5(b"x").hexdigest(), "md5(password+salt)", ""),
        (hashlib.md5(b"x").hexdigest(), "rot13", ""),
        (hashlib.md5(b"x").hexdigest(), "md5(password+salt)", "盐" * 22),
        "{SSHA}" + base64.b64encode(b"x" * 85).decode(),
        "argon2$argon2id$v=19$m=102400,t=2,p=8$" + "A" * 250,
    ],
)
def test_what_is_no_hash_or_would_cost_too_much_is_refused_in_words(form):
    with pytest.raises(ValueError, match=r"[一-鿿]"):
        kept(form)


@pytest.mark.parametrize("costs", ["m=131072,t=1,p=16384", "m=131072,t=10,p=1", "m=102400,t=2,p=9"])
def test_an_argon2_hash_that_would_take_too_many_threads_or_passes_is_refused(costs):
    with pytest.raises(ValueError, match="计算量超出允许的范围"):
        kept(f"$argon2id$v=19${costs}$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA")


def test_djangos_own_argon2_costs_are_taken_over():
    assert kept("argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA").startswith("argon2$argon2id$")
