"""The SOF_* functions (GM/T 0020) over the driver's lock table, for one page's origin each.

What is refused, is refused on purpose: the login key signs logins only, so there is no signature over data, message, file or
hash, no decryption, and no unlocking with an administrator PIN that a page would have to know. ``SOF_Authenticate`` is ours: it
takes a platform's challenge and returns the answer.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from calock import __version__
from calock.agent.compat import cert_info, codes
from calock.agent.compat.call import SIGN_METHODS, Call, PageState, Parameter, Value
from calock.agent.compat.table import EMPTY, REFUSED
from calock.agent.locks import ListedCertificate, LockTable, mask, printable
from calock.agent.operations import Operations
from calock.core import libcrypto
from calock.core.certificates import signatures
from calock.core.refusals import Reason, Refusal
from calock.wire import driver as wire

LOGIN_SECONDS: Final = 600.0
_MAX_RANDOM: Final = 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What a function returned; ``token`` after a successful SOF_Login."""

    value: Value
    token: str = ""


class UnknownFunctionError(Exception):
    """A name that neither GM/T 0020 nor the middleware family has."""


class Functions:
    """All functions of all pages."""

    def __init__(self, table: LockTable, operations: Operations, require_rate: Callable[[str], None]) -> None:
        self._table, self._operations, self._require_rate = table, operations, require_rate
        self._pages: dict[str, PageState] = {}
        self._done: dict[str, Callable[[Call], Awaitable[Value]]] = {
            "SOF_GetVersion": self._version,
            "SOF_SetSignMethod": self._set_sign_method,
            "SOF_GetSignMethod": self._get_sign_method,
            "SOF_GetUserList": self._user_list,
            "SOF_ExportUserCert": self._certificate,
            "SOF_Login": self._login,
            "SOF_Logout": self._logout,
            "SOF_IsLogin": self._is_login,
            "SOF_GetPinRetryCount": self._tries,
            "SOF_ChangePassWd": self._change_pin,
            "SOF_GetCertInfo": self._info,
            "SOF_GetCertInfoByOid": self._info_by_oid,
            "SOF_GetDeviceInfo": self._device_info,
            "GetDeviceInfo": self._device_info,
            "SOF_ValidateCert": self._validate,
            "SOF_VerifySignedData": self._verify,
            "SOF_GenRandom": self._random,
            "SOF_GetLastError": self._last_error,
            "SOF_GetLastErrMsg": self._last_text,
            "GetDeviceCount": self._device_count,
            "GetAllDeviceSN": self._device_serials,
            "GetEnvVersion": self._version,
            "SOF_Authenticate": self._authenticate,
        }

    @property
    def names(self) -> frozenset[str]:
        """Names of all functions that are offered."""
        return frozenset(self._done)

    async def call(
        self, origin: str, function: str, parameters: tuple[Parameter, ...], *, numbering: cert_info.Numbering, token: str = ""
    ) -> Reply:
        """Do one call. A refusal becomes the function's empty value and a code for SOF_GetLastError, as such pages expect.

        Raises:
            UnknownFunctionError: no such function.
        """
        page = self._pages.setdefault(origin, PageState())
        if function in REFUSED:
            page.last_error, value = REFUSED[function]
            return Reply(value)
        handle = self._done.get(function)
        if handle is None:
            raise UnknownFunctionError
        call = Call(origin, page, parameters, numbering, token)
        try:
            value = await handle(call)
        except Refusal as refusal:
            self._operations.reasons[refusal.reason] += 1
            page.last_error = codes.code_of(refusal.reason)
            return Reply(EMPTY.get(function, ""))
        if function not in ("SOF_GetLastError", "SOF_GetLastErrMsg"):
            page.last_error = call.code
        return Reply(value, call.new_token)

    # --- about the driver

    async def _version(self, _: Call) -> Value:
        return f"calock {__version__}"

    async def _set_sign_method(self, call: Call) -> Value:
        method = call.number(0)
        if method not in SIGN_METHODS:
            call.code = codes.ALGORITHM
            return codes.ALGORITHM
        call.page.sign_method = method
        return codes.OK

    async def _get_sign_method(self, call: Call) -> Value:
        return call.page.sign_method

    async def _random(self, call: Call) -> Value:
        length = call.number(0)
        if not 0 < length <= _MAX_RANDOM:
            raise Refusal(Reason.REQUEST_MALFORMED, "length of the random")
        return base64.b64encode(secrets.token_bytes(length)).decode()

    async def _last_error(self, call: Call) -> Value:
        return call.page.last_error

    async def _last_text(self, call: Call) -> Value:
        return codes.text_of(call.page.last_error)

    # --- locks

    async def _user_list(self, call: Call) -> Value:
        await self._table.refresh()
        view = self._table.view(call.origin)
        if not view.locks:
            call.code = codes.CERTIFICATE_NOT_FOUND
        return "".join(f"{_plain(lock.name)}{'(已过期)' if lock.expired else ''}||{lock.id}&&&" for lock in view.locks)

    async def _certificate(self, call: Call) -> Value:
        return base64.b64encode(self._entry(call).certificate.der).decode()

    async def _tries(self, call: Call) -> Value:
        await self._table.refresh()
        left = self._entry(call).record.pin.tries_left
        if left is None:
            call.code = codes.NOT_SUPPORTED
            return -1
        return left

    async def _device_info(self, call: Call) -> Value:
        entry, number = self._entry(call), call.number(1)
        record = entry.record
        serial = printable(record.serial, 64) if call.logged_in(call.text(0)) else mask(record.serial)
        known = {
            0x203: printable(record.label, 64), 0x204: printable(record.manufacturer, 64), 0x208: serial,
            7: "SOFT" if entry.module.kind == "soft" else "HARD",
        }  # fmt: skip
        if number not in known:
            call.code = codes.NOT_SUPPORTED
        return known.get(number, "")

    async def _device_count(self, call: Call) -> Value:
        return len(self._serials(call))

    async def _device_serials(self, call: Call) -> Value:
        return "".join(serial + ";" for serial in self._serials(call))

    def _serials(self, call: Call) -> list[str]:
        return list({lock.device: lock.device_serial for lock in self._table.view(call.origin).locks}.values())

    def _entry(self, call: Call) -> ListedCertificate:
        return self._table.resolve(call.origin, call.text(0))

    # --- PIN and login

    async def _login(self, call: Call) -> Value:
        """Verify the PIN by signing a text that no server accepts. The signature is discarded and no PIN is kept."""
        lock, pin = call.text(0), call.text(1)
        self._require_rate(call.origin)
        unusable_challenge = "c0.pin." + secrets.token_urlsafe(48)
        await self._operations.authenticate(call.origin, wire.AuthenticateRequest(lock=lock, challenge=unusable_challenge, pin=pin))
        call.new_token = secrets.token_urlsafe(24)
        call.page.logins = {token: entry for token, entry in call.page.logins.items() if entry[1] > time.monotonic()}
        call.page.logins[call.new_token] = (lock, time.monotonic() + LOGIN_SECONDS)
        return True

    async def _logout(self, call: Call) -> Value:
        call.page.logins.pop(call.token, None)
        return True

    async def _is_login(self, call: Call) -> Value:
        return call.logged_in(call.text(0))

    async def _change_pin(self, call: Call) -> Value:
        self._require_rate(call.origin)
        await self._operations.change_pin(
            call.origin, wire.ChangePinRequest(lock=call.text(0), old_pin=call.text(1), new_pin=call.text(2))
        )
        return True

    async def _authenticate(self, call: Call) -> Value:
        """``(CertID, PIN, challenge)``: the answer of ``/v1/authenticate`` as JSON text."""
        self._require_rate(call.origin)
        request = wire.AuthenticateRequest(lock=call.text(0), pin=call.text(1), challenge=call.text(2))
        return msgspec.json.encode(await self._operations.authenticate(call.origin, request)).decode()

    # --- certificates

    async def _info(self, call: Call) -> Value:
        value = cert_info.item(call.certificate(0), call.number(1), call.numbering)
        if value is None:
            call.code = codes.NOT_SUPPORTED
        return value or ""

    async def _info_by_oid(self, call: Call) -> Value:
        return cert_info.by_oid(call.certificate(0), call.text(1))

    async def _validate(self, call: Call) -> Value:
        """Judge the dates by this computer's clock: trust and revocation are the platform's verdict, not the driver's."""
        try:
            certificate = call.certificate(0)
        except Refusal:
            return -6
        now = datetime.now(UTC)
        if certificate.not_after < now:
            return -2
        return -5 if certificate.not_before > now else 0

    async def _verify(self, call: Call) -> Value:
        certificate, data, signature = call.certificate(0), call.text(1).encode(), call.decoded(2)
        if certificate.algorithm == "SM2":
            der = libcrypto.raw_to_der(signature) if len(signature) == 64 else signature
            return libcrypto.sm2_verify(certificate.spki_der, der, data)
        try:
            signatures.verify(certificate.spki_der, "RS256" if certificate.algorithm == "RSA" else "ES256", data, signature)
        except Refusal:
            return False
        return True


def _plain(name: str) -> str:
    """Return a name without what separates the parts of the list: full-width characters stand in its place."""
    return re.sub("&{3,}", "＆", name.replace("|", "｜"))
