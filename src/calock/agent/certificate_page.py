"""The page on which the user is told how to accept the driver's own certificate, in the browsers that need it."""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from calock.agent.guard import CERTIFICATE_PATH
from calock.agent.pages import page
from calock.agent.service import Service
from calock.agent.tls import RENEW_CHECK_SECONDS, TlsIdentity
from calock.core.refusals import Reason, Refusal

log = logging.getLogger("calock.agent.tls")


@dataclass(frozen=True)
class TlsListener:
    """The TLS side of a running driver."""

    identity: TlsIdentity
    listener: socket.socket

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])


class CertificatePage:
    """``/certificate``: fingerprint and instructions; without a TLS listener it says that https is off."""

    def __init__(self, service: Service, secure: TlsListener | None) -> None:
        self._service, self._secure = service, secure

    def keep_fresh(self) -> None:
        """Look now and then whether the certificate nears its end: a driver may run for months."""
        if self._secure is None:
            return
        try:
            self._secure.identity.renew()
        except OSError as error:
            log.error("cannot renew the certificate: %s", error)  # noqa: TRY400 - the old one serves on
        asyncio.get_running_loop().call_later(RENEW_CHECK_SECONDS, self.keep_fresh)

    async def show(self, request: Request) -> Response:  # noqa: ARG002 - the page does not depend on the request
        if self._secure is None:
            if not self._service.config.tls:
                raise Refusal(Reason.NOT_FOUND, "https is not switched on")
            return page("certificate_off.html")
        identity = self._secure.identity
        return page(
            "certificate.html",
            address=f"https://127.0.0.1:{self._secure.port}/",
            fingerprint=identity.fingerprint,
            until=identity.certificate.not_valid_after_utc.strftime("%Y-%m-%d"),
        )

    def routes(self) -> list[BaseRoute]:
        return [Route(CERTIFICATE_PATH, self._service.endpoint(self.show), methods=["GET"])]
