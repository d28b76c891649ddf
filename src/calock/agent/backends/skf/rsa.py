"""RSA with a SKF lock: vendors differ in what ``SKF_RSASignData`` takes, so each answer is checked before it is used.

The standard's function pads what it is given (PKCS#1 v1.5), so it is given a DigestInfo. Some vendors take the bare digest and
put the DigestInfo around it themselves. The certificate's key tells which one this lock did.
"""

from __future__ import annotations

from calock.agent import signing
from calock.agent.backends.skf.errors import SkfError
from calock.agent.backends.skf.library import Container, SkfLibrary
from calock.agent.signing import SigningInput
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal

_DIGEST = 32
_NEXT_FORM = frozenset({Reason.MODULE_FAILED, Reason.LOCK_SIGNATURE_WRONG})


def sign(library: SkfLibrary, container: Container, certificate: bytes, signing_input: SigningInput) -> bytes:
    """Sign with RS256 while the PIN state is open.

    Raises:
        Refusal: LOCK_SIGNATURE_WRONG, nothing the lock made fits its certificate; as ``Certificate.parse``.
        SkfError: the lock refused every form.
    """
    holder = Certificate.parse(certificate)
    failure: SkfError | Refusal | None = None
    for data in (signing_input.e, signing_input.e[-_DIGEST:]):
        try:
            signature = library.sign_rsa(container, data)
            signing.require_good_signature(holder, signing_input, signature)
        except (SkfError, Refusal) as error:
            if error.reason not in _NEXT_FORM:
                raise
            failure = (
                error if failure is None or isinstance(error, Refusal) else failure
            )  # a wrong signature is the more specific failure
        else:
            return signature
    assert failure is not None
    raise failure
