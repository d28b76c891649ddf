"""What the console says after an act ("published"): it travels in a cookie of its own to the next page, and nowhere else."""

from __future__ import annotations

from django.conf import settings
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest, HttpResponse


class ConsoleMessageMiddleware(MessageMiddleware):
    """Django's, for the console's pages only: the others say nothing by it, and a login need not pay for it."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path_info.startswith("/console/"):
            super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.path_info.startswith("/console/"):
            return super().process_response(request, response)
        return response


class HostCookieStorage(CookieStorage):
    """Django's, under a name that only this very host can set (``calock.server.sessions.cookies``)."""

    cookie_name = "messages" if settings.CALOCK.insecure_http else "__Host-messages"
