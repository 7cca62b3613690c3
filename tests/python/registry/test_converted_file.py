"""Test the checksums of converted files: any damage shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mpscnn.registry.converted_file import is_intact, replace_converted

CONTENT = bytes(range(256)) * 2


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model-0.5.safetensors"
    with replace_converted(path) as temporary:
        temporary.write_bytes(CONTENT)
    return path


def damaged(content: bytes) -> Iterator[bytes]:
    """Yield the content with each bit flipped, cut at each place, and with more bytes."""
    for place in range(len(content)):
        yield content[:place]
        for bit in range(8):
            yield content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
    yield content + b"\0"


def test_every_damage_shows(file: Path) -> None:
    """This takes a second, since the file is written again for each of its bits."""
    assert is_intact(file)
    for content in damaged(CONTENT):
        file.write_bytes(content)
        assert not is_intact(file)
    file.write_bytes(CONTENT)
    assert is_intact(file)
    file.unlink()
    assert not is_intact(file)


def test_damaged_checksums(file: Path) -> None:
    (checksum,) = file.parent.glob("*.crc32")
    whole = checksum.read_bytes()
    for content in damaged(whole):
        checksum.write_bytes(content)
        assert not is_intact(file)
    checksum.unlink()
    assert not is_intact(file)


def interrupt_replacement(file: Path) -> None:
    with replace_converted(file) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt


def test_a_failure_keeps_the_file(file: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupt_replacement(file)
    assert file.read_bytes() == CONTENT
    assert is_intact(file)
    assert len(list(file.parent.iterdir())) == 2
