"""What a CA login is measured against: the same login written by hand, with Starlette and asyncpg, and as little as can be.

It checks the challenge's MAC and expiry, the answer's signature and the certificate's, and writes the same rows but the receipt.
It knows one CA, no revocation, no provider's rules, no second site, no limits and no refusals in words.

Run by ``login_over_http.py`` as ``granian reference:app``; ``CALOCK_BENCH_CA`` is the issuing CA's certificate in DER as hex.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calock.core import libcrypto

ORIGIN = os.environ.get("CALOCK_BENCH_ORIGIN", "")
CA = bytes.fromhex(os.environ.get("CALOCK_BENCH_CA", ""))
CA_KEY = os.environ.get("CALOCK_BENCH_CA_KEY", "")
KEY = secrets.token_bytes(32)
FIND = """
SELECT c.id, c.lock_id, b.id, a.id, a.state, o.id, o.state FROM locks_lockcertificate c
JOIN providers_carecord r ON r.id = c.ca_record_id
LEFT JOIN locks_binding b ON b.lock_id = c.lock_id AND b.unbound_at IS NULL
LEFT JOIN accounts_account a ON a.id = b.account_id
LEFT JOIN organisations_organisation o ON o.id = a.organisation_id
WHERE r.spki_sha256 = $1 AND c.serial = $2
"""
SESSION = """
INSERT INTO calock_sessions_session (digest, account_id, site, method, lock_id, ip, user_agent, created_at, last_seen_at,
    expires_at, authenticated_at, lock_proved_at, proved_lock_id, mac, end_reason)
VALUES ($1, $2, 'shanxi', 'ca', $3, '127.0.0.1', $4, $5, $5, $6, $5, $5, $3, $7, '')
"""
AUDIT = """
INSERT INTO audit_auditevent (number, at, event, reason, site, actor, subject, organisation, lock, provider, ip, user_agent,
    details, mac)
VALUES ($1, $2, 'login:ca:succeeded', '', 'shanxi', $3, $4, $5, $6, $7, '127.0.0.1', $8, $9, $10)
"""


class Token(msgspec.Struct):
    unverifiedCertificate: str  # noqa: N815 - the wire's name
    algorithm: str
    signature: str


class Body(msgspec.Struct):
    challenge: str
    token: Token


decoder = msgspec.json.Decoder(Body)


def _mac(text: str) -> str:
    return hmac.digest(KEY, text.encode(), "sha256").hex()


def _der(raw: bytes) -> bytes:
    half = len(raw) // 2
    return utils.encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


def _spki_sm2(certificate: bytes) -> bytes:
    start = certificate.index(libcrypto.SPKI_PREFIX)
    return certificate[start : start + 91]


def _both_signatures_hold(token: Token, der: bytes, certificate: x509.Certificate, challenge: str) -> bool:
    raw = base64.b64decode(token.signature)
    if token.algorithm == "SM2":
        message = libcrypto.sm3(ORIGIN.encode()) + libcrypto.sm3(challenge.encode())
        return libcrypto.sm2_verify(_spki_sm2(der), _der(raw), message) and libcrypto.sm2_verify(
            _spki_sm2(CA), certificate.signature, certificate.tbs_certificate_bytes
        )
    message = hashlib.sha256(ORIGIN.encode()).digest() + hashlib.sha256(challenge.encode()).digest()
    key, ca_key = certificate.public_key(), x509.load_der_x509_certificate(CA).public_key()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(ca_key, ec.EllipticCurvePublicKey):
            key.verify(_der(raw), message, ec.ECDSA(hashes.SHA256()))
            ca_key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
        else:
            key.verify(raw, message, padding.PKCS1v15(), hashes.SHA256())  # type: ignore[call-arg, union-attr, arg-type]
            ca_key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), hashes.SHA256())  # type: ignore[call-arg, union-attr, arg-type]
    except InvalidSignature:
        return False
    return True


async def challenge(_: Request) -> Response:
    body = f"{int(time.time()) + 120}.{secrets.token_urlsafe(32)}"
    return Response(json.dumps({"challenge": f"{body}.{_mac(body)}"}), media_type="application/json")


async def login(request: Request) -> Response:
    body = decoder.decode(await request.body())
    text, _, mac = body.challenge.rpartition(".")
    if not hmac.compare_digest(mac, _mac(text)) or int(text.split(".")[0]) < time.time():
        return Response("challenge", 403)
    der = base64.b64decode(body.token.unverifiedCertificate)
    certificate = x509.load_der_x509_certificate(der)
    if not _both_signatures_hold(body.token, der, certificate, body.challenge):
        return Response("signature", 403)
    cookie = secrets.token_urlsafe(32)
    if not await _enter(request, body.challenge, f"{certificate.serial_number:x}", cookie):
        return Response("not bound", 403)
    response = Response(b'{"next":"/apps/"}', media_type="application/json")
    response.set_cookie("calock", cookie, httponly=True, samesite="lax")
    return response


async def _enter(request: Request, text: str, serial: str, cookie: str) -> bool:
    now, agent = datetime.now(UTC), request.headers.get("user-agent", "")
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute("INSERT INTO challenges_spentchallenge (digest) VALUES ($1)", _sha256(text))
        found = await connection.fetchrow(FIND, CA_KEY, serial)
        if found is None or found[4] != "active" or found[6] not in (None, "active"):
            return False
        session = (_sha256(cookie), found[3], found[1], agent, now, now + timedelta(hours=12))
        await connection.execute(SESSION, *session, _mac(repr(session)))
        row = (uuid.uuid4().hex[:26], now, found[3], found[2], found[5], found[1], "lianxi", agent, "{}")
        await connection.execute(AUDIT, *row, _mac(repr(row)))
    return True


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@asynccontextmanager
async def _pool(application: Starlette) -> Any:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=4) as application.state.pool:
        yield


app = Starlette(
    routes=[
        Route("/api/challenge", challenge, methods=["POST"]),
        Route("/api/login", login, methods=["POST"]),
        Route("/healthz", lambda _: Response("ok")),
    ],
    lifespan=_pool,
)
