"""Ask an address for a purpose. What is not on that purpose's list is refused before a byte leaves."""

from __future__ import annotations

import io
from collections.abc import Container, Mapping

from django.conf import settings

from calock.server.egress.connections import Limits
from calock.server.egress.fetch import Target, fetch
from calock.server.egress.purposes import allowed, purpose_named
from calock.server.tools.addresses import FetchRefusedError

USUAL = Limits(256 * 1024, 10.0)


def ask(
    purpose: str,
    url: str,
    *,
    body: bytes | None = None,
    content_type: str = "",
    headers: Mapping[str, str] | None = None,
    statuses: Container[int] = (200,),
    limits: Limits = USUAL,
) -> bytes:
    """The body of the answer to a GET, or with ``body`` to a POST.

    Raises:
        FetchRefusedError: the address is not on the list of this purpose, or not one that may be connected to; nothing was sent.
        FetchFailedError: no answer, another status (its ``status`` says which), too large or too slow.
    """
    named = purpose_named(purpose)
    if named is None:
        raise FetchRefusedError(f"nothing is sent for {purpose!r}")
    sink = io.BytesIO()
    target = Target(url, allowed(named), proxy=settings.CALOCK.egress_proxy)
    fetch(target, sink, limits=limits, body=body, content_type=content_type, headers=headers, statuses=statuses)
    return sink.getvalue()
