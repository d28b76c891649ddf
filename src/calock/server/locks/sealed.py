"""Lock certificates at rest: they hold their holder's 身份证号 in clear, so the database keeps them encrypted.

A copy of the database without the server's secret holds no 身份证号. A certificate put into another row does not open.
"""

from __future__ import annotations

from calock.core.refusals import Reason, Refusal
from calock.server.tools import encryption


def seal(der: bytes, cert_sha256: str) -> bytes:
    """``der`` as the database keeps it."""
    return encryption.encrypt(der, "certificates", cert_sha256)


def newest_prefix() -> bytes:
    """How everything begins that the newest key sealed."""
    return encryption.newest_prefix("certificates")


def unseal(sealed: bytes, cert_sha256: str) -> bytes:
    """The certificate's DER again.

    Raises:
        Refusal: CERTIFICATE_UNPARSABLE when it was changed, belongs to another row, or was sealed under another secret.
    """
    try:
        return encryption.decrypt(sealed, "certificates", cert_sha256)
    except encryption.NotOpenedError as error:
        raise Refusal(Reason.CERTIFICATE_UNPARSABLE, f"the stored certificate does not open: {error}") from error
