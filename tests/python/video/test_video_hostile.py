"""Open small videos that claim much: each is refused, and takes little memory."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import systems

pytest.importorskip("av", reason="PyAV is not installed")

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
