"""Messages are read as the package protobuf reads them, and damaged ones are refused with the place."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from converters.protobuf_messages import message_class

from mpscnn.converters.opening.file_bytes import MemoryBytes
from mpscnn.converters.opening.varints import encode
from mpscnn.converters.opening.wire.built import Built
from mpscnn.converters.opening.wire.json_form import message_of
from mpscnn.converters.opening.wire.kinds import Kind, read_table
from mpscnn.converters.opening.wire.message import Message, open_message
from mpscnn.converters.opening.wire.protobuf_view import ProtobufView
from mpscnn.converters.opening.wire.text import parse_text
from mpscnn.converters.reading.caffe.schema import NET_KIND, WEIGHTS_KIND
from mpscnn.converters.reading.coreml.schema import MODEL_KIND
from mpscnn.converters.reading.onnx.schema import KINDS as ONNX
from mpscnn.converters.reading.tensorflow.schema import KINDS as TENSORFLOW
from mpscnn.errors import WeightsError

TABLE = {
    "A": "i:int32:1 u:uint64:2 f:float:3 d:double:4 s:string:5 b:bytes:6 longs:int64*:7 floats:float*:8 a:A:9 "
    "all:A*:100 truth:bool:11 texts:string*:12 ints:int32*:13 truths:bool*:14 doubles:double*:15"
}
KIND = read_table(TABLE)["A"]
NUMBERS = [0, 1, -1, 127, 128, -(2**31), 2**31 - 1]


def read(content: bytes) -> Message:
    return open_message(KIND, MemoryBytes(content))


def example() -> Any:
    """Return a message of the package protobuf with all fields."""
    made = message_class("example", TABLE, "A")(
        i=-5, u=2**64 - 1, f=1.5, d=-2.25, s="hé", b=b"\0\xff", truth=True, texts=["a", "", "c"]
    )
    made.longs.extend([*NUMBERS, 2**63 - 1, -(2**63)])
    made.ints.extend(NUMBERS)
    made.floats.extend([1.0, 0.5])
    made.doubles.extend([1.0, 1e300])
    made.truths.extend([True, False])
    made.a.i = 7
    made.a.a.s = "inner"
    for number in range(5):
        made.all.add(i=number, s=f"n{number}")
    return made


def test_kinds_may_keep_fields_that_are_not_read() -> None:
    """Only the first ones are kept, and a group counts as 0, so that a damaged file takes no memory for them."""
    kind = read_table({"A": "i:int32:1"})["A"]
    content = (
        b"\x08\x07"
        + encode(20 << 3)
        + b"\5"
        + encode(21 << 3 | 2)
        + b"\3abc"
        + encode(22 << 3 | 5)
        + b"\1\0\0\0"
    )
    content += encode(23 << 3 | 3) + encode(24 << 3) + b"\1" + encode(23 << 3 | 4)
    assert open_message(kind, MemoryBytes(content)).unread() == {}
    kind.keeps_unknown = True
    found = open_message(kind, MemoryBytes(content))
    assert found.unread() == {20: 5, 21: b"abc", 22: 1, 23: 0}
    assert (found.i, found.stated()) == (7, ["i"])
    many = b"".join(encode(number << 3) + b"\0" for number in range(2, 1000))
    assert list(open_message(kind, MemoryBytes(many)).unread()) == [*range(2, 18)]


def test_every_type_is_read_as_by_protobuf() -> None:
    wanted = example()
    for found in (read(wanted.SerializeToString()), ProtobufView(wanted)):
        for name in KIND.fields:
            if KIND.fields[name].inner is None:
                value = getattr(wanted, name)
                assert getattr(found, name) == (list(value) if KIND.fields[name].is_repeated else value), name
        assert (found.a.i, found.a.a.s, found.a.a.has("i")) == (7, "inner", False)
        assert [one.i for one in found.all] == [0, 1, 2, 3, 4]
        assert found.all[-1].s == "n4"
        np.testing.assert_array_equal(found.numbers("longs"), list(wanted.longs))
        assert found.numbers("floats").tolist() == [1.0, 0.5]
        assert found.content("b") == b"\0\xff"
    assert read(wanted.SerializeToString()).stated() == [field.name for field, _ in wanted.ListFields()]


def test_long_lists() -> None:
    """Long lists of integers are decoded together, short ones one by one."""
    wanted = message_class("example", TABLE, "A")()
    wanted.longs.extend(NUMBERS * 40)
    assert read(wanted.SerializeToString()).longs == NUMBERS * 40


@pytest.mark.parametrize(("name", "values"), [("floats", [1.0, 2.5]), ("longs", [3, -4]), ("ints", [5, -6])])
def test_lists_may_be_packed_or_not(name: str, values: list[Any]) -> None:
    number = KIND.fields[name].number
    parts = [struct.pack("<f", one) if name == "floats" else encode(one & (2**64 - 1)) for one in values]
    single = number << 3 | (5 if name == "floats" else 0)
    packed = encode(number << 3 | 2) + encode(sum(map(len, parts))) + b"".join(parts)
    plain = b"".join(encode(single) + part for part in parts)
    for content in (packed, plain):
        assert getattr(read(content), name) == values
    assert read(packed).position(name) == (2, len(packed) - 2)
    assert read(plain).position(name) is None
    assert getattr(read(packed + packed), name) == values + values
    other = values[::-1]
    reversed_plain = b"".join(encode(single) + part for part in parts[::-1])
    assert getattr(read(packed + reversed_plain), name) == values + other
    assert getattr(read(reversed_plain + packed + plain), name) == other + values + values
    assert read(reversed_plain + packed).numbers(name).tolist() == other + values
    assert read(packed + plain).position(name) is None


def test_defaults() -> None:
    empty = read(b"")
    assert (empty.i, empty.s, empty.b, empty.f, empty.truth, empty.longs, len(empty.all)) == (
        0, "", b"", 0.0, False, [], 0,
    )  # fmt: skip
    assert not empty.has("a")
    assert empty.a.a.i == 0
    assert empty.numbers("floats").size == empty.numbers("longs").size == 0
    with pytest.raises(AttributeError):
        empty.unknown  # noqa: B018


def test_the_last_of_several_values_counts() -> None:
    """The parts of an inner message that is stored in parts are joined."""
    assert read(b"\x08\x01\x08\x02").i == 2
    joined = read(b"\x4a\x02\x08\x01" + b"\x4a\x03\x2a\x01x").a
    assert (joined.i, joined.s) == (1, "x")


def test_unknown_fields_and_groups_are_skipped() -> None:
    unknown = b"\xa0\x7d\x01" + b"\xa2\x7d\x02ab" + b"\xa5\x7d1234" + b"\xa1\x7d12345678"
    group = b"\xa3\x7d" + b"\x08\x63" + b"\xab\x7d\xac\x7d" + b"\xa4\x7d"
    assert read(unknown + group + b"\x08\x07" + unknown).i == 7


def test_large_messages_are_read_in_windows() -> None:
    wanted = message_class("example", TABLE, "A")()
    for number in range(3_000):
        wanted.all.add(i=number, b=bytes(number % 400))
    wanted.all[1500].b = bytes(100_000)
    found = read(wanted.SerializeToString())
    assert [(one.i, len(one.b)) for one in found.all] == [(one.i, len(one.b)) for one in wanted.all]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x08", "does not end"),
        (b"\x08\x80", "does not end"),
        (b"\x08" + b"\xff" * 11, "does not end"),
        (b"\x2a\x05ab", "ends after its message"),
        (b"\x2a", "does not end"),
        (b"\x1d\x00", "ends after its message"),
        (b"\x00\x00", "field 0 is damaged"),
        (b"\x0d1234", "i has the wrong wire type 5"),
        (b"\x0e\x00", "unknown wire type"),
        (b"\xa4\x7d", "the end of another group"),
        (b"\xa3\x7d", "a group does not end"),
        (b"\xa3\x7d" * 200, "unknown wire type"),
        (b"\x0b\x0c", "i has the wrong wire type 3"),
        (b"\x3a\x02\x80\x80", "does not end"),
        (b"\x42\x03abc", "floats has 3 bytes"),
    ],
)
def test_damage_is_described_with_its_place(content: bytes, reason: str) -> None:
    with pytest.raises(WeightsError, match=f"damaged: byte .*{reason}"):
        [getattr(read(content), name) for name in KIND.fields]


def test_the_depth_is_limited() -> None:
    content = b""
    for _ in range(200):
        content = b"\x4a" + encode(len(content)) + content
    found = read(content)
    for _ in range(100):
        found = found.a
    with pytest.raises(WeightsError, match="within 100 others"):
        found.a  # noqa: B018


def test_damaged_messages_give_only_errors_of_this_project() -> None:
    wanted, random = example().SerializeToString(), np.random.default_rng(0)
    for _ in range(2_000):
        content = bytearray(wanted)
        for place in random.integers(len(content), size=random.integers(1, 4)):
            content[place] = random.integers(256)
        walk(read(bytes(content[: random.integers(len(content) + 1)])), 0)


def walk(message: Message, depth: int) -> None:
    """Read all fields of a message."""
    for name, field in KIND.fields.items():
        with suppress(WeightsError):
            value = getattr(message, name)
            inner = [] if field.inner is None else value if field.is_repeated else [value]
            for one in inner if depth < 4 and message.has(name) else ():
                walk(one, depth + 1)


ROOTS = [WEIGHTS_KIND, NET_KIND, MODEL_KIND, *ONNX.values(), *TENSORFLOW.values()]


def kinds(roots: list[Kind]) -> dict[int, Kind]:
    found: dict[int, Kind] = {}
    waiting = list(roots)
    while waiting:
        kind = waiting.pop()
        if id(kind) not in found:
            found[id(kind)] = kind
            waiting += [field.inner for field in kind.fields.values() if field.inner is not None]
    return found


def test_no_field_hides_a_method() -> None:
    methods = {name for owner in (Message, Built, ProtobufView) for name in dir(owner)}
    for kind in kinds(ROOTS).values():
        assert methods.isdisjoint(kind.fields), kind.name
        assert len(kind.numbers) == len(kind.fields), kind.name


# ---- Text and JSON -------------------------------------------------------------------------------------------------


def test_text_is_read_as_by_protobuf() -> None:
    from google.protobuf import text_format

    text = """# a comment { i: 3 }
    i: -0x5 u: 18446744073709551615 f: 1.5f d: -2.25e0
    s: "h\\303\\251 \\n\\"" 'more' ; truth: true, texts: ["a", 'b'] texts: "c"
    a { i: 07 a < s: "inner" > } all: { i: 1 } all { } all [{ i: 2 }, { i: 3 }]
    unknown { x: 1 y { z: WORD } } other: [1, 2] [extension.name] { x: 1 }
    floats: inf floats: -inf floats: 1e-3 longs: -9223372036854775808"""
    known = message_class("example", TABLE, "A")()
    text_format.Parse(text.replace("[extension.name] { x: 1 }", ""), known, allow_unknown_field=True)
    found, wanted = parse_text(KIND, text), ProtobufView(known)
    for name in ("i", "u", "f", "d", "s", "truth", "texts", "floats", "longs"):
        assert getattr(found, name) == getattr(wanted, name), name
    assert (found.a.i, found.a.a.s) == (7, "inner")
    assert [one.i for one in found.all] == [1, 0, 2, 3]


def test_words_are_texts() -> None:
    """Enumerations are fields of texts in our tables."""
    assert parse_text(KIND, "s: MAX texts: 1 # s: MIN").s == "MAX"
    assert parse_text(KIND, "s: 'it is \\'s: MAX' # s: MIN").s == "it is 's: MAX"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("i: 1 i: 2", "line 1: i is stated twice"),
        ("\n\ni: x", "line 3: i is 'x', expected int32"),
        ("i: 2147483648", "expected int32"),
        ("u: -1", "expected uint64"),
        ("truth: 2", "expected bool"),
        ("i: 1_0", "expected int32"),
        ("i: 'a'", "expected int32"),
        ("i 1", "expected : or {"),
        ("i { }", "i is not a message"),
        ("a { i: 1", "a bracket is not closed"),
        ("a { i: 1 >", "expected the name of a field"),
        ("i: }", "expected a value"),
        ("s: 'no end\n'", "something that is not a name"),
        ("[no end", "a bracket is not closed"),
        ("a { " * 200, "within 100 others"),
        ("x { " * 200, "within 100 others"),
        ("i: 099", "expected int32"),
        ("f: 1.2.3", "expected float"),
    ],
)
def test_damaged_text(text: str, reason: str) -> None:
    with pytest.raises(WeightsError, match=reason):
        parse_text(KIND, text)


def test_json() -> None:
    table = read_table({"B": "in_type:int64:1 s:bytes:2 list:B*:3 f:float:4 b:bool:5"})
    values = {
        "inType": "5",
        "s": "YWI=",
        "list": [{"f": 0.5}, {"f": "NaN", "b": True}],
        "unknown": {"x": 1},
        "b": None,
    }
    found = message_of(table["B"], values)
    assert (found.in_type, found.s, found.list[0].f, found.list[1].b, found.has("b")) == (
        5,
        b"ab",
        0.5,
        True,
        False,
    )
    for wrong in ({"inType": "x"}, {"inType": 1.5}, {"list": {}}, {"b": 1}, {"inType": 2**63}, {"list": [1]}):
        with pytest.raises((TypeError, ValueError)):
            message_of(table["B"], wrong)


# ---- Building ------------------------------------------------------------------------------------------------------


def test_messages_that_are_built_read_like_others() -> None:
    made = Built(KIND, i=1, f=0.1, texts=["a"])
    made.all.add(i=2).a.s = "x"
    assert not made.has("a")
    assert made.a.a.i == 0
    assert not made.has("a")
    made.a.mark_stated()
    assert made.stated() == ["i", "f", "a", "all", "texts"]
    assert made.f == float(np.float32(0.1))
    assert made.count("all") == 1
    assert made.encoded_size() > 0
    assert made.is_same(made)
    assert not made.is_same(Built(KIND, i=1))
    made.a.clear()
    for name, value in {"i": 2**31, "u": -1}.items():
        with pytest.raises(ValueError, match=name):
            setattr(made, name, value)
    for name, wrong in {"s": b"x", "b": "x", "a": 1}.items():
        with pytest.raises(TypeError, match=name):
            setattr(made, name, wrong)
    with pytest.raises(AttributeError):
        made.unknown = 1
