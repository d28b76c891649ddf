"""Django's settings for the database's address, with limits to every wait for a connection.

Limits to statements and locks are a process' own: ``calock.server.tools.statement_limits``.
"""

from __future__ import annotations

from typing import Any

import dj_database_url


def settings_of(url: str, seconds: int) -> dict[str, Any]:
    """Django's settings for a database address. What stands in the address itself (``?connect_timeout=3``) counts."""
    found: dict[str, Any] = {**dj_database_url.parse(url), "CONN_MAX_AGE": None}
    if found["ENGINE"].endswith("sqlite3"):
        found["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": seconds,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        }
        return found
    limits = {
        "connect_timeout": max(2, seconds // 2),
        # a machine that is gone says nothing: the network must notice (milliseconds; seconds)
        "tcp_user_timeout": seconds * 1000,
        "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
    }  # fmt: skip
    found["OPTIONS"] = {**limits, **found.get("OPTIONS", {}), "server_side_binding": True, "prepare_threshold": 2}
    return found
