"""What was promised to people against what the database holds: acknowledged logins, sessions, and rows of the trail."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from promises import require

if TYPE_CHECKING:
    from field import Field

_PAIRS = "e.event = 'login:ca:succeeded' AND e.lock = s.lock_id AND e.at = s.created_at"
SESSIONS_WITHOUT_ROW = f"""
SELECT count(*) FROM calock_sessions_session s LEFT JOIN audit_auditevent e ON {_PAIRS} WHERE s.method = 'ca' AND e.id IS NULL
"""
ROWS_WITHOUT_SESSION = f"""
SELECT count(*) FROM audit_auditevent e LEFT JOIN calock_sessions_session s ON {_PAIRS}
WHERE e.event = 'login:ca:succeeded' AND s.digest IS NULL
"""


def sessions(field: Field) -> set[str]:
    """The digests of all sessions that a lock opened."""
    return {str(digest) for (digest,) in field.ask("SELECT digest FROM calock_sessions_session WHERE method = 'ca'")}


def digests(cookies: list[str]) -> set[str]:
    """The digests under which the database knows these sessions."""
    return {hashlib.sha256(cookie.encode()).hexdigest() for cookie in cookies}


def require_whole(field: Field, cookies: list[str]) -> int:
    """Every acknowledged login is a session, every session has its row of the trail and every row its session; how many logins."""
    lost = digests(cookies) - sessions(field)
    require(not lost, f"{len(lost)} of {len(cookies)} acknowledged logins are lost")
    orphans = field.ask(SESSIONS_WITHOUT_ROW)[0][0], field.ask(ROWS_WITHOUT_SESSION)[0][0]
    require(orphans == (0, 0), f"sessions without row, rows without session: {orphans}")
    require(cookies, "nobody logged in")
    return len(cookies)
