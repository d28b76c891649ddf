"""SOR_* result codes (GM/T 0020) and what our reasons become for pages written for such middleware.

Codes above 0x0B000410 are one vendor's extensions: there is no standard number for a wrong or locked PIN, and pages know these.
"""

from __future__ import annotations

from typing import Final

from calock.core.refusals import Reason

OK: Final = 0
UNKNOWN: Final = 0x0B000001
NOT_SUPPORTED: Final = 0x0B000002
LOAD_DEVICE_API: Final = 0x0B000006
ALGORITHM: Final = 0x0B000007
KEY_USAGE: Final = 0x0B000009
TIMEOUT: Final = 0x0B000101
INPUT: Final = 0x0B000201
KEY_NOT_FOUND: Final = 0x0B000309
CERTIFICATE_NOT_FOUND: Final = 0x0B000310
CERTIFICATE_ENCODING: Final = 0x0B000405
SIGN: Final = 0x0B000409
PIN_WRONG: Final = 0x0B000426
NOT_LOGGED_IN: Final = 0x0B000438
PIN_LOCKED: Final = 0x0B000442
CANCELLED: Final = 0x0B000447
DEVICE_REMOVED: Final = 0x0B000448

_R = Reason
_OF_REASON: Final[dict[Reason, int]] = {
    _R.PIN_WRONG: PIN_WRONG,
    _R.PIN_LENGTH: PIN_WRONG,
    _R.PIN_MISSING: PIN_WRONG,
    _R.PIN_CHARACTERS: PIN_WRONG,
    _R.PIN_WINDOW_ONLY: PIN_LOCKED,  # such pages know no other way to a PIN than their own: the driver's status page is left
    _R.PIN_LOCKED: PIN_LOCKED,
    _R.PIN_CANCELLED: CANCELLED,
    _R.LOCK_REMOVED: DEVICE_REMOVED,
    _R.LOCK_UNKNOWN: CERTIFICATE_NOT_FOUND,
    _R.LOCK_ABSENT: CERTIFICATE_NOT_FOUND,
    _R.LOCK_CHANGED: CERTIFICATE_NOT_FOUND,
    _R.LOCK_WITHOUT_CERTIFICATE: CERTIFICATE_NOT_FOUND,
    _R.LOCK_CERTIFICATE_HIDDEN: CERTIFICATE_NOT_FOUND,
    _R.LOCKS_ALIKE: CERTIFICATE_NOT_FOUND,
    _R.LOCK_WITHOUT_KEY: KEY_NOT_FOUND,
    _R.LOCK_SIGNATURE_WRONG: SIGN,
    _R.MODULE_FAILED: LOAD_DEVICE_API,
    _R.MODULE_MISSING: LOAD_DEVICE_API,
    _R.MODULE_ARCHITECTURE: LOAD_DEVICE_API,
    _R.MODULE_CRASHED: LOAD_DEVICE_API,
    _R.MODULE_NOT_ANSWERING: LOAD_DEVICE_API,
    _R.OPERATION_CANCELLED: CANCELLED,
    _R.DRIVER_BUSY: TIMEOUT,
    _R.TOO_MANY_ATTEMPTS: TIMEOUT,
    _R.CHALLENGE_MALFORMED: INPUT,
    _R.REQUEST_MALFORMED: INPUT,
    _R.CERTIFICATE_UNPARSABLE: CERTIFICATE_ENCODING,
    _R.CERTIFICATE_TOO_LARGE: CERTIFICATE_ENCODING,
    _R.CERTIFICATE_VERSION: CERTIFICATE_ENCODING,
    _R.CERTIFICATE_EXTENSION: CERTIFICATE_ENCODING,
    _R.ALGORITHM_NOT_ALLOWED: ALGORITHM,
    _R.KEY_USAGE_NOT_SIGNING: KEY_USAGE,
    _R.SESSION_REQUIRED: NOT_LOGGED_IN,
}

_TEXT: Final[dict[int, str]] = {
    OK: "成功",
    UNKNOWN: "驱动内部错误",
    NOT_SUPPORTED: "CA 驱动不提供此功能",
    LOAD_DEVICE_API: "CA 锁的驱动部件出现故障",
    ALGORITHM: "不支持该算法",
    KEY_USAGE: "登录密钥只能用于登录，不能对其他数据签名",
    TIMEOUT: "CA 驱动正忙，请稍后再试",
    INPUT: "输入数据错误",
    KEY_NOT_FOUND: "未找到密钥",
    CERTIFICATE_NOT_FOUND: "未检测到证书，请插入 CA 锁",
    CERTIFICATE_ENCODING: "证书编码错误",
    SIGN: "签名失败",
    PIN_WRONG: "PIN 码错误",
    NOT_LOGGED_IN: "尚未验证 PIN 码",
    PIN_LOCKED: "PIN 码已锁定，或只剩最后两次机会，请在驱动窗口中处理",
    CANCELLED: "已取消输入 PIN 码",
    DEVICE_REMOVED: "操作过程中 CA 锁被拔出",
}


def code_of(reason: Reason) -> int:
    """SOR code of a refusal; SOR_UnknownErr where there is nothing closer."""
    return _OF_REASON.get(reason, UNKNOWN)


def text_of(code: int) -> str:
    """One Chinese sentence for ``SOF_GetLastErrMsg``."""
    return _TEXT.get(code, _TEXT[UNKNOWN])
