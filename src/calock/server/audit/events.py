"""The audit vocabulary: what can happen, as ``domain:subject:outcome``. Nobody writes free text into ``event``."""

from __future__ import annotations

from enum import StrEnum


class Event(StrEnum):
    LOGIN_CA_SUCCEEDED = "login:ca:succeeded"
    LOGIN_CA_REFUSED = "login:ca:refused"
    LOGIN_PASSWORD_SUCCEEDED = "login:password:succeeded"  # noqa: S105 - a name
    LOGIN_PASSWORD_REFUSED = "login:password:refused"  # noqa: S105 - a name
    STEP_UP_SUCCEEDED = "login:step_up:succeeded"
    STEP_UP_REFUSED = "login:step_up:refused"
    SESSION_ENDED = "session:ended"
    SESSIONS_REVOKED = "session:revoked"

    BINDING_ADDED = "binding:lock:added"
    BINDING_CLAIMED = "binding:claim:added"
    BINDING_CLAIM_ENDED = "binding:claim:ended"
    BINDING_CONFIRMED = "binding:lock:confirmed"
    BINDING_CONFIRM_REFUSED = "binding:lock:confirm_refused"
    BINDING_ENDED = "binding:lock:ended"
    BINDING_REFUSED = "binding:lock:refused"
    BINDING_END_REFUSED = "binding:lock:end_refused"
    BINDING_SUSPENDED = "binding:lock:suspended"
    CERTIFICATE_DOWNLOADED = "binding:certificate:downloaded"
    BINDING_RESUMED = "binding:lock:resumed"
    BINDING_SUSPEND_REFUSED = "binding:lock:suspend_refused"
    CERTIFICATE_RENEWED = "binding:certificate:renewed"
    CERTIFICATE_REVOKED = "binding:certificate:revoked"
    LOCK_LABELLED = "binding:lock:labelled"
    LOCK_REMINDED = "binding:lock:reminded"

    ACCOUNT_CREATED = "account:created"
    ACCOUNT_CHANGED = "account:changed"
    ACCOUNT_DISABLED = "account:disabled"
    ACCOUNT_ENABLED = "account:enabled"
    ACCOUNT_ERASED = "account:erased"
    ACCOUNT_LEFT = "account:left"
    ACCOUNT_LEAVE_REFUSED = "account:leave_refused"
    CALENDAR_LINK_MADE = "account:calendar:made"
    CALENDAR_LINK_ENDED = "account:calendar:ended"
    PERSONAL_DATA_EXPORTED = "account:data:exported"
    ACCOUNT_MOVED = "account:moved"
    ACCOUNT_LOCK_ONLY_CHANGED = "account:lock_only:changed"
    ROW_DAMAGED = "account:row:damaged"
    ROWS_SEALED = "account:operators:resealed"  # once of operators alone
    ACCOUNT_ENROLMENT_OPENED = "account:enrolment:opened"
    ACCOUNT_NAME_SHOWN = "account:name:shown"
    ACCOUNT_PASSWORD_CHANGED = "account:password:changed"  # noqa: S105 - a name
    ACCOUNT_PASSWORD_RESET = "account:password:reset"  # noqa: S105 - a name
    ACCOUNT_PASSWORD_CHOSEN = "account:password:chosen"  # noqa: S105 - a name; with a one-time code
    ACCOUNT_PASSWORD_LOCKED = "account:password:locked"  # noqa: S105 - a name
    ACCOUNT_PASSWORD_REFUSED = "account:password:refused"  # noqa: S105 - a name
    CONTACT_ADDED = "account:contact:added"
    CONTACT_VERIFIED = "account:contact:verified"
    CONTACT_REMOVED = "account:contact:removed"
    CONTACT_REFUSED = "account:contact:refused"
    PASSWORD_CODE_ASKED = "account:code:asked"  # noqa: S105 - a name; sent to a contact
    PASSWORD_CODE_REFUSED = "account:code:refused"  # noqa: S105 - a name
    ORGANISATION_CREATED = "organisation:created"
    ORGANISATION_CHANGED = "organisation:changed"
    ORGANISATION_LOCK_ONLY_CHANGED = "organisation:lock_only:changed"
    ORGANISATION_MERGED = "organisation:merged"
    ORGANISATION_DISABLED = "organisation:disabled"
    ORGANISATION_ENABLED = "organisation:enabled"

    PROVIDER_CREATED = "provider:created"
    PROVIDER_CHANGED = "provider:changed"
    PROVIDER_SUSPENDED = "provider:suspended"
    PROVIDER_RESUMED = "provider:resumed"
    PROVIDER_EXPORTED = "provider:exported"
    REGISTER_RESEALED = "provider:register:resealed"
    ANCHOR_APPROVED = "provider:anchor:approved"
    ANCHOR_SUSPENDED = "provider:anchor:suspended"
    ANCHOR_RESUMED = "provider:anchor:resumed"
    ANCHOR_WITHDRAWN = "provider:anchor:withdrawn"
    REVOCATION_SOURCE_CHANGED = "provider:revocation_source:changed"
    REVOCATION_FETCHED = "provider:revocation:fetched"
    REVOCATION_FAILED = "provider:revocation:failed"

    APPROVAL_PROPOSED = "approval:proposed"
    APPROVAL_APPROVED = "approval:approved"
    APPROVAL_REJECTED = "approval:rejected"
    APPROVAL_TAKEN_BACK = "approval:taken_back"

    APPLICATION_REGISTERED = "application:registered"
    APPLICATION_CHANGED = "application:changed"
    APPLICATION_SUSPENDED = "application:suspended"
    APPLICATION_ENTERED = "application:entered"
    APPLICATION_REFUSED = "application:refused"
    APPLICATION_EXITED = "application:exited"

    PACKAGE_UPLOADED = "package:uploaded"
    PACKAGE_PUBLISHED = "package:published"
    PACKAGE_WITHDRAWN = "package:withdrawn"
    PACKAGE_DOWNLOADED = "package:downloaded"
    PACKAGE_REFUSED = "package:refused"

    EGRESS_CHANGED = "egress:destination:changed"
    MESSAGE_SENT_AGAIN = "outbox:message:sent_again"
    MESSAGE_GIVEN_UP = "outbox:message:given_up"

    IMPORT_UPLOADED = "import:uploaded"
    IMPORT_DISCARDED = "import:discarded"
    IMPORT_STARTED = "import:started"
    IMPORT_FINISHED = "import:finished"

    RESTORED = "server:restored"
    AUDIT_ARCHIVED = "server:audit:archived"
    SEALING_KEY_ADDED = "server:sealing_key:added"
    KEYS_RENEWED = "server:keys:renewed"
    LIST_EXPORTED = "console:list:exported"
    ACCESS_REFUSED = "access:refused"
    REQUEST_REFUSED = "request:refused"
    REQUESTS_THROTTLED = "request:throttled"
    SERVER_FAILED = "server:failed"
