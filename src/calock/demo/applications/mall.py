"""电子卖场, the sample application that speaks CAS 3.0, as many Java applications do: the protocol by hand, Starlette for pages.

``python -m calock.demo.applications.mall SETTINGS``: the JSON file of :mod:`.settings`.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from calock.demo.applications import page
from calock.demo.applications.sample import LEVELS, Sample
from calock.demo.applications.sessions import Visitor
from calock.demo.applications.settings import Registration, call, form_of, read_settings

CAS = "{http://www.yale.edu/tp/cas}"
SAML = "{urn:oasis:names:tc:SAML:2.0:protocol}"


class Mall(Sample):
    """The application."""

    cookie = "mall"

    def own_routes(self) -> list[Route]:
        return [Route("/{site}/ended", self.ended, methods=["POST"])]

    def service(self, site: str) -> str:
        return f"{self.settings.origin}/{site}/login"

    def login(self, request: Request) -> Response:
        """Without a ticket to the platform; with one back from there."""
        registration = self.settings.of(request.path_params["site"])
        if registration is None:
            return self.page(page.refused("没有这个平台", "/"), 404)
        service, ticket = self.service(registration.site), request.query_params.get("ticket")
        if ticket is None:
            return RedirectResponse(f"{registration.issuer}/cas/login?{urlencode({'service': service})}", 303)
        status, text = call(f"{registration.issuer}/cas/p3/serviceValidate?{urlencode({'service': service, 'ticket': ticket})}")
        told = ET.fromstring(text) if status == 200 else None  # noqa: S314 - the platform's own answer
        success = told.find(f"{CAS}authenticationSuccess") if told is not None else None
        if success is None:
            return self.page(page.refused("平台不认可这张票据，请重新登录", service), 400)
        visitor = Visitor(site=registration.site, session=ticket, person=self._described(registration, success))
        return self.visitors.remember(RedirectResponse("/", 303), visitor)

    def _described(self, registration: Registration, success: ET.Element) -> dict[str, str]:
        found = {item.tag.removeprefix(CAS): item.text or "" for item in success.iter()}
        return {
            "姓名": found["name"],
            "账户": found["user"],
            "单位": found.get("org_name", "无"),
            "统一社会信用代码": found.get("org_uscc", "无"),
            "登录方式": LEVELS.get(found["acr"], found["acr"]),
            "登录时间": f"{datetime.fromisoformat(found['authenticationDate']).astimezone():%Y-%m-%d %H:%M:%S}",
            "来自平台": registration.platform,
        }

    def logout(self, request: Request) -> Response:
        """Here and at the platform."""
        registration = self.settings.of(request.path_params["site"])
        self.visitors.leave(self.visitors.of(request))
        if registration is None:
            return RedirectResponse("/", 303)
        back = f"{self.settings.origin}/{registration.site}/left"
        return RedirectResponse(f"{registration.issuer}/cas/logout?{urlencode({'service': back})}", 303)

    async def ended(self, request: Request) -> Response:
        """The platform says that the session of a ticket ended (CAS 3.0.3 clause 2.3.3). A ticket is a secret: who knows it may."""
        try:
            told = ET.fromstring((await form_of(request))["logoutRequest"][:4000])  # noqa: S314 - small, and of the platform
            ticket = told.findtext(f"{SAML}SessionIndex", "")
        except (KeyError, ET.ParseError):
            return Response(status_code=400)
        self.visitors.forget(request.path_params["site"], ticket)
        return Response(status_code=200)


def main(arguments: list[str]) -> None:
    Mall(read_settings(Path(arguments[0]))).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
