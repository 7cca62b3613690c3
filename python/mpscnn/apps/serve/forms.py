"""Read the photo in a request's body: the whole body, or the file of a multipart form. Other fields are options."""

from __future__ import annotations

import re
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mpscnn.errors import ImageError, ParameterError

_MAX_FIELDS = 100
_MAX_VALUE = 10_000  # bytes of a field that is not the file
_MAX_BOUNDARY = 70  # characters (RFC 2046, 5.1.1)
_MAX_BOUNDARIES = 1_000
_MAX_PADDING = 100  # spaces after a boundary
_MAX_HEADER = 1_024  # bytes of a header of a field
#: Semicolons of a header. python-multipart needs time in proportion to their square.
_MAX_PARAMETERS = 100


@dataclass(frozen=True)
class Form:
    """The photo's bytes, and the form's other fields in their order."""

    photo: memoryview
    fields: tuple[tuple[str, str], ...] = ()


def is_form(content_type: str) -> bool:
    """Return True if a body of this type is a form."""
    return content_type.lower().startswith("multipart/")


def whole_body(body: bytearray) -> Form:
    """Return a body that is a photo itself. Raise ImageError if it is empty."""
    if not body:
        raise ImageError("the body is empty; it must be an image file, such as JPEG or PNG")
    return Form(memoryview(body))


def read_form(body: bytearray, content_type: str) -> Form:
    """Read the fields of a form. The photo is the field that has a file name.

    Raises:
        ImageError: there is no photo, or the form is damaged or has too many fields.
        ParameterError: the form has several files, or a field is too long.
    """
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
    form = _Reader(body)
    try:
        MultipartParser(boundary, form.callbacks(), max_header_size=_MAX_HEADER).write(
            body
        )  # which it only reads
    except FormParserError as error:
        raise ImageError(f"the form is damaged: {error}") from None
    if not form.is_complete:
        raise ImageError("the form is cut off" if form.in_part else "the form has no file")
    if form.photo is None:
        raise ImageError("the form has no file")
    return Form(form.photo, tuple(form.fields))


class _Reader:
    """Collects the fields of a form while python-multipart parses it."""

    def __init__(self, body: bytearray) -> None:
        self.photo: memoryview | None = None
        self.fields: list[tuple[str, str]] = []
        self.in_part = False
        self.is_complete = False
        self._body = body
        self._parts = 0
        self._header = b""
        self._value = b""
        self._disposition: dict[bytes, bytes] = {}
        self._start: int | None = None
        self._end = 0

    def callbacks(self) -> dict[str, object]:
        """Return the callbacks for the parser."""
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._form_end,
        }

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_FIELDS + 1:
            raise ImageError(f"the form has more than {_MAX_FIELDS} fields besides its file")
        self.in_part = True
        self._disposition = {}
        self._start, self._end = None, 0

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            if self._disposition:
                raise ImageError("the form is damaged: a field has two headers Content-Disposition")
            if self._value.count(b";") > _MAX_PARAMETERS:
                raise ImageError(f"the form is damaged: a header has more than {_MAX_PARAMETERS} parameters")
            self._disposition = parse_options_header(self._value)[1]
            if self._is_file and self.photo is not None:
                raise ParameterError(
                    "the form has more than one file, but a request takes one photo: send a request for each"
                )
        self._header = self._value = b""

    @property
    def _is_file(self) -> bool:
        return b"filename" in self._disposition

    def _part_data(self, _data: bytes, start: int, end: int) -> None:
        # All of the form is parsed at once, so the parts of a field's content follow each other in it.
        self._start = start if self._start is None else self._start
        self._end = end
        if not self._is_file and end - self._start > _MAX_VALUE:
            raise ParameterError(f"a field of a form may have {_MAX_VALUE:,} bytes, except the file")

    def _part_end(self) -> None:
        self.in_part = False
        content = memoryview(self._body)[self._start or 0 : self._end]
        if self._is_file:
            self.photo = content
        else:
            name = self._disposition.get(b"name", b"")
            self.fields.append((name.decode("utf-8", "replace"), bytes(content).decode("utf-8", "replace")))

    def _form_end(self) -> None:
        self.is_complete = True
