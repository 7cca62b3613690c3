"""Read the photo in a request's body. It is the whole body or a file of a multipart form."""

from __future__ import annotations

import re

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mpscnn.errors import ImageError

__all__ = ["read_photo"]

_MAX_FIELDS = 100  # before the file
_MAX_BOUNDARY = 70  # characters (RFC 2046, 5.1.1)
_MAX_BOUNDARIES = 1_000
_MAX_PADDING = 100  # spaces after a boundary


def read_photo(body: bytearray, content_type: str) -> memoryview:
    """Return the bytes of the photo: the body, or the first field of the form that has a file name.

    Raises:
        ImageError: there is no photo, or the form is damaged.
    """
    if not content_type.lower().startswith("multipart/"):
        if not body:
            raise ImageError("the body is empty; it must be an image file, such as JPEG or PNG")
        return memoryview(body)
    kind, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= _MAX_BOUNDARY:
        raise ImageError(
            f"a form must be multipart/form-data with a boundary of 1 to {_MAX_BOUNDARY} characters"
        )
    # python-multipart takes a step of Python for each boundary in a field's content, and for each space after one.
    if body.count(b"--" + boundary) > _MAX_BOUNDARIES:
        raise ImageError(f"the form has more than {_MAX_BOUNDARIES} boundaries")
    if re.search(rb"--%b[ \t]{%d}" % (re.escape(boundary), _MAX_PADDING + 1), body):
        raise ImageError(f"the form is damaged: more than {_MAX_PADDING} spaces follow its boundary")
    form = _Form()
    try:
        MultipartParser(boundary, form.callbacks()).write(body)  # which it only reads
    except _FileEnd:
        return memoryview(body)[form.start : form.end]
    except FormParserError as error:
        raise ImageError(f"the form is damaged: {error}") from None
    raise ImageError("the form is cut off" if form.in_file else "the form has no file")


class _FileEnd(Exception):
    """Stops the parser after the photo, since the rest of the form is not needed."""


class _Form:
    """Finds the place of the photo while python-multipart parses a form."""

    def __init__(self) -> None:
        self.start: int | None = None
        self.end = 0
        self.in_file = False
        self._parts = 0
        self._name = b""
        self._value = b""

    def callbacks(self) -> dict[str, object]:
        """Return the callbacks for the parser."""
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
        }

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_FIELDS + 1:
            raise ImageError(f"the form has more than {_MAX_FIELDS} fields before its file")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self.in_file = b"filename" in parse_options_header(self._value)[1]
        self._name = self._value = b""

    def _part_data(self, _data: bytes, start: int, end: int) -> None:
        # All of the form is parsed at once, so the parts of a field's content follow each other in it.
        if self.in_file:
            self.start = start if self.start is None else self.start
            self.end = end

    def _part_end(self) -> None:
        if self.in_file:
            raise _FileEnd
