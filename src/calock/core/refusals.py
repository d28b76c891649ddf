"""Every reason for which calock refuses something, named once.

The server maps each reason to one audit event and one translated sentence with one next action
(``calock.server.web.refusals``); the driver sends the same names, with the same HTTP status (``calock.wire.statuses``);
``calock certificate explain`` prints them.
A reason is part of the public interface: never rename one, never reuse one for another meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from uuid import UUID


class Reason(StrEnum):
    """Why something was refused. The value is what goes over the wire and into the audit row."""

    # --- answer (authentication token), before any cryptography
    TOKEN_EMPTY = "TOKEN_EMPTY"
    TOKEN_TOO_LARGE = "TOKEN_TOO_LARGE"
    TOKEN_MALFORMED = "TOKEN_MALFORMED"  # not JSON, wrong types, not base64, NUL
    TOKEN_FORMAT_UNSUPPORTED = "TOKEN_FORMAT_UNSUPPORTED"  # a format that this version does not support
    ANSWER_NOT_JUDGED = "ANSWER_NOT_JUDGED"  # an error of ours while judging it: nothing is known against the holder
    REQUEST_MALFORMED = "REQUEST_MALFORMED"  # the request around the token
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"

    # --- challenge
    CHALLENGE_MALFORMED = "CHALLENGE_MALFORMED"
    CHALLENGE_FORGED = "CHALLENGE_FORGED"  # its MAC is not ours
    CHALLENGE_EXPIRED = "CHALLENGE_EXPIRED"
    CHALLENGE_FROM_FUTURE = "CHALLENGE_FROM_FUTURE"
    CHALLENGE_WRONG_PURPOSE = "CHALLENGE_WRONG_PURPOSE"
    CHALLENGE_WRONG_CONTEXT = "CHALLENGE_WRONG_CONTEXT"  # other browser, other site, other member, other provider
    CHALLENGE_SPENT = "CHALLENGE_SPENT"

    # --- signature
    ALGORITHM_NOT_ALLOWED = "ALGORITHM_NOT_ALLOWED"
    ALGORITHM_KEY_MISMATCH = "ALGORITHM_KEY_MISMATCH"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"  # also what a foreign origin or another challenge looks like

    # --- certificate: gate
    CERTIFICATE_UNPARSABLE = "CERTIFICATE_UNPARSABLE"
    CERTIFICATE_TOO_LARGE = "CERTIFICATE_TOO_LARGE"
    CERTIFICATE_VERSION = "CERTIFICATE_VERSION"
    CERTIFICATE_SERIAL = "CERTIFICATE_SERIAL"
    CERTIFICATE_EXTENSION = "CERTIFICATE_EXTENSION"  # duplicate, malformed or unknown critical extension
    CERTIFICATE_SIGNATURE_ALGORITHM = "CERTIFICATE_SIGNATURE_ALGORITHM"  # MD5, SHA-1, unknown
    CERTIFICATE_VALIDITY_ORDER = "CERTIFICATE_VALIDITY_ORDER"  # notAfter before notBefore
    KEY_NOT_ALLOWED = "KEY_NOT_ALLOWED"  # type, curve or explicit parameters outside the list
    KEY_WEAK = "KEY_WEAK"  # too short, bad exponent, ROCA, close primes, point not on the curve
    CERTIFICATE_IS_CA = "CERTIFICATE_IS_CA"  # a CA certificate presented as a holder's

    # --- certificate: path
    CERTIFICATE_EXPIRED = "CERTIFICATE_EXPIRED"
    CERTIFICATE_NOT_YET_VALID = "CERTIFICATE_NOT_YET_VALID"
    CERTIFICATE_UNTRUSTED = "CERTIFICATE_UNTRUSTED"  # no path to a pinned key of a recognised CA
    PATH_EXPIRED = "PATH_EXPIRED"  # a CA certificate on the path is outside its dates
    PATH_INVALID = "PATH_INVALID"  # a path exists but breaks a rule: name constraints, pathLen, keyCertSign, policy
    PATH_TOO_LONG = "PATH_TOO_LONG"
    PROVIDER_SUSPENDED = "PROVIDER_SUSPENDED"
    PROVIDER_NOT_RECOGNISED_HERE = "PROVIDER_NOT_RECOGNISED_HERE"  # known CA, but not one of this site
    PROVIDER_MISMATCH = "PROVIDER_MISMATCH"  # the chosen provider is not the one that issued the certificate

    # --- certificate: revocation
    CERTIFICATE_REVOKED = "CERTIFICATE_REVOKED"
    CERTIFICATE_ON_HOLD = "CERTIFICATE_ON_HOLD"
    CA_REVOKED = "CA_REVOKED"
    REVOCATION_UNKNOWN = "REVOCATION_UNKNOWN"  # the source answered that it does not know the certificate
    REVOCATION_UNAVAILABLE = "REVOCATION_UNAVAILABLE"  # no data for this issuer
    REVOCATION_STALE = "REVOCATION_STALE"  # data exists but is past its time
    REVOCATION_UNTRUSTED = "REVOCATION_UNTRUSTED"  # data exists but its signer, scope or form is not acceptable

    # --- certificate: profile
    KEY_USAGE_MISSING = "KEY_USAGE_MISSING"
    KEY_USAGE_NOT_SIGNING = "KEY_USAGE_NOT_SIGNING"  # encryption-only certificate of a double-certificate lock
    EXTENDED_KEY_USAGE = "EXTENDED_KEY_USAGE"
    POLICY_NOT_ALLOWED = "POLICY_NOT_ALLOWED"

    # --- certificate: identity
    HOLDER_ID_MISSING = "HOLDER_ID_MISSING"
    HOLDER_ID_INVALID = "HOLDER_ID_INVALID"  # check digit wrong

    # --- binding and login
    LOCK_NOT_BOUND = "LOCK_NOT_BOUND"
    LOCK_NOT_ACTIVATED = "LOCK_NOT_ACTIVATED"  # a list says whose it is, but only the device's own serial names it
    LOCK_NOT_CONFIRMED = "LOCK_NOT_CONFIRMED"  # bound by an administrator, and the consent that the site asks for is missing
    LOCK_REPORTED_LOST = "LOCK_REPORTED_LOST"  # 挂失: it logs nobody in until it is resumed
    LOCK_BOUND_TO_OTHER = "LOCK_BOUND_TO_OTHER"
    LOCK_ALREADY_BOUND = "LOCK_ALREADY_BOUND"  # to this very account
    KEY_ALREADY_KNOWN = "KEY_ALREADY_KNOWN"  # the same key under another lock
    LOCK_HOLDER_CHANGED = "LOCK_HOLDER_CHANGED"  # another person's certificate on a bound lock
    RENEWAL_NEEDS_STEP_UP = "RENEWAL_NEEDS_STEP_UP"
    PREDECESSOR_REVOKED = "PREDECESSOR_REVOKED"  # the certificate that was bound is revoked: it passes nothing on
    CERTIFICATE_SUPERSEDED = "CERTIFICATE_SUPERSEDED"  # the lock goes by a newer certificate
    HOLDER_NOT_ORGANISATION = "HOLDER_NOT_ORGANISATION"  # 统一社会信用代码 differs from the account's organisation
    BINDING_NOT_FOUND = "BINDING_NOT_FOUND"
    BINDING_ALREADY_ENDED = "BINDING_ALREADY_ENDED"
    LAST_LOCK = "LAST_LOCK"  # the only way into an account without a password
    REASON_MISSING = "REASON_MISSING"
    ACCOUNT_DISABLED = "ACCOUNT_DISABLED"
    ACCOUNT_LOCKED = "ACCOUNT_LOCKED"
    ORGANISATION_DISABLED = "ORGANISATION_DISABLED"
    CREDENTIALS_WRONG = "CREDENTIALS_WRONG"
    PASSWORD_CHANGE_REQUIRED = "PASSWORD_CHANGE_REQUIRED"
    PASSWORD_UNACCEPTABLE = "PASSWORD_UNACCEPTABLE"
    PASSWORD_CODE_WRONG = "PASSWORD_CODE_WRONG"  # a one-time code: unknown, used, expired or another account's
    PASSWORD_LOGIN_OFF = "PASSWORD_LOGIN_OFF"  # a lock is bound, and the account goes by it alone
    LOCK_PROOF_REQUIRED = "LOCK_PROOF_REQUIRED"  # the same for an act that asks who is there
    LOCK_ENROLMENT_CLOSED = "LOCK_ENROLMENT_CLOSED"  # an operator binds a first lock only in a time that was given
    OPERATOR_HOLDER_KNOWN = "OPERATOR_HOLDER_KNOWN"  # another operator has a lock of the same person: one person, one vote
    OPERATOR_DAMAGED = "OPERATOR_DAMAGED"  # an operator's row or binding is not the one that the server sealed
    RECORD_DAMAGED = "RECORD_DAMAGED"  # the same of anybody's account, binding, lock, claim or code
    PASSWORD_RESET_LATELY = "PASSWORD_RESET_LATELY"  # somebody else reset it within 24 hours: a lock must prove who this is
    STEP_UP_REQUIRED = "STEP_UP_REQUIRED"  # the last proof of who this is lies too far back
    STEP_UP_FAILED = "STEP_UP_FAILED"
    NOT_ALLOWED = "NOT_ALLOWED"
    NOT_FOUND = "NOT_FOUND"
    SESSION_REQUIRED = "SESSION_REQUIRED"
    SESSION_ENDED = "SESSION_ENDED"
    CHANNEL_OFF = "CHANNEL_OFF"  # no mail server, or no SMS gateway: nothing can be sent there
    CONTACT_UNUSABLE = "CONTACT_UNUSABLE"  # no mail address, or no mobile number
    CODE_WRONG = "CODE_WRONG"  # a code that was sent to a contact: unknown, used, expired, or asked for elsewhere
    TOO_MANY_CODES = "TOO_MANY_CODES"  # asked for about one account or contact, or from one address
    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"
    PASSWORD_TRIES_USED_UP = "PASSWORD_TRIES_USED_UP"  # too many wrong ones for this account from here; other ways in stay open
    SERVER_BUSY = "SERVER_BUSY"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"  # it does not answer, or not in time; the request may be sent again
    CSRF_FAILED = "CSRF_FAILED"
    HOST_UNKNOWN = "HOST_UNKNOWN"

    # --- the provider register and decisions that take two operators
    REGISTER_DAMAGED = "REGISTER_DAMAGED"  # its rows are not those that the server sealed
    CA_CERTIFICATE_REFUSED = "CA_CERTIFICATE_REFUSED"  # unparsable, no CA, weak, expired: not acceptable as a CA record
    CA_KEY_KNOWN = "CA_KEY_KNOWN"  # the same CA key is already recorded, here or at another provider
    PROVIDER_RULES_REFUSED = "PROVIDER_RULES_REFUSED"
    PROVIDER_WITHOUT_ANCHOR = "PROVIDER_WITHOUT_ANCHOR"  # cannot be enabled before an anchor is recognised
    SECOND_OPERATOR_NEEDED = "SECOND_OPERATOR_NEEDED"  # who proposes does not approve
    CONTACTS_TAKEN = "CONTACTS_TAKEN"  # who took an account's contacts away does not reset its password as well
    APPROVAL_CLOSED = "APPROVAL_CLOSED"  # decided, withdrawn or too old
    APPROVAL_WAITING = "APPROVAL_WAITING"  # a proposal about the same waits for a decision
    VERSION_CHANGED = "VERSION_CHANGED"  # it was changed since the page was opened

    # --- applications that stand on this login
    APPLICATION_UNKNOWN = "APPLICATION_UNKNOWN"  # not registered on this site, or suspended
    APPLICATION_REFUSED = "APPLICATION_REFUSED"  # what an operator would register is not acceptable
    APPLICATION_NOT_FOR_YOU = "APPLICATION_NOT_FOR_YOU"  # not for accounts of this kind of organisation
    APPLICATION_REQUEST_WRONG = "APPLICATION_REQUEST_WRONG"  # what the application sent cannot be answered
    APPLICATION_REQUEST_OVER = "APPLICATION_REQUEST_OVER"  # its login was begun too long ago, or is done
    REDIRECT_NOT_REGISTERED = "REDIRECT_NOT_REGISTERED"  # where it wants the person back is not where its registration says
    LOCK_NEEDED_HERE = "LOCK_NEEDED_HERE"  # the application asks for a CA lock, and the account has none

    # --- driver
    ORIGIN_NOT_ALLOWED = "ORIGIN_NOT_ALLOWED"
    HOST_NOT_ALLOWED = "HOST_NOT_ALLOWED"
    PEER_NOT_ALLOWED = "PEER_NOT_ALLOWED"  # another user of the same computer
    DRIVER_BUSY = "DRIVER_BUSY"
    DRIVER_ABSENT = "DRIVER_ABSENT"
    DRIVER_TOO_OLD = "DRIVER_TOO_OLD"
    DRIVER_OTHER_VENDOR = "DRIVER_OTHER_VENDOR"
    DRIVER_PERMISSION_PROMPT = "DRIVER_PERMISSION_PROMPT"
    DRIVER_PERMISSION_DENIED = "DRIVER_PERMISSION_DENIED"
    DRIVER_FAILED = "DRIVER_FAILED"
    DRIVER_NOT_ANSWERING = "DRIVER_NOT_ANSWERING"  # something listens on its port and does not answer
    DRIVER_SEVERAL = "DRIVER_SEVERAL"  # more than one program says that it is the driver
    DRIVER_CHANGED = "DRIVER_CHANGED"  # its key is another than the one this person's driver had before
    DRIVER_KEY_INVALID = "DRIVER_KEY_INVALID"  # the driver's signature over its own key does not hold
    DRIVER_PORT_TAKEN = "DRIVER_PORT_TAKEN"  # another program listens on a port where pages look first
    DRIVER_PORTS_TAKEN = "DRIVER_PORTS_TAKEN"  # other programs listen on every port where pages look
    MODULE_FAILED = "MODULE_FAILED"  # the vendor library cannot be loaded or used, for another reason than the next four
    MODULE_MISSING = "MODULE_MISSING"  # its file is not there
    MODULE_ARCHITECTURE = "MODULE_ARCHITECTURE"  # built for another processor or operating system
    MODULE_CRASHED = "MODULE_CRASHED"
    MODULE_NOT_ANSWERING = "MODULE_NOT_ANSWERING"  # no answer within the time a call may take
    OPERATION_CANCELLED = "OPERATION_CANCELLED"  # the page that asked for it ended it
    LOCK_ABSENT = "LOCK_ABSENT"
    LOCK_UNKNOWN = "LOCK_UNKNOWN"  # the handle names no plugged-in lock
    LOCK_REMOVED = "LOCK_REMOVED"
    LOCK_CHANGED = "LOCK_CHANGED"  # the certificate is no longer the one that was shown
    LOCK_WITHOUT_CERTIFICATE = "LOCK_WITHOUT_CERTIFICATE"
    LOCK_WITHOUT_KEY = "LOCK_WITHOUT_KEY"  # a certificate, but not the private key that belongs to it
    LOCK_CERTIFICATE_HIDDEN = "LOCK_CERTIFICATE_HIDDEN"  # the token shows certificates only after a PIN, if it has any
    LOCK_LIST_CUT = "LOCK_LIST_CUT"  # it holds more certificates than the driver lists
    LOCKS_ALIKE = "LOCKS_ALIKE"  # several plugged-in locks cannot be told apart
    SEVERAL_LOCKS = "SEVERAL_LOCKS"
    PIN_MISSING = "PIN_MISSING"
    PIN_LENGTH = "PIN_LENGTH"
    PIN_CHARACTERS = "PIN_CHARACTERS"  # blanks around it, or characters that no keyboard types into a PIN: full-width digits
    PIN_WRONG = "PIN_WRONG"
    PIN_LAST_TRY = "PIN_LAST_TRY"  # one or two tries are left and the user has not said to use them
    PIN_WINDOW_ONLY = "PIN_WINDOW_ONLY"  # a page may not use these tries: the driver's own window may
    PIN_LOCKED = "PIN_LOCKED"
    PIN_CANCELLED = "PIN_CANCELLED"
    LOCK_SIGNATURE_WRONG = "LOCK_SIGNATURE_WRONG"  # the lock's signature does not fit its certificate

    # --- receipts
    RECEIPT_UNKNOWN = "RECEIPT_UNKNOWN"  # none has this number, or its lock's ID ends otherwise
    RECEIPT_INCOMPLETE = "RECEIPT_INCOMPLETE"  # not a receipt's file, a part is missing, or its audit row is not sealed yet
    RECEIPT_ALTERED = "RECEIPT_ALTERED"  # a part does not fit the others; the facts say which
    RECEIPT_NOT_OURS = "RECEIPT_NOT_OURS"  # whole, but of another CA or platform than those that are believed

    # --- driver packages
    PACKAGE_WITHDRAWN = "PACKAGE_WITHDRAWN"
    PACKAGE_DAMAGED = "PACKAGE_DAMAGED"  # the stored file no longer has its recorded hash
    PACKAGE_REFUSED = "PACKAGE_REFUSED"  # an upload that is not an acceptable package
    UPDATE_UNREACHABLE = "UPDATE_UNREACHABLE"  # the driver cannot ask its platform for a newer version


Known = str | int | bool | None | UUID | Sequence[str | int | bool | None]
"""One thing that is known of a refused matter, as an audit row can keep it."""


class Refusal(Exception):  # noqa: N818 - a refusal is an outcome, the word is the field's, not an error of ours
    """Something outside was refused.

    ``reason`` says why; ``detail`` is a short technical sentence for operators and auditors (never personal data, never a
    secret); ``facts`` are values a sentence for people may use, e.g. ``{"tries_left": 3}``; ``about`` is what is known of the
    matter for auditors alone, e.g. ``{"lock": …, "provider": "…"}``: it never leaves the server.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        facts: Mapping[str, str | int | bool] | None = None,
        *,
        about: Mapping[str, Known] | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
        self.facts: dict[str, str | int | bool] = dict(facts or {})
        self.about: dict[str, Known] = dict(about or {})
        self.number = ""
        """Number of the audit row that records it, set when the row is written."""
