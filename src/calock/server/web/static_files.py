"""Static files under names with a hash once they were collected; under their own names before, in tests and development."""

from __future__ import annotations

from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage


class Storage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # no type information published
    """``calock serve`` collects at every start; a process that never did still shows pages."""

    manifest_strict = False

    support_js_module_import_aggregation = True
    """What a module imports has a hash in its name too, so that browsers keep all of them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._addresses: dict[str, str] = {}

    def stored_name(self, name: str) -> str:
        if not self.hashed_files:
            return name
        stored: str = super().stored_name(name)
        return stored

    def url(self, name: str, force: bool = False) -> str:
        """Worked out once for each file and process: a page has forty of them, and collected files stay as they are."""
        if force or not self.hashed_files:
            return str(super().url(name, force))
        address = self._addresses.get(name)
        if address is None:
            address = self._addresses[name] = str(super().url(name))
        return address
