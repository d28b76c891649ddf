"""The HTTP status of each refusal (RFC 9110 clause 15.5): one table for the server and the driver."""

from __future__ import annotations

from typing import Final

from calock.core.refusals import Reason

_BY_STATUS: Final[dict[int, tuple[Reason, ...]]] = {
    # what was sent cannot be used as it is
    400: (
        Reason.TOKEN_EMPTY, Reason.TOKEN_MALFORMED, Reason.TOKEN_FORMAT_UNSUPPORTED, Reason.REQUEST_MALFORMED,
        Reason.CHALLENGE_MALFORMED, Reason.REASON_MISSING, Reason.PASSWORD_UNACCEPTABLE, Reason.CONTACT_UNUSABLE,
        Reason.CA_CERTIFICATE_REFUSED,
        Reason.PROVIDER_RULES_REFUSED, Reason.PIN_MISSING, Reason.PIN_LENGTH, Reason.PIN_CHARACTERS,
        Reason.PACKAGE_REFUSED, Reason.DRIVER_KEY_INVALID, Reason.APPLICATION_REFUSED, Reason.APPLICATION_UNKNOWN,
        Reason.APPLICATION_REQUEST_WRONG, Reason.APPLICATION_REQUEST_OVER, Reason.REDIRECT_NOT_REGISTERED,
        # not 5xx: whoever makes a parser stumble is a client with a bad answer, and the server stands; the sentence says all the
        # same whose fault it is, and the log has the traceback
        Reason.ANSWER_NOT_JUDGED, Reason.RECEIPT_ALTERED, Reason.RECEIPT_NOT_OURS,
    ),
    # nobody is logged in, or the driver's own page has no session of its own any more
    401: (Reason.CREDENTIALS_WRONG, Reason.PASSWORD_CODE_WRONG, Reason.CODE_WRONG, Reason.SESSION_REQUIRED, Reason.SESSION_ENDED),
    404: (
        Reason.BINDING_NOT_FOUND, Reason.NOT_FOUND, Reason.DRIVER_ABSENT, Reason.LOCK_ABSENT, Reason.LOCK_UNKNOWN,
        Reason.LOCK_WITHOUT_CERTIFICATE, Reason.LOCK_WITHOUT_KEY, Reason.RECEIPT_UNKNOWN,
    ),
    # the state of things is against it; the user can change that and ask again
    409: (
        Reason.CHALLENGE_SPENT, Reason.LOCK_BOUND_TO_OTHER, Reason.LOCK_ALREADY_BOUND, Reason.KEY_ALREADY_KNOWN,
        Reason.BINDING_ALREADY_ENDED, Reason.LAST_LOCK, Reason.CA_KEY_KNOWN, Reason.PROVIDER_WITHOUT_ANCHOR, Reason.APPROVAL_CLOSED,
        Reason.APPROVAL_WAITING, Reason.VERSION_CHANGED, Reason.DRIVER_BUSY, Reason.DRIVER_OTHER_VENDOR,
        Reason.LOCK_REMOVED, Reason.LOCK_CHANGED, Reason.SEVERAL_LOCKS, Reason.PIN_LAST_TRY, Reason.PIN_WINDOW_ONLY,
        Reason.LOCK_CERTIFICATE_HIDDEN, Reason.LOCK_LIST_CUT, Reason.LOCKS_ALIKE, Reason.OPERATION_CANCELLED, Reason.DRIVER_SEVERAL,
        Reason.DRIVER_CHANGED, Reason.RECEIPT_INCOMPLETE,
        Reason.DRIVER_PORT_TAKEN, Reason.DRIVER_PORTS_TAKEN,
    ),
    410: (Reason.PACKAGE_WITHDRAWN,),
    413: (Reason.TOKEN_TOO_LARGE, Reason.REQUEST_TOO_LARGE),
    421: (Reason.HOST_UNKNOWN,),
    426: (Reason.DRIVER_TOO_OLD,),
    429: (Reason.TOO_MANY_CODES, Reason.TOO_MANY_ATTEMPTS, Reason.PASSWORD_TRIES_USED_UP),
    # an error of the driver itself; the server sends none of its own
    500: (Reason.DRIVER_FAILED,),
    # what the driver asks, a vendor's library or a lock, gave nothing that can be used
    502: (
        Reason.MODULE_FAILED, Reason.MODULE_MISSING, Reason.MODULE_ARCHITECTURE, Reason.MODULE_CRASHED, Reason.MODULE_NOT_ANSWERING,
        Reason.LOCK_SIGNATURE_WRONG,
    ),
    503: (
        Reason.DRIVER_NOT_ANSWERING, Reason.SERVER_BUSY, Reason.DATABASE_UNAVAILABLE, Reason.CHANNEL_OFF, Reason.REGISTER_DAMAGED,
        Reason.PACKAGE_DAMAGED, Reason.UPDATE_UNREACHABLE,
    ),
}  # fmt: skip
_STATUS: Final = {reason: status for status, reasons in _BY_STATUS.items() for reason in reasons}


def status_of(reason: Reason) -> int:
    """HTTP status of a refusal: 403, understood and refused, where no other says it better."""
    return _STATUS.get(reason, 403)
