"""Licence texts of every wheel in a package, read out of the wheels themselves."""

from __future__ import annotations

import re
import zipfile
from email.parser import BytesParser
from email.policy import compat32
from pathlib import Path

_LICENCE = re.compile(r"(^|/)(licen[cs]es?/.+|(licen[cs]e|copying|notice|authors)[^/]*)$", re.IGNORECASE)


class LicenceError(RuntimeError):
    """A wheel without a licence text or a named licence: it must not be handed on."""


def _named(metadata: bytes) -> tuple[str, str, str]:
    """(name, version, licence as the wheel names it)."""
    fields = BytesParser(policy=compat32).parsebytes(metadata, headersonly=True)
    classifiers = [text.rpartition(" :: ")[2] for text in fields.get_all("Classifier", []) if text.startswith("License ::")]
    named = fields.get("License-Expression") or fields.get("License") or ", ".join(classifiers)
    return fields["Name"], fields["Version"], str(named).strip().splitlines()[0] if named else ""


def licences(wheels: list[Path]) -> dict[str, bytes]:
    """Files for the package's ``licences/`` folder, one folder per project and a list of all.

    Raises:
        LicenceError: a wheel says nothing about its licence.
    """
    found: dict[str, bytes] = {}
    lines: set[str] = set()
    for path in wheels:
        with zipfile.ZipFile(path) as wheel:
            info = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
            name, version, named = _named(wheel.read(info))
            folder = info.rpartition("/")[0]
            texts = [member for member in wheel.namelist() if member.startswith(folder) and _LICENCE.search(member[len(folder) :])]
            if not texts and not named:
                raise LicenceError(f"{path.name} names no licence")
            lines.add(f"{name} {version}: {named or 'see its text'}")
            for member in texts:
                inner = member[len(folder) + 1 :].replace("/", "-")
                found[f"licences/{name}-{version}/{inner}"] = wheel.read(member)
    found["licences/list.txt"] = ("\n".join(sorted(lines, key=str.casefold)) + "\n").encode()
    return found
