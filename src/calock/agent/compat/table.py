"""What is refused on purpose, and what a function returns when it fails."""

from __future__ import annotations

from typing import Final

from calock.agent.compat import codes
from calock.agent.compat.call import Value

_SIGN = ("SOF_SignData", "SOF_SignFile", "SOF_SignMessage", "SOF_SignMessageDetach", "SOF_SignDataXML", "SOF_SignHashData")
_NO_TEXT = (
    "SOF_DecryptData", "SOF_PriKeyDecrypt", "SOF_EncryptData", "SOF_PubKeyEncrypt", "SOF_ExportExchangeUserCert",
    "SOF_ExportExChangeUserCert", "SOF_GetInfoFromSignedMessage", "SOF_GetXMLSignatureInfo", "SOF_GetCertEntity",
    "SOF_SecertSegment", "SOF_SecertRecovery",
)  # fmt: skip
_NO_TRUTH = (
    "SOF_DecryptFile", "SOF_EncryptFile", "SOF_VerifySignedFile", "SOF_VerifySignedMessage", "SOF_VerifySignedDataXML",
    "UnlockUserPass",
)  # fmt: skip
_NO_METHOD = ("SOF_SetEncryptMethod", "SOF_GetEncryptMethod")

REFUSED: Final[dict[str, tuple[int, Value]]] = {
    **dict.fromkeys(_SIGN, (codes.KEY_USAGE, "")),
    **dict.fromkeys(_NO_TEXT, (codes.NOT_SUPPORTED, "")),
    **dict.fromkeys(_NO_TRUTH, (codes.NOT_SUPPORTED, False)),
    **dict.fromkeys(_NO_METHOD, (codes.NOT_SUPPORTED, codes.NOT_SUPPORTED)),
}
"""Function -> (code for SOF_GetLastError, what it returns)."""

EMPTY: Final[dict[str, Value]] = {
    "SOF_Login": False,
    "SOF_IsLogin": False,
    "SOF_ChangePassWd": False,
    "SOF_VerifySignedData": False,
    "SOF_GetPinRetryCount": -1,
    "SOF_SetSignMethod": codes.INPUT,
}
"""Function -> what it returns after a failure; the empty text for all others."""
