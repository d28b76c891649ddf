"""The token endpoint, introspection and revocation: Authlib's rules over our rows.

Authlib parses, authenticates the application and holds RFC 6749, 7009, 7523, 7636 and 7662; what is issued and spent is ours.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Payload,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from calock.core.refusals import Refusal
from calock.server.applications.catalogue import application_of
from calock.server.applications.models import Application
from calock.server.grants.services import spend
from calock.server.oidc import tokens
from calock.server.oidc.claims import id_token, subject_of
from calock.server.oidc.models import Code, SpentAssertion, Token
from calock.server.tools.digests import digest
from calock.server.web.http import SiteRequest

AUTH_METHODS = ("private_key_jwt", "client_secret_basic", "client_secret_post")
ASSERTION_LIFE = timedelta(minutes=10)
"""How far ahead an assertion's end may lie: its id must be remembered until then."""
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}

log = structlog.get_logger(__name__)


class Client:
    """An application as Authlib asks about it."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.wish = application.wish

    def get_client_id(self) -> str:
        return self.wish.client_id

    def check_client_secret(self, secret: str) -> bool:
        """Compare with every digest, in constant time."""
        made = digest(secret)
        return sum(hmac.compare_digest(made, known) for known in self.wish.secrets) > 0

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """Only the one that is registered."""
        return method == self.wish.auth_method

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code" or (grant_type == "refresh_token" and self.wish.offline)


class FormPayload(OAuth2Payload):  # type: ignore[misc]  # Authlib has no types
    """Parameters of the body alone: none is read from an address, which logs keep."""

    def __init__(self, request: HttpRequest) -> None:
        self._sent = request.POST

    @property
    def data(self) -> dict[str, str]:
        sent: dict[str, str] = self._sent.dict()
        return sent

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return defaultdict(list, {name: self._sent.getlist(name) for name in self._sent})


class TokenRequest(OAuth2Request):  # type: ignore[misc]
    """Whether browsers and applications come by TLS is the configuration's word (``CALOCK_INSECURE_HTTP``), not Authlib's."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(method=request.method or "", uri="https://" + request.get_host() + request.path, headers=request.headers)
        self.payload = FormPayload(request)

    @property
    def form(self) -> dict[str, str]:
        form: dict[str, str] = self.payload.data
        return form


class Assertion(JWTBearerClientAssertion):  # type: ignore[misc]
    """private_key_jwt (RFC 7523): signed by a registered key, for this very server, good once."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(self, issuer: str, at: datetime) -> None:
        super().__init__()
        self.issuer, self.at = issuer, at

    def get_audiences(self) -> list[str]:
        return [self.issuer, f"{self.issuer}/oidc/token"]

    def resolve_client_public_key(self, client: Client) -> KeySet:
        if client.wish.auth_method != self.CLIENT_AUTH_METHOD:
            raise InvalidClientError(description="private_key_jwt is not registered")
        return KeySet.import_key_set({"keys": [dict(key) for key in client.wish.jwks]})

    def validate_jti(self, claims: dict[str, Any], jti: object) -> bool:
        """Whether the assertion is used for the first time."""
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        if expires > self.at + ASSERTION_LIFE:
            raise InvalidClientError(description="The assertion is good for more than ten minutes")
        made = hashlib.sha256(json.dumps([claims["sub"], str(jti)]).encode()).hexdigest()
        SpentAssertion.objects.filter(expires_at__lt=self.at - ASSERTION_LIFE).delete()
        try:
            with transaction.atomic():
                SpentAssertion.objects.create(digest=made, expires_at=expires)
        except IntegrityError:
            return False
        return True


def issue(server: TokenServer, spent: Code | Token, *, scope: str, resource: str, nonce: str = "") -> dict[str, Any]:
    """The answer of the token endpoint for a code or refresh token of a live grant, which it uses up.

    Raises:
        InvalidGrantError: somebody was quicker.
    """
    grant, parent = spent.grant, spent if isinstance(spent, Token) else None
    access = tokens.new_access(grant, scope=scope, resource=resource, at=server.at)
    rows = [access.row] if access.row is not None else []
    answer: dict[str, Any] = {
        "access_token": access.text,
        "token_type": "Bearer",
        "expires_in": access.seconds,
        "scope": scope,
        "id_token": id_token(grant, nonce=nonce, access_token=access.text, at=server.at),
    }
    if "offline_access" in scope.split() and grant.application.wish.offline:
        answer["refresh_token"], refresh = tokens.new_refresh(grant, scope=scope, parent=parent, at=server.at)
        rows.append(refresh)
    if not spend(spent, why=tokens.CODE_TWICE if parent is None else tokens.REFRESH_TWICE, at=server.at, along=rows):
        raise InvalidGrantError("It was used before")
    return answer


def _resource(wanted: str | None, kept: str, client: Client) -> str:
    """RFC 8707: an API of the application's own, and none but the one the code was asked for."""
    if wanted and (wanted not in client.wish.resources or (kept and wanted != kept)):
        raise InvalidTargetError
    return wanted or kept


class InvalidTargetError(OAuth2Error):  # type: ignore[misc]
    error = "invalid_target"


class CodeExchange(AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def query_authorization_code(self, code: str, client: Client) -> StoredCode | None:
        found = tokens.find_code(code, of=client.application, at=self.server.at)
        return StoredCode(found) if found is not None else None

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        code: Code = self.request.authorization_code.row
        resource = _resource(self.request.form.get("resource"), code.resource, self.request.client)
        answer = issue(self.server, code, scope=code.grant.scope, resource=resource, nonce=code.nonce)
        return 200, answer, self.TOKEN_RESPONSE_HEADER


class StoredCode:
    """A code as Authlib asks about it."""

    code_challenge_method = "S256"

    def __init__(self, row: Code) -> None:
        self.row = row
        self.code_challenge = row.code_challenge

    def get_redirect_uri(self) -> str:
        return self.row.redirect_uri


class Refresh(RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def validate_token_request(self) -> None:
        client: Client = self._validate_request_client()
        self.request.client = client
        text = self.request.form.get("refresh_token")
        if not text:
            raise InvalidRequestError("Missing refresh_token")
        found = tokens.find_refresh(text, of=client.application, at=self.server.at)
        if found is None:
            raise InvalidGrantError("The refresh token is unknown, used or over")
        asked = self.request.form.get("scope") or found.scope
        if not set(asked.split()) <= set(found.scope.split()):
            raise InvalidScopeError
        self.request.refresh_token = found
        self.request.scope = " ".join(scope for scope in found.scope.split() if scope in asked.split())

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        token: Token = self.request.refresh_token
        resource = _resource(self.request.form.get("resource"), "", self.request.client)
        answer = issue(self.server, token, scope=self.request.scope, resource=resource)
        return 200, answer, self.TOKEN_RESPONSE_HEADER


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    """Of the application's own tokens alone (RFC 7662), with ``acr`` and ``auth_time`` for step-up (RFC 9470 clause 6.2)."""

    CLIENT_AUTH_METHODS = AUTH_METHODS

    def create_endpoint_response(self, request: TokenRequest) -> tuple[int, dict[str, Any], Iterable[tuple[str, str]]]:
        client = self.authenticate_endpoint_client(request)
        self.check_params(request, client)
        token = tokens.find_token(request.form["token"], of=client.application, at=self.server.at)
        if token is None or token.used_at is not None:
            return 200, {"active": False}, []
        grant = token.grant
        return 200, {
            "active": True,
            "client_id": client.wish.client_id,
            "token_type": "Bearer",
            "scope": token.scope,
            "sub": subject_of(grant.account_id, grant.application),
            "aud": client.wish.client_id,
            "iss": grant.issuer,
            "iat": int(token.issued_at.timestamp()),
            "exp": int(token.expires_at.timestamp()),
            "auth_time": int(grant.auth_time.timestamp()),
            "acr": grant.acr,
            "amr": grant.amr,
            "sid": grant.sid,
        }, []  # fmt: skip


class Revocation(RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = AUTH_METHODS

    def create_endpoint_response(self, request: TokenRequest) -> tuple[int, dict[str, Any], Iterable[tuple[str, str]]]:
        client = self.authenticate_endpoint_client(request)
        self.check_params(request, client)
        token = tokens.find_token(request.form["token"], of=client.application, at=self.server.at)
        if token is not None:
            tokens.take_back(token, at=self.server.at)
        return 200, {}, []


class TokenServer(AuthorizationServer):  # type: ignore[misc]
    """One request's server: whose issuer, on which site, at which moment. ``refused`` is the error that it answered with."""

    def __init__(self, request: SiteRequest, at: datetime) -> None:
        super().__init__()
        self.site, self.at = request.site.code, at
        self.refused: OAuth2Error | None = None
        self.client_id = ""
        self.register_client_auth_method("private_key_jwt", Assertion(request.site_origin, at))
        self.register_grant(CodeExchange, [CodeChallenge(required=True)])
        self.register_grant(Refresh)
        self.register_endpoint(Introspection)
        self.register_endpoint(Revocation)

    def query_client(self, client_id: str) -> Client | None:
        if not client_id.isprintable():  # databases refuse NUL, and halves of surrogate pairs
            return None
        self.client_id = client_id[:50]
        try:
            return Client(application_of(client_id, site=self.site))
        except Refusal:
            return None

    def create_oauth2_request(self, request: HttpRequest | TokenRequest) -> TokenRequest:
        return request if isinstance(request, TokenRequest) else TokenRequest(request)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """No signals are sent: the platform has no receivers for them."""

    def handle_response(self, status: int, body: dict[str, Any], headers: Iterable[tuple[str, str]]) -> HttpResponse:
        response = HttpResponse(json.dumps(body), content_type="application/json", status=status, headers=NO_STORE)
        for name, value in headers:
            response[name] = value
        return response

    def handle_error_response(self, request: TokenRequest, error: OAuth2Error) -> HttpResponse:
        self.refused = error
        response: HttpResponse = super().handle_error_response(request, error)
        if error.error == "invalid_client":
            response.status_code = 401
            response["WWW-Authenticate"] = 'Basic realm="calock"'
        return response

    def answer(self, request: HttpRequest, endpoint: str) -> HttpResponse:
        """``endpoint``: ``token``, ``introspection`` or ``revocation``. Whatever is sent, the answer is one that the RFCs know."""
        asked = TokenRequest(request)
        try:
            if any(len(values) > 1 for values in asked.payload.datalist.values()):
                return self.handle_error_response(asked, InvalidRequestError("A parameter is there more than once"))
            if endpoint == "token":
                response: HttpResponse = self.create_token_response(asked)
            else:
                response = self.create_endpoint_response(endpoint, asked)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            log.warning("token_request_malformed", endpoint=endpoint, error=repr(error)[:300])
            return self.handle_error_response(asked, InvalidRequestError("The request cannot be read"))
        return response
