"""The file of a receipt: a ZIP in the shape of an ASiC container (ETSI EN 319 162-1), the ``mimetype`` first and stored.

One content gives one file, octet by octet: nothing is compressed, and every date is the same. So a file that is written again from
its parts and differs was changed somewhere.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from calock.core.refusals import Reason, Refusal

MIMETYPE = b"application/vnd.calock.receipt+zip"
MAX_FILE = 96 * 1024 * 1024
MAX_PARTS = 200
_DATE = (2000, 1, 1, 0, 0, 0)


def pack(parts: Mapping[str, bytes]) -> bytes:
    """The file with these parts, by name."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {"mimetype": MIMETYPE, **dict(sorted(parts.items()))}.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, content)
    return written.getvalue()


def unpack(file: bytes) -> dict[str, bytes]:
    """The parts of a file.

    Raises:
        Refusal: RECEIPT_INCOMPLETE for what is no receipt's file; RECEIPT_ALTERED, naming the part that does not fit its own
            checksum, or the container.
    """
    if len(file) > MAX_FILE:
        raise Refusal(Reason.RECEIPT_INCOMPLETE, "larger than any receipt")
    name = "container"
    try:
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            listed = archive.infolist()
            if not listed or listed[0].filename != "mimetype" or len(listed) > MAX_PARTS:
                raise Refusal(Reason.RECEIPT_INCOMPLETE, "not a file of receipts")
            if any(info.compress_type != zipfile.ZIP_STORED for info in listed) or sum(i.file_size for i in listed) > MAX_FILE:
                raise Refusal(Reason.RECEIPT_ALTERED, name, {"part": name})
            parts: dict[str, bytes] = {}
            for info in listed:
                name = info.filename
                parts[name] = archive.read(info)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError, EOFError) as error:
        if name == "container":
            raise Refusal(Reason.RECEIPT_INCOMPLETE, "not a file of receipts") from error
        raise Refusal(Reason.RECEIPT_ALTERED, name, {"part": name}) from error
    if parts.pop("mimetype") != MIMETYPE:
        raise Refusal(Reason.RECEIPT_INCOMPLETE, "not a file of receipts")
    return parts
