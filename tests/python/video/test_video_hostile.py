"""Open small videos that claim much: each is refused, and takes little memory."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import systems
from video_clips import SIZE, photo_that_moves, shades, write_clip

import mpscnn
from mpscnn import ImageError
from mpscnn.apps.video import source as source_module
from mpscnn.apps.video.sample_counts import require_sample_counts
from mpscnn.apps.video.source import open_source

av: Any = pytest.importorskip("av", reason="PyAV is not installed")

#: The bytes of memory that opening a small file may take.
MEMORY = 100 << 20

OPEN = """
import json, sys
import av, mpscnn
from systems import peak_bytes
from mpscnn.apps.video.source import open_source
before = peak_bytes()
try:
    open_source(sys.argv[1]).close()
    told = ""
except mpscnn.ImageError as error:
    told = str(error)
print(json.dumps([told, peak_bytes() - before]))
"""


def opened(path: Path) -> tuple[str, int]:
    """Open a video in a process of its own. Return its error, and the bytes by which the memory grew at most."""
    folders = [str(Path(systems.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    command = [sys.executable, "-c", OPEN, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    told, memory = json.loads(ended.stdout)
    return told, memory


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def avi(codec: bytes, side: int) -> bytes:
    """Return an AVI file of one frame with `side` x `side` pixels, which is 201 bytes long."""
    head = chunk(b"avih", struct.pack("<14I", 40000, 0, 0, 0, 1, 0, 1, 0, side, side, 0, 0, 0, 0))
    stream = chunk(
        b"strh", b"vids" + codec + struct.pack("<9I4H", 0, 0, 0, 1, 25, 0, 1, 0, 0, 0, 0, side, side)
    )
    stream += chunk(b"strf", struct.pack("<3I2H4s5I", 40, side, side, 1, 24, codec, 3 * side**2, 0, 0, 0, 0))
    lists = chunk(b"LIST", b"hdrl" + head + chunk(b"LIST", b"strl" + stream))
    lists += chunk(b"LIST", b"movi" + chunk(b"00dc", b"\x10" + bytes(200)))
    return chunk(b"RIFF", b"AVI " + lists)


def test_no_decoder_makes_frames_that_are_too_large_while_a_file_is_opened(tmp_path: Path) -> None:
    """FFmpeg opens some decoders to learn more of a video; snow's makes a frame then."""
    path = tmp_path / "a.avi"
    path.write_bytes(avi(b"snow", 16_000))
    told, memory = opened(path)
    assert "has frames of 16000 x 16000; at most 30," in told
    assert memory < MEMORY


def box(name: bytes, *content: bytes) -> bytes:
    joined = b"".join(content)
    return struct.pack(">I4s", 8 + len(joined), name) + joined


def table(name: bytes, *numbers: int, flags: int = 0) -> bytes:
    return box(name, struct.pack(f">{1 + len(numbers)}I", flags, *numbers))


#: More samples than the files below may have.
MANY = 3_000_000


def sizes(count: int) -> bytes:
    """Return the box of `count` samples of a byte each."""
    return table(b"stsz", 1, count)


def track(
    samples: bytes, handler: bytes = b"vide", in_chunk: int = MANY, unit: int = 40, edits: bytes = b""
) -> bytes:
    kind = box(b"hdlr", bytes(8) + handler + bytes(13))
    entry = box(b"stsd", bytes(4), struct.pack(">I", 1), box(b"jpeg", bytes(7) + b"\1" + bytes(70)))
    tables = [
        table(b"stts", 1, MANY, unit),
        table(b"stsc", 1, 1, in_chunk, 1),
        samples,
        table(b"stco", 3, 8, 8, 8),
    ]
    stored = box(b"minf", box(b"stbl", entry, *tables))
    return box(b"trak", edits, box(b"mdia", table(b"mdhd", 0, 0, 1000, MANY, 0), kind, stored))


def fragment(count: int) -> bytes:
    part = table(b"trun", count)
    return box(b"moof", table(b"mfhd", 1), box(b"traf", table(b"tfhd", 1, 1, 1, flags=0x18), part))


def long_box(name: bytes, content: bytes) -> bytes:
    """Return a box whose length has 64 bits."""
    return struct.pack(">I4sQ", 1, name, 16 + len(content)) + content


HEAD = box(b"ftyp", b"isom\0\0\2\0")
REPEATED = box(b"edts", table(b"elst", 300, *[MANY, 0, 1 << 16] * 300))
CLAIMS = {
    "samples of one size": box(b"moov", track(sizes(MANY))),
    "samples of many tracks": box(b"moov", *[track(sizes(MANY // 10))] * 10),
    "samples of a box without a track's handler": box(b"moov", box(b"trak", sizes(MANY))),
    "lengths of 64 bits": long_box(b"moov", track(sizes(MANY))),
    "a box that goes to the end": struct.pack(">I4s", 0, b"moov") + track(sizes(MANY)),
    "a box that is longer than its file": struct.pack(">I4s", 1 << 30, b"moov") + track(sizes(MANY)),
    "an index that is compressed": box(
        b"moov", box(b"cmov", box(b"cmvd", bytes(4), zlib.compress(box(b"moov", track(sizes(MANY))))))
    ),
    "a box within another": box(b"moov", box(b"trak", box(b"udta", sizes(MANY)))),
    "a box within the description of a codec": box(
        b"moov", track(b"").replace(b"jpeg" + bytes(7), b"jpeg" + sizes(MANY))
    ),
    "parts that are repeated": box(b"moov", track(sizes(MANY // 100), edits=REPEATED)),
    "sound that is no uncompressed sound": box(b"moov", track(sizes(MANY), b"soun")),
    "sound whose handler changes": box(
        b"moov", track(box(b"hdlr", bytes(8), b"vide") + sizes(MANY), b"soun", unit=1)
    ),
    "sound in large parts": box(b"moov", track(sizes(MANY), b"soun", 100 * MANY, 1)),
    "a fragment": fragment(MANY),
    "many fragments": fragment(MANY // 10) * 10,
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_an_index_that_claims_more_samples_than_its_file_can_have_is_refused(
    tmp_path: Path, claim: str
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(HEAD + box(b"mdat", bytes(64)) + CLAIMS[claim])
    with pytest.raises(mpscnn.ImageError, match=r"its index claims [\d,]+ samples; at most 1,00\d,\d+ are"):
        open_source(path)


def test_uncompressed_sound_may_have_more_samples_than_bytes(tmp_path: Path) -> None:
    """QuickTime counts the samples that a codec makes. FFmpeg's index has an entry for many of them."""
    path = tmp_path / "a.mov"
    path.write_bytes(HEAD + box(b"moov", track(sizes(MANY), b"soun", unit=1)))
    require_sample_counts(str(path))


@pytest.mark.parametrize("ending", ["mp4", "mov"])
@pytest.mark.parametrize("flags", ["", "faststart", "frag_keyframe+empty_moov"])
def test_pictures_with_sound_are_opened(tmp_path: Path, ending: str, flags: str) -> None:
    path = tmp_path / f"a.{ending}"
    with av.open(str(path), "w", options={"movflags": flags} if flags else {}) as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le" if ending == "mov" else "aac", rate=8000)
        for pixels in photo_that_moves(25):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(pictures.encode(None))
        silence = np.zeros((1, 8000), np.int16 if ending == "mov" else np.float32)
        frame = av.AudioFrame.from_ndarray(
            silence, format="s16" if ending == "mov" else "fltp", layout="mono"
        )
        frame.sample_rate = 8000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    assert len(list(open_source(path).frames())) == 25


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("film.flv", "libx264"),
        ("film.flv", "flv"),
        ("film.mpg", "libx264"),
        ("film.mpg", "mpeg2video"),
        ("film.vob", "mpeg2video"),
        ("film.ts", "libx264"),
    ],
)
def test_no_decoder_without_a_limit_runs_while_a_file_is_opened(
    name: str, codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The headers of these formats list no streams, whose decoders FFmpeg then opens without mpscnn's limit."""
    path = write_clip(tmp_path / name, shades(5), codec=codec)
    opened = []
    open_container = av.open

    def recorded(*arguments: Any, **options: Any) -> Any:
        opened.append(options["options"].get("codec_whitelist"))
        return open_container(*arguments, **options)

    monkeypatch.setattr(av, "open", recorded)
    assert len(list(open_source(path).frames())) == 5
    assert opened == ["none", None]
    opened.clear()
    monkeypatch.setattr(source_module, "allowed_pixels", lambda _: SIZE[0] * SIZE[1] - 1)
    with pytest.raises(ImageError, match=f"frames of ({SIZE[0]} x {SIZE[1]}|more than 3,071 pixels)"):
        list(open_source(path).frames())
    assert set(opened) == {"none"}
