"""What this process counts, for Prometheus. No label names a person, a lock or an address; each label has few values.

The processes of one machine are added up from files that each writes for itself (prometheus-client's multiprocess mode), when
``begin`` was called before this module was first imported; else the figures stay in the process and are not published.
What is not counted but looked at (ages, room on the disk) is in ``calock.server.jobs.figures``.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram

FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the histograms' classes, in seconds."""

requests = Counter("calock_requests", "Requests answered, by kind of work and class of status", ["kind", "status"])
request_seconds = Histogram("calock_request_seconds", "From a complete request to its answer", ["kind"], buckets=FAST)
queue_seconds = Histogram("calock_queue_seconds", "Waiting for a thread of its kind", ["kind"], buckets=FAST)
busy = Counter("calock_busy", "Requests refused because there was no room", ["kind"])
events = Counter("calock_events", "Rows of the audit trail", ["event", "site", "reason"])
ocsp_seconds = Histogram("calock_ocsp_seconds", "Asking an OCSP responder, with or without an answer", buckets=FAST)
