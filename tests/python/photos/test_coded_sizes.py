"""AVIF and HEIF files whose coded pictures and grids have other sizes than the file states are refused unread."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import pytest
from photo_files import HAS_AVIF, HAS_HEIC, encoded
from PIL import Image

from mpscnn import ImageError
from mpscnn.vision.avif_sizes import coded_sizes
from mpscnn.vision.photo import open_photo

needs_avif = pytest.mark.skipif(not HAS_AVIF, reason="this Pillow has no AVIF")
Size = tuple[int, int]


def box(name: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), name) + content


def container(
    types: Sequence[bytes], items: Sequence[bytes], properties: bytes, uses: Sequence[bytes]
) -> bytes:
    """Return a file of these items. The first one is the picture, and consists of the others if it is a grid.

    Args:
        types: the type of each item.
        items: their data.
        properties: the boxes of properties.
        uses: the numbers of its properties for each item.
    """
    brand = b"avif" if b"av01" in types else b"heic"
    begin = box(b"ftyp", brand, bytes(4), brand, b"mif1")
    entries = [
        box(b"infe", b"\2\0\0\0", struct.pack(">HH", n, 0), kind, b"\0") for n, kind in enumerate(types, 1)
    ]
    others = [struct.pack(">H", number) for number in range(2, len(types) + 1)]
    used = [struct.pack(">HB", n, len(one)) + one for n, one in enumerate(uses, 1)]

    def meta(place: int) -> bytes:
        places = []
        for number, item in enumerate(items, 1):
            places.append(struct.pack(">HHHII", number, 0, 1, place, len(item)))
            place += len(item)
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), b"\0\1"),
            box(b"iloc", bytes(4), b"\x44\0", struct.pack(">H", len(items)), *places),
            box(b"iinf", bytes(4), struct.pack(">H", len(entries)), *entries),
            box(b"iref", bytes(4), box(b"dimg", struct.pack(">HH", 1, len(others)), *others))
            if others
            else b"",
            box(
                b"iprp",
                box(b"ipco", properties),
                box(b"ipma", bytes(4), struct.pack(">I", len(used)), *used),
            ),
        )

    data = box(b"mdat", *items)
    return begin + meta(len(begin) + len(meta(0)) + 8) + data


def ispe(size: Size) -> bytes:
    return box(b"ispe", bytes(4), struct.pack(">II", *size))


# ---- Frames of AVIF ------------------------------------------------------------------------------------------------


class Bits:
    """Bits in the making, from the highest of each byte on."""

    def __init__(self) -> None:
        self._text = ""

    def add(self, *numbers: tuple[int, int]) -> Bits:
        """Add numbers, each as (number, count of bits)."""
        self._text += "".join(f"{number:0{count}b}" for number, count in numbers if count)
        return self

    def bytes(self) -> bytes:
        text = self._text + "0" * (-len(self._text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")


def unit(kind: int, content: bytes) -> bytes:
    return bytes((kind << 3 | 2, len(content))) + content


def avif(largest: Size, own: Size | None, *, tools: int = 0, kind: int = 0, is_shown: bool = True) -> bytes:
    """Return an AVIF file with one frame that has no pixels.

    Args:
        largest: the largest size by the header of the sequence, and that which the boxes state.
        own: the size that the frame states; None: it has that of its sequence.
        tools: 1 if the sequence has names and an order of frames, and tools for screens.
        kind: the kind of the frame: 0 to 3.
        is_shown: whether the frame is shown.
    """
    sequence = Bits().add((0, 5), (0, 2), (0, 5), (0, 12), (1, 5)).add((15, 4), (15, 4))
    sequence.add((largest[0] - 1, 16), (largest[1] - 1, 16)).add(
        *([(1, 1), (1, 4), (2, 3)] if tools else [(0, 1)])
    )
    sequence.add((0, 7)).add(*([(1, 1), (0, 2)] if tools else [(0, 1)]))
    sequence.add(*([(1, 1), (1, 1)] if tools else [(0, 1), (0, 1)])).add((3, 3 * tools), (0, 15), (1, 1))
    frame = Bits().add((0, 1), (kind, 2), (is_shown, 1), (0, 0 if is_shown else 1))
    frame.add((0, 0 if kind == 3 or (kind == 0 and is_shown) else 1), (0, 1))
    frame.add(*([(1, 1), (0, 1), (0, 6)] if tools else []))
    frame.add((own is not None, 0 if kind == 3 else 1), (0, 4 * tools))
    if own is not None:
        frame.add((own[0] - 1, 16), (own[1] - 1, 16))
    data = unit(2, b"") + unit(1, sequence.bytes()) + unit(6, frame.bytes() + bytes(40))
    properties = ispe(largest) + box(b"av1C", b"\x81\x0d\x0c\0") + box(b"pixi", b"\0\0\0\0\3\x08\x08\x08")
    return container([b"av01"], [data], properties, [b"\1\x82\3"])


@needs_avif
@pytest.mark.parametrize("tools", [0, 1], ids=["no tools", "all tools"])
def test_frames_that_state_a_size_of_their_own(tools: int) -> None:
    """The decoder takes the memory of a frame, also if its sequence states a smaller size."""
    for same in (None, (64, 48)):
        assert coded_sizes(avif((64, 48), same, tools=tools)) == {(64, 48)}
    for size in ((63, 48), (64, 49), (1 << 16, 1 << 16)):
        with pytest.raises(
            ImageError, match=f"codes a picture of {size[0]} x {size[1]} pixels, which it does not"
        ):
            open_photo(avif((64, 48), size, tools=tools))


@needs_avif
@pytest.mark.parametrize("kind", [0, 1, 2, 3], ids=["hidden", "inter", "intra only", "switch"])
def test_other_frames_may_not_be_much_larger_than_their_sequence(kind: int) -> None:
    with pytest.raises(ImageError, match="may be much larger than its sequence states"):
        open_photo(avif((64, 48), (9_999, 48), kind=kind, is_shown=kind > 0))


@needs_avif
def test_tracks_with_two_tables_of_one_kind() -> None:
    """Readers differ in which one they use."""
    frames = [Image.new("RGB", (500, 300), 1)]
    content = encoded(Image.new("RGB", (500, 300), 9), "AVIF", speed=10, save_all=True, append_images=frames)
    place = content.index(b"stsz") - 4
    (size,) = struct.unpack_from(">I", content, place)
    made = bytearray(content[: place + size] + content[place:])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        begin = made.index(name) - 4
        struct.pack_into(">I", made, begin, struct.unpack_from(">I", made, begin)[0] + size)
    with pytest.raises(ImageError, match="two tables of one kind"):
        open_photo(bytes(made))


# ---- Grids ---------------------------------------------------------------------------------------------------------


def grid(
    kind: str, side: int, count: int, own: Size, stated: Sequence[Size], *, is_wide: bool = False
) -> bytes:
    """Return a file whose picture is a grid of `count` x `count` tiles, which share their data.

    Args:
        kind: the format of the tiles, as Pillow names it.
        side: the width and height of a tile.
        own: the size that the grid states in its data.
        stated: the sizes in the boxes, the grid's first.
        is_wide: whether the grid's numbers have four bytes.
    """
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (90, 1, 200)).save(stream, kind, quality=10)
    whole = stream.getvalue()
    coded, settings = (b"av01", b"av1C") if kind == "AVIF" else (b"hvc1", b"hvcC")

    def found(name: bytes) -> bytes:
        place = whole.index(name) - 4
        return whole[place : place + struct.unpack_from(">I", whole, place)[0]]

    data = struct.pack(">BBBB" + ("II" if is_wide else "HH"), 0, is_wide, count - 1, count - 1, *own)
    tiles = count * count
    properties = b"".join(map(ispe, (*stated, (side, side)))) + found(settings)
    last = len(stated) + 1
    uses = [b"\1", *[bytes((last, 0x80 | last + 1))] * tiles]
    return container([b"grid", *[coded] * tiles], [data, *[found(b"mdat")[8:]] * tiles], properties, uses)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("AVIF", marks=needs_avif),
        pytest.param("HEIF", marks=pytest.mark.skipif(not HAS_HEIC, reason="needs pillow_heif")),
    ],
)
@pytest.mark.parametrize("is_wide", [False, True])
def test_grids_of_another_size_than_the_file_states(kind: str, is_wide: bool) -> None:
    """The decoder takes the memory of the grid: 2 GB for a file of 1.7 kB."""
    assert open_photo(grid(kind, 64, 2, (128, 100), [(128, 100)], is_wide=is_wide)).size == (128, 100)
    hidden = grid(kind, 64, 2, (128, 128), [(64, 64)], is_wide=is_wide)
    with pytest.raises(ImageError, match="codes a picture of 128 x 128 pixels, which it does not state"):
        open_photo(hidden)
    # Another box, which belongs to no picture, states the size.
    large = grid(kind, 64, 2, (16_384, 16_384), [(64, 64), (16_384, 16_384)], is_wide=is_wide)
    with pytest.raises(ImageError, match="codes a picture of 16384 x 16384 pixels, more than the"):
        open_photo(large)
