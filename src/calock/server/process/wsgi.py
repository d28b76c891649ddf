"""Django's WSGI application, with everything it will need already loaded."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib import import_module

import django
from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.http import HttpRequest
from django.urls import ResolverMatch, get_resolver

from calock.wire.message_types import describe_message_types

PATHS = 256
"""Addresses whose view is remembered."""
LONGEST = 200
"""Characters of one: ours are shorter, and strangers choose what is remembered."""


@lru_cache(PATHS)
def _match(path: str) -> ResolverMatch:
    return get_resolver().resolve(path)


class Handler(WSGIHandler):
    """Django's, which remembers the views of the addresses that were asked for last: every request has the same patterns."""

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """The view of a request, and what its address says.

        Raises:
            Http404: no pattern fits.
        """
        path = request.path_info
        request.resolver_match = found = _match(path) if len(path) <= LONGEST else get_resolver().resolve(path)
        return found


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calock.server.process.settings")
django.setup(set_prefix=False)
application = Handler()
request_started.disconnect(reset_queries)  # which DEBUG alone notes down
request_started.disconnect(close_old_connections)  # done when the request before it ended
request_finished.disconnect(reset_urlconf)  # every request has the same addresses
request_finished.disconnect(close_caches)  # there are none
import_module(settings.ROOT_URLCONF)  # with all views, or the first requests would import them, several at once
describe_message_types()
