"""What both sample applications have: people who come from one of two platforms, their page, and the way out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calock.demo.applications import page
from calock.demo.applications.sessions import Visitor, Visitors
from calock.demo.applications.settings import SampleSettings

LEVELS = {"urn:calock:acr:lock": "CA 锁", "urn:calock:acr:password": "密码"}


class Sample(ABC):
    """One application; ``{site}`` in its addresses says which platform a person comes from."""

    cookie: ClassVar[str]

    def __init__(self, settings: SampleSettings) -> None:
        self.settings = settings
        self.visitors = Visitors(self.cookie)

    @abstractmethod
    def login(self, request: Request) -> Response:
        """Where a login begins."""

    @abstractmethod
    def logout(self, request: Request) -> Response:
        """Here and at the platform."""

    @abstractmethod
    def own_routes(self) -> list[Route]:
        """What its protocol needs besides."""

    def acts(self, visitor: Visitor) -> list[tuple[str, str]]:
        """What a person who is logged in can do, and where."""
        return [("退出登录", f"/{visitor.site}/logout")]

    def app(self) -> Starlette:
        shared = {"/": self.home, "/{site}/login": self.login, "/{site}/logout": self.logout, "/{site}/left": self.left}
        return Starlette(routes=[*(Route(path, answer) for path, answer in shared.items()), *self.own_routes()])

    def serve(self) -> None:
        uvicorn.run(self.app(), host="127.0.0.1", port=self.settings.port, log_level="warning")

    def page(self, body: str, status: int = 200) -> Response:
        return page.page(self.settings.name, self.settings.origin, body, status)

    def home(self, request: Request) -> Response:
        visitor = self.visitors.of(request)
        if visitor.person:
            return self.page(page.logged_in(visitor.person, self.acts(visitor)))
        return self.page(page.welcome([(found.platform, f"/{found.site}/login") for found in self.settings.registrations]))

    def left(self, _request: Request) -> Response:
        return self.page("<section><h1>您已退出登录</h1><p>平台和其他应用也已退出。</p></section>")
