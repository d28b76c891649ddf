"""One SOF_* call of a page: its parameters, read as the types the function needs, and what the page has done before."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass, field
from typing import Final

from calock.agent.compat import cert_info, codes
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal

Parameter = str | int | float | bool | None
Value = str | int | bool
SIGN_METHODS: Final = (0x00020201, 0x00010004)
"""SGD_SM3_SM2, SGD_SHA256_RSA. Which one is used follows from the lock's key; SHA-1 and MD5 are not offered."""


@dataclass(slots=True)
class PageState:
    """What one origin has done so far. No PIN, no key, no signature is kept."""

    last_error: int = codes.OK
    sign_method: int = SIGN_METHODS[0]
    logins: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Token -> (lock, time of expiry): proof that a PIN was right. It gives no access to anything."""


@dataclass(slots=True)
class Call:
    """One call with its parameters, read as the types the function needs."""

    origin: str
    page: PageState
    parameters: tuple[Parameter, ...]
    numbering: cert_info.Numbering
    token: str
    code: int = codes.OK
    new_token: str = ""

    def text(self, index: int) -> str:
        """Return a parameter that must be text: a PIN that arrives as a number has already lost its leading zeros.

        Raises:
            Refusal: REQUEST_MALFORMED.
        """
        value = self.parameters[index] if index < len(self.parameters) else None
        if not isinstance(value, str):
            raise Refusal(Reason.REQUEST_MALFORMED, f"parameter {index + 1} is not text")
        return value

    def number(self, index: int) -> int:
        """Return a parameter that is a number, or text of one."""
        value = self.parameters[index] if index < len(self.parameters) else None
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refusal(Reason.REQUEST_MALFORMED, f"parameter {index + 1} is not a number")
        return value

    def decoded(self, index: int) -> bytes:
        try:
            return base64.b64decode("".join(self.text(index).split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refusal(Reason.REQUEST_MALFORMED, f"parameter {index + 1} is not base64") from error

    def certificate(self, index: int) -> Certificate:
        return Certificate.parse(self.decoded(index))

    def logged_in(self, lock: str) -> bool:
        found = self.page.logins.get(self.token)
        return found is not None and found[0] == lock and found[1] > time.monotonic()
