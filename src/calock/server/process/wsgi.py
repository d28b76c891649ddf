"""Django's WSGI application, with everything it will need already loaded."""

from __future__ import annotations

import os
from importlib import import_module

from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, reset_queries

from calock.wire.message_types import describe_message_types

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calock.server.process.settings")
application = get_wsgi_application()
request_started.disconnect(reset_queries)  # which DEBUG alone notes down
request_started.disconnect(close_old_connections)  # done when the request before it ended
request_finished.disconnect(reset_urlconf)  # every request has the same addresses
request_finished.disconnect(close_caches)  # there are none
import_module(settings.ROOT_URLCONF)  # with all views, or the first requests would import them, several at once
describe_message_types()
