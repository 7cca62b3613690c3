"""Read the photo in a request's body. It is the whole body or a file of a multipart form."""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mpscnn.errors import ImageError

__all__ = ["photo_in"]

_MAX_PARTS = 100
_LONGEST_BOUNDARY = 70  # characters (RFC 2046, 5.1.1)


def photo_in(body: bytearray, content_type: str) -> bytes:
    """Return the bytes of the photo: the body, or the first field of the form that has a file name.

    Raises:
        ImageError: there is no photo, or the form is damaged.
    """
    if not content_type.lower().startswith("multipart/"):
        if not body:
            raise ImageError("the body is empty; it must be an image file, such as JPEG or PNG")
        return bytes(body)
    kind, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= _LONGEST_BOUNDARY:
        raise ImageError(
            f"a form must be multipart/form-data with a boundary of 1 to {_LONGEST_BOUNDARY} characters"
        )
    form = _Form()
    try:
        MultipartParser(boundary, form.callbacks()).write(bytes(body))
    except _FileEnd:
        return bytes(form.file)
    except FormParserError as error:
        raise ImageError(f"the form is damaged: {error}") from None
    raise ImageError("the form is cut off" if form.in_file else "the form has no file")


class _FileEnd(Exception):
    """Stops the parser after the photo, since the rest of the form is not needed."""


class _Form:
    """Collects the photo's bytes while python-multipart parses a form."""

    def __init__(self) -> None:
        self.file = bytearray()
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
        if self._parts > _MAX_PARTS:
            raise ImageError(f"the form has more than {_MAX_PARTS} fields before its file")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self.in_file = b"filename" in parse_options_header(self._value)[1]
        self._name = self._value = b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self.in_file:
            self.file += memoryview(data)[start:end]

    def _part_end(self) -> None:
        if self.in_file:
            raise _FileEnd
