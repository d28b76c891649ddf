"""Forms whose answer leads to another origin: browsers hold ``form-action`` against every redirect that follows."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpResponse


def allow_form_to(response: HttpResponse, address: str) -> HttpResponse:
    """Let the forms of this page end at the origin of ``address``, a registered one; empty changes nothing."""
    if address:
        parts = urlsplit(address)
        policy = settings.CONTENT_SECURITY_POLICY
        response["Content-Security-Policy"] = policy.replace(
            "form-action 'self'", f"form-action 'self' {parts.scheme}://{parts.netloc}"
        )
    return response
