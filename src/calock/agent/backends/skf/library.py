"""An SKF library (GM/T 0016) in Python's terms: names, texts and bytes in and out, every length checked before it is used."""

from __future__ import annotations

from typing import NewType

from calock.agent.backends.base import strip_padding
from calock.agent.backends.skf import probe
from calock.agent.backends.skf.binding import GuardedBuffer, OutParameter, SkfFunctions, load
from calock.agent.backends.skf.errors import BUFFER_TOO_SMALL, OK, SkfContractError, SkfError
from calock.agent.backends.skf.structures import (
    DEVINFO_SIZE,
    ECC_SIGNATURE_SIZE,
    DeviceInfo,
    PinInfo,
    UlongSize,
    parse_device_info,
    raw_signature,
)

Device = NewType("Device", int)
Application = NewType("Application", int)
Container = NewType("Container", int)

USER = 1
_FIRST_BUFFER = 8192
"""Large at once: some libraries crash when they are asked for a length with a NULL buffer."""
_MAX_BUFFER = 256 * 1024
_MAX_NAME, _MAX_NAMES = 260, 64
_NOT_TOLD = 0xA5A5A5A5


class SkfLibrary:
    """One vendor library, loaded into this process. Any call may hang or crash it: use it in a worker only."""

    def __init__(self, path: str, ulong: UlongSize | None = None) -> None:
        known = ulong or probe.ulong_size(path)
        self._loaded = load(path)
        self._guessed = known is None
        self.functions = SkfFunctions(self._loaded, known or 4)  # the standard's, until a DEVINFO says otherwise

    # --- devices

    def devices(self, *, present: bool = True) -> list[bytes]:
        return self._names("EnumDev", int(present))

    def connect(self, name: bytes) -> Device:
        return Device(self._handle("ConnectDev", _c_text(name)))

    def disconnect(self, device: Device) -> None:
        self.functions.call("DisConnectDev", device)

    def device_info(self, device: Device) -> DeviceInfo:
        """Read DEVINFO.

        Raises:
            SkfError: SkfContractError when what the library wrote is not this ULONG's DEVINFO.
        """
        try:
            return self._device_info(device)
        except SkfContractError:
            if not self._guessed:
                raise
        self._guessed = False
        self.functions = SkfFunctions(self._loaded, 8)  # the guard took what was too long for 4: nothing was overwritten
        return self._device_info(device)

    def _device_info(self, device: Device) -> DeviceInfo:
        ulong = self.functions.ulong
        buffer = GuardedBuffer("SKF_GetDevInfo", DEVINFO_SIZE[ulong])
        self.functions.call("GetDevInfo", device, buffer)
        try:
            return parse_device_info(buffer.bytes(), ulong)
        except ValueError as error:
            raise SkfContractError("SKF_GetDevInfo", str(error)) from error

    def wait_for_event(self) -> tuple[int, int]:
        """Block until a lock is plugged in (1) or out (2). Return the result code and the event; in a thread of its own."""
        name, size, event = (
            GuardedBuffer("SKF_WaitForDevEvent", _FIRST_BUFFER),
            self.functions.cell(_FIRST_BUFFER),
            self.functions.cell(),
        )
        code = self.functions.code("WaitForDevEvent", name, size, event)
        name.bytes()
        return code, event.value

    def cancel_wait(self) -> None:
        self.functions.code("CancelWaitForDevEvent")

    def random(self, device: Device, length: int) -> bytes:
        buffer = GuardedBuffer("SKF_GenRandom", length)
        self.functions.call("GenRandom", device, buffer, length)
        return buffer.bytes()

    # --- applications and their PIN

    def applications(self, device: Device) -> list[bytes]:
        return self._names("EnumApplication", device)

    def open_application(self, device: Device, name: bytes) -> Application:
        return Application(self._handle("OpenApplication", device, _c_text(name)))

    def close_application(self, application: Application) -> None:
        self.functions.call("CloseApplication", application)

    def pin_info(self, application: Application) -> PinInfo:
        most, left, default = self.functions.cell(), self.functions.cell(), self.functions.cell()
        self.functions.call("GetPINInfo", application, USER, most, left, default)
        return PinInfo(tries_max=most.value, tries_left=left.value, default=default.flag)

    def verify_pin(self, application: Application, pin: bytearray) -> None:
        """Spend one try.

        Raises:
            SkfError: with ``tries_left`` where the library reported it.
        """
        self._with_pins("VerifyPIN", application, pin)

    def change_pin(self, application: Application, old: bytearray, new: bytearray) -> None:
        """Spend one try and replace the user PIN. Raises as ``verify_pin``."""
        self._with_pins("ChangePIN", application, old, new)

    def clear_secure_state(self, application: Application) -> None:
        self.functions.call("ClearSecureState", application)

    def _with_pins(self, name: str, application: Application, *pins: bytearray) -> None:
        left = self.functions.cell(_NOT_TOLD)
        buffers = [GuardedBuffer("SKF_" + name, len(pin) + 1, pin) for pin in pins]
        try:
            code = self.functions.code(name, application, USER, *buffers, left)
        finally:
            for buffer in buffers:
                buffer.wipe()
        if code != OK:
            raise SkfError("SKF_" + name, code, left.value if left.value < 100 else None)

    # --- containers

    def containers(self, application: Application) -> list[bytes]:
        return self._names("EnumContainer", application)

    def open_container(self, application: Application, name: bytes) -> Container:
        return Container(self._handle("OpenContainer", application, _c_text(name)))

    def close_container(self, container: Container) -> None:
        self.functions.call("CloseContainer", container)

    def certificate(self, container: Container, *, signing: bool) -> bytes:
        """DER of the signing or the encryption certificate, without the filling some locks add; not parsed.

        Empty where a library says so that there is none.

        Raises:
            SkfError: SAR_CERTNOTFOUNDERR when there is none; some libraries have other codes for that.
        """
        return strip_padding(self._sized("ExportCertificate", container, int(signing)))

    def sign_sm2(self, container: Container, e: bytes) -> bytes:
        """Sign the 32 bytes e = SM3(Z ‖ M); r‖s, 32 bytes each, in either alignment that vendors use."""
        blob = GuardedBuffer("SKF_ECCSignData", ECC_SIGNATURE_SIZE)
        self.functions.call("ECCSignData", container, e, len(e), blob)
        try:
            return raw_signature(blob.bytes())
        except ValueError as error:
            raise SkfContractError("SKF_ECCSignData", str(error)) from error

    def sign_rsa(self, container: Container, data: bytes) -> bytes:
        """Pad ``data`` by PKCS#1 v1.5 type 1 and sign it inside the lock."""
        return self._sized("RSASignData", container, data, len(data))

    # --- the two shapes of answers

    def _handle(self, name: str, *arguments: int | bytes) -> int:
        cell = OutParameter(8)
        self.functions.call(name, *arguments, cell)
        if not cell.handle:
            raise SkfContractError("SKF_" + name, "gave no handle")
        return cell.handle

    def _sized(self, name: str, *arguments: int | bytes) -> bytes:
        raw, length = self._filled(name, *arguments)
        if length > len(raw):
            raise SkfContractError("SKF_" + name, "claims more bytes than its buffer holds")
        return raw[:length]

    def _filled(self, name: str, *arguments: int | bytes) -> tuple[bytes, int]:
        room = _FIRST_BUFFER
        while True:
            buffer, size = GuardedBuffer("SKF_" + name, room), self.functions.cell(room)
            code = self.functions.code(name, *arguments, buffer, size)
            raw = buffer.bytes()
            if code == OK:
                return raw, size.value
            if code != BUFFER_TOO_SMALL or not room < size.value <= _MAX_BUFFER:
                raise SkfError("SKF_" + name, code)
            room = size.value

    def _names(self, name: str, *arguments: int) -> list[bytes]:
        """Read a list of names, each ended by NUL, the list by an empty one. The claimed length is not relied on."""
        raw, length = self._filled(name, *arguments)
        if length > len(raw):
            raise SkfContractError("SKF_" + name, "claims more bytes than its buffer holds")
        names: list[bytes] = []
        at = 0
        while at < len(raw) and raw[at]:
            end = raw.find(b"\0", at)
            if end < 0 or end - at > _MAX_NAME or len(names) == _MAX_NAMES:
                raise SkfContractError("SKF_" + name, "list of names has no end")
            names.append(raw[at:end])
            at = end + 1
        return names


def _c_text(name: bytes) -> bytes:
    return name + b"\0"
