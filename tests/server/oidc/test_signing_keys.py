"""The keys that sign tokens: announced before they sign, published while they verify, and under seal."""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest
from django.utils import timezone
from worlds import relying

from calock.server.applications.installation import install_application
from calock.server.oidc import keys
from calock.server.oidc.models import KeyState, SigningKey

pytestmark = pytest.mark.django_db


def test_keys_are_announced_a_day_before_they_sign_and_verify_after(rp, by_password, monkeypatch):
    monkeypatch.setattr(keys, "ALGORITHMS", ("ES256",))
    rp.application = install_application(relying.wish(id_token_alg="ES256"))
    first = rp.enter(by_password)["id_token"]
    kid, start = jwt.get_unverified_header(first)["kid"], timezone.now()
    rp.server.get("/oidc/jwks")

    def published() -> set[str]:
        return {key["kid"] for key in rp.server.get("/oidc/jwks").json()["keys"] if key["alg"] == "ES256"}

    before = published()
    assert keys.turn_keys(at=start + timedelta(days=1)) == 0
    assert keys.turn_keys(at=start + timedelta(days=89, hours=1)) > 0
    announced = published()
    assert len(announced) == 2
    assert jwt.get_unverified_header(rp.enter(by_password)["id_token"])["kid"] == kid, "it does not sign yet"
    keys.turn_keys(at=start + timedelta(days=91))
    assert published() == announced > before, "the old one still verifies"
    keys.turn_keys(at=start + timedelta(days=181))
    keys.turn_keys(at=start + timedelta(days=183))
    assert not before & published()
    assert not bytes(SigningKey.objects.filter(alg="ES256", state=KeyState.RETIRED).get().sealed), "a retired key is gone"


def test_a71_a_key_that_somebody_wrote_into_the_table_is_not_published(rp):
    before = rp.server.get("/oidc/jwks").json()
    at = timezone.now()
    for state, sealed in ((KeyState.PREVIOUS, b""), (KeyState.NEXT, SigningKey.objects.get(alg="ES256").sealed)):
        SigningKey.objects.create(
            kid=f"evil {state}", site="shanxi", alg="ES256", state=state, sealed=sealed, created_at=at, state_since=at
        )
    assert rp.server.get("/oidc/jwks").json() == before


def test_signing_keys_open_under_a_former_secret_and_are_sealed_anew(rp, by_password, settings):
    rp.enter(by_password)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another " * 8, [settings.SECRET_KEY]
    found = keys.rekey()
    assert (found.failed, found.done) == ([], SigningKey.objects.count())
    keys._opened.cache_clear()
    settings.SECRET_KEY_FALLBACKS = []
    assert {keys.signing_key("shanxi", alg)[0] for alg in keys.ALGORITHMS} == set(SigningKey.objects.values_list("kid", flat=True))
