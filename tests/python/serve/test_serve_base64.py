"""Test how `mpscnn serve` reads a photo in base64: the exact bytes, in few steps of Python and without a copy."""

from __future__ import annotations

import json
import random
import tracemalloc
from base64 import b64encode, encodebytes

import pytest

from mpscnn.apps.serve import base64_photos
from mpscnn.apps.serve.base64_photos import is_json, read_base64
from mpscnn.errors import ImageError, ParameterError

SIZE = 15_000_000


def read(body: str | bytes) -> bytes:
    return bytes(read_base64(bytearray(body.encode() if isinstance(body, str) else body)).photo)


def written(text: str) -> str:
    return json.dumps({"image": text})


#: How programs write a base64 text into JSON.
WRITERS = {
    "plain": written,
    "spaces": lambda text: f' {{ "image" :\n {json.dumps(text)} }}\n',
    "slashes": lambda text: written(text).replace("/", r"\/"),
    "small escapes": lambda text: written(text).replace("+", r"\u002b").replace("=", r"\u003d"),
    "large escapes": lambda text: written(text).replace("/", r"\u002F").replace("+", r"\u002B"),
    "data URL": lambda text: written("data:image/jpeg;base64," + text),
    "escaped data URL": lambda text: written("DATA:image/png;BASE64," + text).replace("/", r"\/"),
}


@pytest.mark.parametrize("step", [4, 5, 8, 64, 1 << 20])
@pytest.mark.parametrize("writer", WRITERS)
def test_the_file_is_that_which_was_sent(monkeypatch: pytest.MonkeyPatch, writer: str, step: int) -> None:
    monkeypatch.setattr(base64_photos, "_STEP", step)
    chosen = random.Random(1)
    for length in range(1, 60):
        content = chosen.choice([chosen.randbytes(length), b"\xff\xef\xbf\xfb" * length])
        assert read(WRITERS[writer](b64encode(content).decode())) == content
        for ends in ("\n", "\r\n"):
            lines = encodebytes(content * 3).decode().replace("\n", ends)
            assert read(WRITERS[writer](lines)) == content * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("QUJ", "was it cut off"),
        ("QUJD=", "was it cut off"),
        ("QQ==QUJD", "not base64"),
        ("QQ==\n\n\n\n\nQUJD", "not base64"),
        ("Q===", "'=' is only allowed at the end"),
        ("====", "'=' is only allowed at the end"),
        ("QU*D", "has the character '*'"),
        ("QU_-", "has the character '_'"),
        ("QU D", "has the character ' '"),
        ("QU\\/", r"has the character '\\\\'"),
        ("QUJ\u00e9", "has the character"),
        ("https://example.org/cat.jpg", "has the character ':'"),
        ("data:image/png,QUJD", "a data URL must begin with data:TYPE;base64,"),
        ("data:image/png;base64", "a data URL must begin with data:TYPE;base64,"),
        ("data:;base64,", "is empty"),
    ],
)
@pytest.mark.parametrize("step", [4, 1 << 20])
def test_other_texts_are_refused(monkeypatch: pytest.MonkeyPatch, text: str, message: str, step: int) -> None:
    monkeypatch.setattr(base64_photos, "_STEP", step)
    with pytest.raises(ImageError, match=message):
        read(written(text))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "is not JSON"),
        ("QUJD", "must be an object"),
        ("[]", "must be an object"),
        ('{"image": "QUJD"', "is not JSON"),
        ("{}", "lacks the key 'image'"),
        ('{"photo": "QUJD"}', "the unknown key 'photo'"),
        ('{"image": "QUJD", "top": 3}', "the unknown key 'top'.*parameters of the query"),
        ('{"image": "QUJD", "image": "QUJD"}', "the key 'image' twice"),
        ('{"image": null}', "image must be a text"),
        ('{"image": ["QUJD"]}', "image must be a text"),
    ],
)
def test_other_objects_are_refused(body: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        read(body)


def test_the_type_of_a_body_says_that_it_is_json() -> None:
    assert is_json("application/json")
    assert is_json("Application/JSON; charset=utf-8")
    assert not is_json("image/jpeg")
    assert not is_json("")


@pytest.mark.parametrize("character", [b"/", rb"\u002f"], ids=["plain", "escaped"])
def test_long_texts_take_few_steps_and_no_copy(monkeypatch: pytest.MonkeyPatch, character: bytes) -> None:
    quads = SIZE // (4 * len(character))
    body = bytearray(b'{"image": "%s=="}' % (character * (4 * quads + 2)))
    calls = 0
    decode = base64_photos.a2b_base64

    def counting(piece: bytes) -> bytes:
        nonlocal calls
        calls += 1
        return decode(piece)

    monkeypatch.setattr(base64_photos, "a2b_base64", counting)
    tracemalloc.start()
    try:
        photo = read_base64(body).photo
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert photo.obj is body
    assert (len(photo), set(photo[:-1])) == (3 * quads + 1, {255})
    assert calls <= len(body) / (1 << 20) + 1
