"""Read the photo in a request's body. It is the whole body or a file of a multipart form.

A form is split by searches for its boundary, which take no Python code for each byte, and its file is not copied.
python-multipart only reads the parameters of header fields.
"""

from __future__ import annotations

import re

from python_multipart.multipart import parse_options_header

from mpscnn.errors import ImageError

__all__ = ["photo_in"]

_MAX_PARTS = 100
_MAX_FIELDS = 8  # fields in the head of a part
_LONGEST_FIELD = 4_096  # bytes
_LONGEST_BOUNDARY = 70  # characters (RFC 2046, 5.1.1)
_LINE_END = b"\r\n"
_BEFORE = re.compile(rb"(?:\r\n){0,2}")
#: The rest of a boundary's line (RFC 2046, 5.1.1): spaces for transport, and the line end.
_MAX_PADDING = 100
_AFTER_BOUNDARY = re.compile(rb"[ \t]{0,%d}\r\n" % _MAX_PADDING)
_FIELD = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+):([^\r\n\0]*)")


def photo_in(body: bytearray, content_type: str) -> memoryview:
    """Return the bytes of the photo: the body, or the first field of the form that has a file name.

    The result refers to the body's bytes.

    Raises:
        ImageError: there is no photo, or the form is damaged.
    """
    if not content_type.lower().startswith("multipart/"):
        if not body:
            raise ImageError("the body is empty; it must be an image file, such as JPEG or PNG")
        return memoryview(body)
    kind, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= _LONGEST_BOUNDARY:
        raise ImageError(
            f"a form must be multipart/form-data with a boundary of 1 to {_LONGEST_BOUNDARY} characters"
        )
    return _first_file(body, b"--" + boundary)


def _first_file(body: bytearray, boundary: bytes) -> memoryview:
    """Return the content of the first file. Each part begins after a line with the boundary."""
    before = _BEFORE.match(body)
    position = before.end() if before else 0
    if not body.startswith(boundary, position):
        if not body:
            raise ImageError("the form has no file: it is empty")
        raise _damaged("it does not begin with the boundary of the header Content-Type")
    position += len(boundary)
    is_last = body.startswith(b"--", position)
    for _ in range(_MAX_PARTS):
        if is_last:
            raise ImageError("the form has no file: send it in a field that has a file name")
        is_file, start = _head(body, _next_line(body, position))
        end = body.find(_LINE_END + boundary, start)
        position = end + len(_LINE_END) + len(boundary)
        is_last = body.startswith(b"--", position)
        if end < 0 or position == len(body):
            raise ImageError("the form is cut off" if is_file else "the form has no file")
        if is_file:
            if not is_last:
                _next_line(body, position)
            return memoryview(body)[start:end]
    raise ImageError(f"the form has more than {_MAX_PARTS} fields before its file")


def _next_line(body: bytearray, position: int) -> int:
    """Return the end of a boundary's line. `position` is the end of the boundary."""
    found = _AFTER_BOUNDARY.match(body, position)
    if found is None:
        raise _damaged(
            f"the line of a boundary goes on; at most {_MAX_PADDING} spaces may follow the boundary"
        )
    return found.end()


def _head(body: bytearray, position: int) -> tuple[bool, int]:
    """Read the head of a part. Return True if the part is a file, and the position of its content."""
    is_file = False
    for _ in range(_MAX_FIELDS + 1):
        end = body.find(_LINE_END, position, position + _LONGEST_FIELD + len(_LINE_END))
        if end == position:
            return is_file, end + len(_LINE_END)
        if end < 0 and len(body) - position <= _LONGEST_FIELD:
            raise ImageError("the form is cut off")
        field = _FIELD.fullmatch(body, position, end) if end > 0 else None
        if field is None:
            raise _damaged(
                f"each line before a field's content must be NAME: TEXT of up to {_LONGEST_FIELD:,} bytes"
            )
        if field[1].lower() == b"content-disposition":
            is_file = b"filename" in parse_options_header(bytes(field[2]))[1]
        position = end + len(_LINE_END)
    raise _damaged(f"a field has more than {_MAX_FIELDS} lines before its content")


def _damaged(reason: str) -> ImageError:
    return ImageError(f"the form is damaged: {reason}")
