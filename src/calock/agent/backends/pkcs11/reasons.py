"""The reason that each error of a PKCS#11 library becomes (PKCS#11 2.40 clause 5.1). All others are MODULE_FAILED."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from pkcs11 import exceptions as errors

from calock.core.refusals import Reason, Refusal

REASONS: Final[dict[type[Exception], Reason]] = {
    errors.PinIncorrect: Reason.PIN_WRONG,
    errors.PinLocked: Reason.PIN_LOCKED,
    errors.PinLenRange: Reason.PIN_LENGTH,
    errors.PinInvalid: Reason.PIN_LENGTH,
    errors.PinTooWeak: Reason.PIN_LENGTH,
    errors.PinExpired: Reason.PIN_LOCKED,
    errors.DeviceRemoved: Reason.LOCK_REMOVED,
    errors.TokenNotPresent: Reason.LOCK_REMOVED,
    errors.TokenNotRecognised: Reason.LOCK_REMOVED,
    errors.SlotIDInvalid: Reason.LOCK_REMOVED,
    errors.SessionHandleInvalid: Reason.LOCK_REMOVED,
    errors.SessionClosed: Reason.LOCK_REMOVED,
    errors.FunctionCancelled: Reason.PIN_CANCELLED,
    errors.FunctionRejected: Reason.PIN_CANCELLED,  # the person said no on the lock's own button
    errors.UserPinNotInitialized: Reason.LOCK_WITHOUT_CERTIFICATE,  # as empty as that: only the CA can help
    errors.UserAlreadyLoggedIn: Reason.DRIVER_BUSY,  # another program on this computer uses the lock
    errors.UserNotLoggedIn: Reason.DRIVER_BUSY,  # it logged out meanwhile
    errors.AnotherUserAlreadyLoggedIn: Reason.DRIVER_BUSY,
    errors.UserTooManyTypes: Reason.DRIVER_BUSY,
    errors.SessionCount: Reason.DRIVER_BUSY,
}


def reason_of(error: errors.PKCS11Error) -> Reason:
    """Why a library refused; MODULE_FAILED where its code says nothing that a person could act on."""
    return next((reason for kind, reason in REASONS.items() if isinstance(error, kind)), Reason.MODULE_FAILED)


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Turn the library's errors into refusals."""
    try:
        yield
    except errors.PKCS11Error as error:
        raise Refusal(reason_of(error), f"PKCS#11 {type(error).__name__}") from error
