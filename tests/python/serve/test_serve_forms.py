"""Test how `mpscnn serve` reads forms: the file's exact bytes, and hostile forms in few steps."""

from __future__ import annotations

import random
import sys
import tracemalloc
from types import FrameType
from typing import Any

import pytest

pytest.importorskip("python_multipart", reason="python_multipart is not installed")

from mpscnn.apps.serve.forms import read_form
from mpscnn.errors import ImageError, ParameterError

SIZE = 19_900_000
TYPE = "multipart/form-data; boundary="
FIELD = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="a"; filename="x"\r\n\r\n'


def read(body: bytes, boundary: str = "b") -> bytes:
    return bytes(read_form(bytearray(body), TYPE + boundary).photo)


def test_the_file_is_that_which_was_sent() -> None:
    chosen = random.Random(1)
    pieces = [
        b"\r\n",
        b"\r",
        b"\n",
        b"-",
        b"--",
        b"b",
        b"\r\n-",
        b"\r\n--",
        b"\r\n--a",
        b"\0",
        b"\xff",
        b" ",
        b"--b",
    ]
    for _ in range(3_000):
        content = b"".join(chosen.choices(pieces, k=chosen.randrange(8)))
        if b"\r\n--b" in b"\r\n" + content:
            continue  # no line of a field's content begins with the boundary
        padding = chosen.choice([b"", b" ", b"\t  ", b" " * 100])
        field = FIELD + content + b"\r\n"
        before, after = field * chosen.randrange(3), field * chosen.randrange(3)
        whole = before + FILE + content + b"\r\n" + after + b"--b--"
        whole = whole.replace(b"\r\n--b\r\n", b"\r\n--b" + padding + b"\r\n")
        assert read(whole) == content, whole


@pytest.mark.parametrize("boundary", ["b", "-" * 70, "----WebKitFormBoundary7MA4YWxkTrZu0gW", '"a b"'])
def test_boundaries(boundary: str) -> None:
    dashes = b"--" + boundary.strip('"').encode()
    form = FILE.replace(b"--b", dashes) + b"photo\r\n" + dashes + b"--\r\nafter it"
    assert read(form, boundary) == b"photo"
    assert read(b"\r\n" + form, boundary) == b"photo"


@pytest.mark.parametrize("name", ["content-disposition", "CONTENT-DISPOSITION"])
def test_names_of_header_fields_have_any_case(name: str) -> None:
    form = FILE.replace(b"Content-Disposition", b"X: y\r\n" + name.encode())
    assert read(form + b"photo\r\n--b--") == b"photo"


def test_the_largest_number_of_fields_before_the_file() -> None:
    field, file = b"--b\r\n\r\n\r\n", FILE + b"photo\r\n"
    assert read(100 * field + file + b"--b--") == b"photo"
    assert read(file + 100 * field + b"--b--") == b"photo"
    for form in (101 * field + file, file + 101 * field):
        with pytest.raises(ImageError, match="more than 100 fields besides its file"):
            read(form + b"--b--")


def test_the_other_fields_are_returned_in_their_order() -> None:
    text = "é\r\n1".encode()
    fields = [(b"top", b"1"), (b"model", b""), (b"top", text)]
    parts = [b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % field for field in fields]
    form = read_form(bytearray(parts[0] + FILE + b"photo\r\n" + parts[1] + parts[2] + b"--b--"), TYPE + "b")
    assert bytes(form.photo) == b"photo"
    assert form.fields == (("top", "1"), ("model", ""), ("top", "é\r\n1"))


def test_a_second_file_is_refused() -> None:
    for second in (FILE + b"photo\r\n", FILE + b"\r\n"):
        with pytest.raises(ParameterError, match="more than one file, but a request takes one photo"):
            read(FILE + b"photo\r\n" + second + b"--b--")


def test_a_long_field_is_refused() -> None:
    for length in (10_000, 10_001):
        form = bytearray(FILE + b"photo\r\n" + FIELD + b"x" * length + b"\r\n--b--")
        if length == 10_000:
            assert read_form(form, TYPE + "b").fields == (("a", "x" * length),)
        else:
            with pytest.raises(ParameterError, match="may have 10,000 bytes"):
                read_form(form, TYPE + "b")


def filled(part: bytes) -> bytes:
    return part * (SIZE // len(part))


HOSTILE = {
    "spaces after a boundary": (FIELD + b"x\r\n--b" + b" " * SIZE, "more than 100 spaces"),
    "spaces after the file's boundary": (FILE + b"x\r\n--b" + b" \t" * (SIZE // 2), "more than 100 spaces"),
    "spaces after the first boundary": (b"--b" + b" " * SIZE, "more than 100 spaces"),
    "boundaries that go on": (FILE + filled(b"\r\n--bX"), "more than 1000 boundaries"),
    "halves of boundaries": (FILE + filled(b"\r\n--"), "cut off"),
    "halves of the last boundary": (FIELD + filled(b"\r\n--b-"), "more than 1000 boundaries"),
    "line ends": (filled(b"\r\n"), "has no file"),
    "half line ends": (filled(b"\r"), "has no file"),
    "a text before it": (b"x" * SIZE + FILE, "Expected boundary character"),
    "a name": (b"--b\r\n" + b"x" * SIZE, "header size exceeded"),
    "a value": (b"--b\r\nx:" + b" " * SIZE, "header size exceeded"),
    "parameters": (b"--b\r\nContent-Disposition: " + filled(b';"'), "header size exceeded"),
    "lines of a head": (b"--b\r\n" + filled(b"x:\r\n"), "header count exceeded"),
    "fields without a file": (b"--b\r\n\r\n\r\n" * 102, "more than 100 fields"),
    "empty fields": (filled(b"--b\r\n\r\n\r\n"), "more than 1000 boundaries"),
    "a text after it": (b"--b--" + b" " * SIZE, "has no file"),
    "a name with a zero": (b"--b\r\nx\0: y\r\n\r\nz\r\n--b--", "invalid character 0"),
    "no name": (b"--b\r\n: y\r\n\r\nz\r\n--b--", "0-length header"),
    "semicolons in quotation marks": (
        b'--b\r\nContent-Disposition: form-data; a="' + 100 * b";" + b"\r\n\r\nz\r\n--b--",
        "more than 100 parameters",
    ),
    "two names": (
        b"--b" + 2 * b'\r\nContent-Disposition: form-data; name="a"' + b"\r\n\r\nz\r\n--b--",
        "two headers Content-Disposition",
    ),
    "half a head": (b"--b\r\nContent-Dispo", "cut off"),
    "half a boundary at its end": (FILE + b"x\r\n--", "cut off"),
    "nothing after its boundary": (FILE + b"x\r\n--b", "cut off"),
    "no last boundary": (FILE + b"x\r\n--b\r\n", "cut off"),
    "a long field": (FIELD + b"x" * SIZE + b"\r\n--b--", "may have 10,000 bytes"),
    "two files": (FILE + b"x\r\n" + FILE + b"x" * SIZE, "more than one file"),
}


@pytest.mark.parametrize(("form", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_forms_are_refused_at_once(form: bytes, message: str) -> None:
    body = bytearray(form)
    steps = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps
        steps += event == "line"
        assert steps < SIZE / 100, "a step of Python for each byte"
        return count

    tracemalloc.start()
    before = sys.gettrace()
    sys.settrace(count)
    try:
        with pytest.raises((ImageError, ParameterError), match=message):
            read_form(body, TYPE + "b")
        sys.settrace(before)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        sys.settrace(before)
        tracemalloc.stop()


def test_the_file_is_not_copied() -> None:
    body = bytearray(FILE + b"x" * SIZE + b"\r\n--b--\r\n")
    tracemalloc.start()
    try:
        photo = read_form(body, TYPE + "b").photo
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert len(photo) == SIZE
    body[len(FILE)] = ord("y")
    assert photo[0] == ord("y")
