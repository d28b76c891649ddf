"""项目采购, the sample application that speaks OpenID Connect: oauthlib for the flow, PyJWT for tokens, Starlette for pages.

``python -m calock.demo.applications.procurement SETTINGS KEY``: the JSON file of :mod:`.settings`, and its private key in PEM.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from calock.demo.applications import page
from calock.demo.applications.sample import LEVELS, Sample
from calock.demo.applications.sessions import Visitor
from calock.demo.applications.settings import Registration, SampleSettings, call, form_of, read_settings

SCOPE = "openid profile calock"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Procurement(Sample):
    """The application. What the platform says of itself is read once and kept."""

    cookie = "procurement"

    def __init__(self, settings: SampleSettings, key: str) -> None:
        super().__init__(settings)
        self.key = key
        self._metadata: dict[str, dict[str, Any]] = {}
        self._spent: set[str] = set()

    def own_routes(self) -> list[Route]:
        return [Route("/{site}/callback", self.callback), Route("/{site}/backchannel", self.backchannel, methods=["POST"])]

    def acts(self, visitor: Visitor) -> list[tuple[str, str]]:
        return [("用 CA 锁再次确认", f"/{visitor.site}/login?lock=1"), *super().acts(visitor)]

    def metadata(self, registration: Registration) -> dict[str, Any]:
        """The discovery document of the platform, with its keys."""
        if registration.site not in self._metadata:
            found = json.loads(call(f"{registration.issuer}/.well-known/openid-configuration")[1])
            assert found["issuer"] == registration.issuer
            self._metadata[registration.site] = found
        return self._metadata[registration.site]

    def redirect_uri(self, site: str) -> str:
        return f"{self.settings.origin}/{site}/callback"

    def login(self, request: Request) -> Response:
        """Also where the tile of 应用中心 leads, with ``iss`` (OpenID Connect Core clause 4)."""
        registration = self.settings.of(request.path_params["site"])
        if registration is None or request.query_params.get("iss", registration.issuer) != registration.issuer:
            return self.page(page.refused("没有这个平台", "/"), 404)
        client = WebApplicationClient(registration.client_id)
        verifier = client.create_code_verifier(64)
        begun = {"state": secrets.token_urlsafe(24), "nonce": secrets.token_urlsafe(24), "verifier": verifier}
        more = {"acr_values": "urn:calock:acr:lock", "max_age": "300"} if "lock" in request.query_params else {}
        address = client.prepare_request_uri(
            self.metadata(registration)["authorization_endpoint"],
            redirect_uri=self.redirect_uri(registration.site),
            scope=SCOPE,
            state=begun["state"],
            code_challenge=client.create_code_challenge(verifier, "S256"),
            code_challenge_method="S256",
            nonce=begun["nonce"],
            **more,
        )
        visitor = Visitor(site=registration.site, begun=begun)
        return self.visitors.remember(RedirectResponse(address, 303), visitor)

    def callback(self, request: Request) -> Response:
        registration, visitor = self.settings.of(request.path_params["site"]), self.visitors.of(request)
        again = f"/{request.path_params['site']}/login"
        if registration is None or not visitor.begun or visitor.site != registration.site:
            return self.page(page.refused("这次登录不是从本浏览器开始的", again), 400)
        begun, visitor.begun = visitor.begun, {}
        try:
            if request.query_params.get("iss") != registration.issuer:
                raise ValueError("the answer is another issuer's")  # noqa: TRY301 - RFC 9207
            client = WebApplicationClient(registration.client_id)
            code = client.parse_request_uri_response(f"https://x/?{request.url.query}", begun["state"])["code"]
            answer = self._exchange(registration, client, code, begun["verifier"])
            claims = self._verified(registration, answer["id_token"], begun["nonce"])
        except (OAuth2Error, jwt.PyJWTError, ValueError, KeyError) as error:
            return self.page(page.refused(f"平台的应答：{error}", again), 400)
        visitor.session, visitor.hint = str(claims["sid"]), answer["id_token"]
        visitor.person = self._described(registration, claims, answer["access_token"])
        return self.visitors.remember(RedirectResponse("/", 303), visitor)

    def _exchange(self, registration: Registration, client: WebApplicationClient, code: str, verifier: str) -> dict[str, Any]:
        endpoint = self.metadata(registration)["token_endpoint"]
        now = int(time.time())
        assertion = jwt.encode(
            {
                "iss": registration.client_id,
                "sub": registration.client_id,
                "aud": endpoint,
                "iat": now,
                "exp": now + 60,
                "jti": secrets.token_urlsafe(16),
            },
            self.key,
            algorithm="ES256",
        )
        body = client.prepare_request_body(
            code=code,
            redirect_uri=self.redirect_uri(registration.site),
            code_verifier=verifier,
            client_assertion_type=ASSERTION,
            client_assertion=assertion,
        )
        status, text = call(endpoint, body)
        if status != 200:
            raise ValueError(text.decode()[:200])
        answer: dict[str, Any] = json.loads(text)
        return answer

    def _claims(self, registration: Registration, token: str) -> dict[str, Any]:
        """A token of the platform's whose signature, issuer, audience and dates hold."""
        keys = jwt.PyJWKSet.from_dict(json.loads(call(self.metadata(registration)["jwks_uri"])[1]))
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["RS256", "ES256"], audience=registration.client_id, issuer=registration.issuer
        )
        return claims

    def _verified(self, registration: Registration, token: str, nonce: str) -> dict[str, Any]:
        claims = self._claims(registration, token)
        if claims.get("nonce") != nonce:
            raise ValueError("the ID token is of another login")
        return claims

    def _described(self, registration: Registration, claims: dict[str, Any], access_token: str) -> dict[str, str]:
        endpoint = self.metadata(registration)["userinfo_endpoint"]
        status, text = call(endpoint, headers={"Authorization": f"Bearer {access_token}"})
        info = json.loads(text) if status == 200 else {}
        if info.get("sub") != claims["sub"]:
            raise ValueError("UserInfo is of somebody else")
        organisation, lock = info.get("org", {}), info.get("lock", {})
        return {
            "姓名": info["name"],
            "账户": info["preferred_username"],
            "单位": organisation.get("name", "无"),
            "统一社会信用代码": organisation.get("uscc", "无"),
            "登录方式": LEVELS.get(claims["acr"], claims["acr"]),
            "登录时间": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(claims["auth_time"])),
            "CA 锁": f"{lock['id']}（{lock['provider_name']}）" if lock else "无",
            "来自平台": registration.platform,
        }

    def logout(self, request: Request) -> Response:
        """Here and at the platform (RP-Initiated Logout)."""
        registration, visitor = self.settings.of(request.path_params["site"]), self.visitors.of(request)
        if registration is None:
            return RedirectResponse("/", 303)
        self.visitors.leave(visitor)
        sent = {
            "id_token_hint": visitor.hint,
            "client_id": registration.client_id,
            "post_logout_redirect_uri": f"{self.settings.origin}/{registration.site}/left",
        }
        query = urlencode({name: value for name, value in sent.items() if value})
        return RedirectResponse(f"{self.metadata(registration)['end_session_endpoint']}?{query}", 303)

    async def backchannel(self, request: Request) -> Response:
        """The platform says that a session ended (Back-Channel Logout 1.0 clause 2.6)."""
        form = await form_of(request)
        return await run_in_threadpool(self._end, request.path_params["site"], form.get("logout_token", ""))

    def _end(self, site: str, token: str) -> Response:
        registration = self.settings.of(site)
        try:
            assert registration is not None
            claims = self._claims(registration, token)
            if jwt.get_unverified_header(token).get("typ") != "logout+jwt" or "nonce" in claims or claims["jti"] in self._spent:
                raise ValueError("not a logout token, or used before")  # noqa: TRY301
            _, session = claims["events"][LOGOUT_EVENT], str(claims["sid"])
        except (jwt.PyJWTError, ValueError, KeyError, AssertionError) as error:
            return JSONResponse({"error": "invalid_request", "error_description": str(error)}, 400)
        self._spent.add(claims["jti"])
        self.visitors.forget(registration.site, session)
        return Response(status_code=200, headers={"Cache-Control": "no-store"})


def main(arguments: list[str]) -> None:
    settings, key = arguments
    Procurement(read_settings(Path(settings)), Path(key).read_text("ascii")).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
