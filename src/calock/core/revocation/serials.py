"""Serial numbers as encoders of unsigned numbers write them: without the octet that would say that they are not negative."""

from __future__ import annotations

from typing import Final

_BITS_OF_A_RANDOM_SERIAL: Final = 64


def without_sign_octet(serial: int) -> int | None:
    """The negative number that a serial number reads as when its sign octet is left out; None: it has none, or is short.

    With 8 octets or more no other certificate of the CA has that number by accident. A shorter one may be a negative serial of its
    own (RFC 5280 clause 4.1.2.2, PKITS 4.4.14).
    """
    bits = serial.bit_length()
    return serial - (1 << bits) if serial > 0 and bits % 8 == 0 and bits >= _BITS_OF_A_RANDOM_SERIAL else None
