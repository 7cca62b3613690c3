"""Test videos whose end is missing: an error follows the existing frames. Whole videos have no such error."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Command
from numpy.typing import NDArray
from video_clips import photo_that_moves, write_clip

import mpscnn
from mpscnn.apps.video.source import VideoFrame, open_source

av: Any = pytest.importorskip("av", reason="PyAV is not installed")

COUNT = 50
#: Formats in which a missing end is noticed, by suffix, with a codec.
TOLD = {
    "avi": "mjpeg",
    "flv": "flv1",
    "m2ts": "libx264",
    "mjpeg": "mjpeg",
    "mkv": "libx264",
    "mxf": "mpeg2video",
    "ts": "libx264",
    "webm": "libvpx",
    "wmv": "wmv2",
    "y4m": "rawvideo",
}


def noise(count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield RGB noise, whose frames have about the same size when encoded."""
    random = np.random.default_rng(0)
    for _ in range(count):
        yield random.integers(0, 256, (120, 160, 3), np.uint8)


def until_the_end(path: Path, **part: Any) -> tuple[list[VideoFrame], str | None]:
    """Return all frames and the error after them."""
    frames: list[VideoFrame] = []
    try:
        for frame in open_source(path, **part).frames():
            frames.append(frame)
    except mpscnn.ImageError as error:
        return frames, str(error)
    return frames, None


def cut(path: Path, size: int) -> Path:
    target = path.with_name(f"cut_{path.name}")
    target.write_bytes(path.read_bytes()[:size])
    return target


def clip_of(folder: Path, ending: str, codec: str) -> Path:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    rate = {"b": "20M"} if codec == "libvpx" else {}  # otherwise the first frame would have most of the bytes
    path = folder / f"a.{ending}"
    return write_clip(path, noise(COUNT), codec=codec, pix_fmt=pix_fmt, options=rate)


@pytest.mark.parametrize(("ending", "codec"), TOLD.items())
def test_a_missing_end_is_told_behind_the_frames_that_are_there(
    tmp_path: Path, ending: str, codec: str
) -> None:
    path = clip_of(tmp_path, ending, codec)
    frames, told = until_the_end(path)
    assert (len(frames), told) == (COUNT, None)
    size = path.stat().st_size
    for part in (0.6, 0.8, 0.95):
        # The file ends within a packet of either kind of MPEG-TS.
        short = cut(path, int(part * size) // 192 // 188 * 192 * 188 + 100)
        frames, told = until_the_end(short)
        assert told is not None
        assert told.startswith(f"{short}: is cut off after {len(frames)} frames: ")
        assert part * COUNT / 3 < len(frames) < COUNT
    _, told = until_the_end(short, end=0.1)
    assert told is None  # the requested part is complete


@pytest.mark.parametrize("flags", ["faststart", "frag_keyframe+empty_moov"])
def test_an_mp4_file_whose_head_is_whole(tmp_path: Path, flags: str) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": flags}) as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for pixels in noise(COUNT):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    assert until_the_end(path)[1] is None
    short = cut(path, path.stat().st_size // 2)
    frames, told = until_the_end(short)
    assert len(frames) > 5
    assert told is not None
    assert told.startswith(
        f"{short}: is cut off after {len(frames)} frames: {short.stat().st_size:,} of at least"
    )


def test_a_recording_without_a_length_may_end_between_its_parts_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    # The file states no length, like the file of a recorder that is still running.
    with av.open(str(path), "w", options={"live": "1"}) as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuvj420p"
        for pixels in noise(COUNT):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert container.duration is None
    assert until_the_end(path)[1] is None
    frames, told = until_the_end(cut(path, path.stat().st_size * 2 // 3))
    assert len(frames) > 5
    assert told is not None
    assert "is cut off after" in told


@pytest.mark.parametrize("ending", ["flv", "mkv", "mov", "mp4", "ts", "webm", "wmv"])
def test_a_whole_file_of_a_variable_rate_is_whole(tmp_path: Path, ending: str) -> None:
    codec = {"flv": "flv1", "webm": "libvpx", "wmv": "wmv2"}.get(ending, "libx264")
    times = [0, 1, 5, 6, 20, 90, 91, 300]
    path = write_clip(tmp_path / f"a.{ending}", photo_that_moves(len(times)), codec=codec, times=times)
    frames, told = until_the_end(path)
    assert (len(frames), told) == (len(times), None)


def test_sound_that_goes_on_behind_the_pictures_is_no_missing_end(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000)
        for pixels in photo_that_moves(5):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(pictures.encode(None))
        for second in range(4):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, 8000 * second, Fraction(1, 8000)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    frames, told = until_the_end(path)
    assert (len(frames), told) == (5, None)


def test_pictures_that_come_bit_by_bit_are_whole_behind_a_seek(tmp_path: Path) -> None:
    """A stream without key frames: FFmpeg marks every frame as damaged until all parts of a picture have come."""
    options = {"x264-params": "intra-refresh=1:keyint=25:bframes=0"}
    path = write_clip(tmp_path / "a.ts", photo_that_moves(COUNT, (320, 240)), options=options)
    assert until_the_end(path)[1] is None
    frames, told = until_the_end(path, start=1.8)
    assert frames
    assert told is None


def test_a_stream_that_is_cut_within_a_picture(tmp_path: Path) -> None:
    """Raw streams store no length. An error is raised if their decoder reports an unfinished frame."""
    path = write_clip(tmp_path / "a.mpg", noise(COUNT), codec="mpeg1video")
    assert until_the_end(path)[1] is None
    frames, told = until_the_end(cut(path, path.stat().st_size * 9 // 10))
    assert 10 < len(frames) < COUNT
    assert told is not None
    assert told.endswith(f"is cut off after {len(frames)} frames: the last picture is unfinished")


def test_other_bytes_behind_a_whole_file_are_no_missing_end(tmp_path: Path) -> None:
    for ending, codec in TOLD.items():
        if ending == "y4m":
            continue  # here, bytes that begin no frame are an error
        path = clip_of(tmp_path, ending, codec)
        path.write_bytes(path.read_bytes() + bytes(77))
        assert until_the_end(path)[1] is None, ending


def test_a_file_whose_first_picture_is_missing(tmp_path: Path) -> None:
    path = clip_of(tmp_path, "webm", "libvpx")
    short = cut(path, 1500)
    with pytest.raises(mpscnn.ImageError, match="cut off"):
        list(open_source(short).frames())


def test_the_command_shows_what_is_there_and_fails(command: Command, tmp_path: Path) -> None:
    path = clip_of(tmp_path, "mkv", "libx264")
    short = cut(path, path.stat().st_size * 4 // 5)
    output = tmp_path / "out.mp4"
    ended = command("classify", str(short), "--json", "--output", str(output))
    count = len(ended.stdout.splitlines())
    assert ended.returncode == 1
    assert f"error: {short}: is cut off after {count} frames: " in ended.stderr
    assert len(until_the_end(output)[0]) == count > 20
