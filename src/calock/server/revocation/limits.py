"""How much of what CAs publish is taken, and how long it may take."""

from __future__ import annotations

from calock.server.egress.connections import Limits

OCSP_LIMITS = Limits(64 * 1024, 3.0)
CRL_LIMITS = Limits(64 * 1024 * 1024, 120.0)
CRL_LIVE_LIMITS = Limits(8 * 1024 * 1024, 5.0)
"""While somebody waits at the login page: what is larger takes seconds to index as well, and is the background's work."""
