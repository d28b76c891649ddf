"""How large a form may be: a form is parsed before any view can say no, so the limit stands here, by who sends it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

from calock.wire.package import MAX_PACKAGE

ANYBODY = 256 * 1024
"""Bytes of a multipart form from clients other than logged-in operators; none of our pages sends a larger one."""
OPERATOR = MAX_PACKAGE + 1024 * 1024


class BoundedUploads(FileUploadHandler):
    """First of the upload handlers: refuses a form by its announced length before a byte of it is kept."""

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: Any = None  # noqa: ARG002, N803 - Django's
    ) -> None:  # fmt: skip
        session = getattr(self.request, "login_session", None)
        limit = OPERATOR if session is not None and session.account.is_operator else ANYBODY
        if content_length > limit:
            raise RequestDataTooBig(f"a form of {content_length} bytes; at most {limit}")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:  # noqa: ARG002 - Django's
        return raw_data

    def file_complete(self, file_size: int) -> None:  # noqa: ARG002 - Django's
        return None
