"""Run models on videos: every frame once and in order, times, rotation, damaged files, live sources."""

from __future__ import annotations

import gc
import os
import re
import runpy
import struct
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from video_clips import CAT, SIZE, FakeCamera, photo_that_moves, shades, turned, write_clip

import mpscnn
from mpscnn._private.installation import install_command
from mpscnn.apps.video import source as source_module
from mpscnn.apps.video import stream as video_module
from mpscnn.apps.video.frame_buffer import FrameBuffer
from mpscnn.apps.video.planes import _orientation, photo_from_frame
from mpscnn.apps.video.source import _Clock, is_video, open_source
from mpscnn.vision.visualize import upright_picture

av = pytest.importorskip("av", reason="PyAV is not installed")


@pytest.fixture(scope="module")
def model() -> mpscnn.Model:
    return mpscnn.load(device="cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "shades.mp4", shades(50))


def luma(photo: Any) -> float:
    return float(np.median(photo.y))


def test_every_frame_comes_once_in_order_with_its_time(clip: Path, model: mpscnn.Model) -> None:
    taken = [(frame, result) for frame, result in mpscnn.video(clip, model, top=1)]
    assert [frame.number for frame, _ in taken] == list(range(50))
    np.testing.assert_allclose([frame.time for frame, _ in taken], np.arange(50) / 25, atol=1e-6)
    # In limited range, black is 16 and white 235.
    expected = 16 + 219 / 255 * 4 * np.arange(50)
    np.testing.assert_allclose([luma(frame.photo) for frame, _ in taken], expected, atol=2)
    assert all(len(result.top(5)) >= 1 for _, result in taken)


def test_results_are_those_of_the_frames_one_by_one(tmp_path: Path, model: mpscnn.Model) -> None:
    path = write_clip(tmp_path / "cat.mp4", photo_that_moves(12))
    for frame, result in mpscnn.video(path, model, inflight=2):
        alone = model.classify(frame.photo)
        assert result.rows() == alone.rows()


def test_planes_go_to_the_model_as_they_lie(clip: Path) -> None:
    source = open_source(clip)
    frame = next(source.frames())
    photo = frame.photo
    assert isinstance(photo, mpscnn.YuvImage)
    assert photo.y.shape == (48, 64)
    assert not photo.y.flags.owndata  # the decoder's memory, not a copy
    assert photo.v is not None
    assert (photo.matrix, photo.range, photo.siting, photo.orientation) == ("bt601", "video", "left", 1)


def test_the_memory_of_a_frame_is_free_when_the_frame_is(clip: Path) -> None:
    """Frames whose side data were read keep their memory until the garbage collection, so few may be read."""
    gc.collect()
    gc.disable()
    try:
        for _ in open_source(clip).frames():
            pass
        kept = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert kept < 5, f"{kept} of 50 frames are in memory"


@pytest.mark.parametrize(
    ("options", "matrix", "full"),
    [("colormatrix=bt709", "bt709", "video"), ("colormatrix=smpte170m:fullrange=on", "bt601", "full")],
)
def test_matrix_and_range_are_the_streams(tmp_path: Path, options: str, matrix: str, full: str) -> None:
    path = write_clip(tmp_path / "a.mp4", shades(2), options={"x264-params": options})
    photo = next(open_source(path).frames()).photo
    assert isinstance(photo, mpscnn.YuvImage)
    assert (photo.matrix, photo.range) == (matrix, full)


COLOR = (30, 180, 90)


def yuv_frame(form: str, lines: int, matrix: int) -> Any:
    """Return a frame of one colour that does not name its matrix; None if FFmpeg cannot make one in this format."""
    pixels = np.full((lines, 16, 3), COLOR, np.uint8)
    try:
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
            format=form, dst_colorspace=matrix
        )
    except OSError:
        return None
    frame.colorspace = 2  # unspecified
    return frame


@pytest.mark.parametrize(("lines", "matrix"), [(718, 5), (720, 1)])
def test_all_pixel_formats_without_a_matrix_follow_one_rule(lines: int, matrix: int) -> None:
    kinds = [av.VideoFormat(name) for name in sorted(av.video.format.names)]
    names = [kind.name for kind in kinds if len(kind.components) >= 3 and not kind.is_rgb]
    frames = {name: yuv_frame(name, lines, matrix) for name in names if not name.startswith("yuvj")}
    found = {
        name: mpscnn.preprocess(photo_from_frame(frame, "h264", "a"), (lines, 16), "none")[0].mean((0, 1))
        for name, frame in frames.items()
        if frame is not None
    }
    assert len(found) > 60
    # FFmpeg rounds coarsely in some formats. The other matrix would change the red by 13.
    assert {name: value for name, value in found.items() if np.abs(value - COLOR).max() > 5} == {}


def transparent_frame(form: str) -> Any:
    """Return a black frame whose upper half is transparent; None if FFmpeg cannot make or read the format."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[8:, :, 3] = 255
    try:
        frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=form)
        frame.to_ndarray(format="rgba")
    except OSError:
        return None
    return frame


def test_transparent_pixels_become_white_as_in_photos() -> None:
    kinds = [av.VideoFormat(name) for name in sorted(av.video.format.names)]
    names = [kind.name for kind in kinds if any(one.is_alpha for one in kind.components)]
    frames = {name: transparent_frame(name) for name in names}
    found = {
        name: mpscnn.preprocess(photo_from_frame(frame, "ffv1", "a"), (16, 16), "none")[0].mean((1, 2))
        for name, frame in frames.items()
        if frame is not None
    }
    assert {"rgba", "argb", "yuva420p", "yuva444p10le", "gbrap", "rgba64le", "ya8"} <= found.keys()
    wanted = np.repeat([255.0, 0.0], 8)
    assert {name: value for name, value in found.items() if np.abs(value - wanted).max() > 2} == {}


def test_nv12_goes_to_the_model_as_it_lies(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.nut", photo_that_moves(2), codec="rawvideo", pix_fmt="nv12")
    photo = next(open_source(path).frames()).photo
    assert isinstance(photo, mpscnn.YuvImage)
    assert photo.v is None
    assert photo.u.shape == (24, 32, 2)


def test_other_formats_become_rgb(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", photo_that_moves(1), codec="ffv1", pix_fmt="yuv444p10le")
    photo: Any = next(open_source(path).frames()).photo
    (given,) = photo_that_moves(1)
    assert photo.format == "rgb8"
    assert np.abs(photo.pixels.astype(int) - given).mean() < 3


@pytest.mark.parametrize(
    ("matrix", "orientation"),
    [
        ((0, 1, -1, 0), 6),
        ((-1, 0, 0, -1), 3),
        ((0, -1, 1, 0), 8),
        ((-1, 0, 0, 1), 2),
        ((1, 0, 0, -1), 4),
        ((0, 1, 1, 0), 5),
        ((0, -1, -1, 0), 7),
    ],
)
def test_rotated_videos_are_seen_upright(
    clip: Path, model: mpscnn.Model, matrix: tuple[int, int, int, int], orientation: int
) -> None:
    with mpscnn.video(turned(clip, *matrix), model, end=0.05) as results:
        frame, result = next(results)
    assert isinstance(frame.photo, mpscnn.YuvImage)
    assert frame.photo.orientation == orientation
    assert upright_picture(result.photo).size == (SIZE[::-1] if orientation >= 5 else SIZE)


def test_side_data_are_a_mapping() -> None:
    """PyAV 19 iterates over the names of side data, and older versions over the data."""
    matrix = struct.pack("=9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    assert _orientation(SimpleNamespace(side_data={"DISPLAYMATRIX": matrix})) == 6
    assert _orientation(SimpleNamespace(side_data={})) == 1


def test_a_turn_by_the_matrix_moves_a_corner_where_it_belongs(tmp_path: Path) -> None:
    corner = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    corner[:16, :16] = 255  # the upper left corner
    path = write_clip(tmp_path / "a.mp4", iter([corner]))
    # x' = -y, y' = x is a quarter turn to the right, so the upper left corner becomes the upper right one.
    picture = np.asarray(upright_picture(next(open_source(turned(path, 0, 1, -1, 0)).frames()).photo))
    assert picture[4, -4].min() > 200
    assert picture[4, 4].max() < 50


def test_pixels_that_are_not_square_keep_their_shape(clip: Path, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", shades(2), options={"x264-params": "sar=16/11"})
    assert [frame.pixel_aspect for frame in open_source(path).frames()] == [Fraction(16, 11)] * 2
    assert next(open_source(turned(path, 0, 1, -1, 0)).frames()).pixel_aspect == Fraction(11, 16)
    assert next(open_source(clip).frames()).pixel_aspect == 1


def test_every_start_and_end(clip: Path, model: mpscnn.Model) -> None:
    taken = [frame for frame, _ in mpscnn.video(clip, model, every=5, start=0.4, end=1.2)]
    np.testing.assert_allclose([frame.time for frame in taken], [0.4, 0.6, 0.8, 1.0], atol=1e-6)
    assert [frame.number for frame in taken] == [0, 5, 10, 15]


@pytest.mark.parametrize(
    ("ending", "codec"),
    [("h264", "libx264"), ("hevc", "libx265"), ("ts", "libx264"), ("mpg", "mpeg1video"), ("mkv", "libx264")],
)
def test_a_start_takes_the_same_frames_of_every_format(
    tmp_path: Path, ending: str, codec: str, model: mpscnn.Model
) -> None:
    path = write_clip(tmp_path / f"a.{ending}", shades(50), codec=codec)
    taken = [frame for frame, _ in mpscnn.video(path, model, start=0.99, end=1.19)]
    assert [frame.number for frame in taken] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([frame.time for frame in taken], np.arange(25, 30) / 25, atol=1e-3)
    np.testing.assert_allclose(
        [luma(frame.photo) for frame in taken], 16 + 219 / 255 * 4 * np.arange(25, 30), atol=2
    )
    assert list(mpscnn.video(path, model, start=100)) == []


def test_a_start_between_packets_that_say_no_time(tmp_path: Path, model: mpscnn.Model) -> None:
    path = write_clip(tmp_path / "a.mpg", shades(60), codec="mpeg2video", options={"g": "5"})
    taken = [frame for frame, _ in mpscnn.video(path, model, start=0.98)]
    np.testing.assert_allclose([frame.time for frame in taken], np.arange(25, 60) / 25, atol=1e-3)
    expected = 16 + 219 / 255 * 4 * np.arange(25, 60)
    np.testing.assert_allclose([luma(frame.photo) for frame in taken], expected, atol=2)


@pytest.mark.parametrize(
    ("suffix", "sound_from", "video_from"),
    [(".mkv", 0, 1), (".mkv", 2, 3), (".mov", 0, 1), (".mov", 1, 0), (".mov", -1, 0)],
)
def test_times_count_from_the_beginning_of_sound_or_pictures(
    tmp_path: Path, suffix: str, sound_from: int, video_from: int
) -> None:
    """Times are those that a player shows, also if the sound comes first. Sound before time 0 does not count."""
    path = tmp_path / f"clip{suffix}"
    with av.open(str(path), "w") as container:
        sound, video = container.add_stream("pcm_s16le", rate=8000), container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), format="s16", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = 8000, 8000 * sound_from, Fraction(1, 8000)
        container.mux([*sound.encode(heard), *sound.encode(None)])
        for i in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * i, np.uint8), format="rgb24")
            frame.pts, frame.time_base = 25 * video_from + i, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    first = video_from - max(min(sound_from, video_from), 0)
    for start in (0.0, first + 1.0):
        source = open_source(path, start)
        times = [frame.time for frame in source.frames()]
        source.close()
        assert times == pytest.approx(
            [first + i / 25 for i in range(50) if first + i / 25 >= start], abs=2e-3
        )


def test_variable_rate_keeps_its_times(tmp_path: Path, model: mpscnn.Model) -> None:
    times = [0, 1, 5, 6, 20, 21]
    path = write_clip(tmp_path / "a.mkv", shades(6), times=times)
    taken = [frame.time for frame, _ in mpscnn.video(path, model)]
    np.testing.assert_allclose(taken, np.array(times) / 25, atol=1e-3)


@pytest.mark.parametrize(("ending", "codec"), [("ts", "libx264"), ("mpg", "mpeg2video")])
def test_recordings_that_are_joined_come_whole_with_times_that_go_on(
    tmp_path: Path, ending: str, codec: str, model: mpscnn.Model
) -> None:
    options: dict[str, Any] = {"codec": codec, "options": {"g": "5"}}
    late = write_clip(tmp_path / f"late.{ending}", shades(60), times=range(500, 560), **options)
    early = write_clip(tmp_path / f"early.{ending}", shades(60), **options)
    path = tmp_path / f"joined.{ending}"
    path.write_bytes(late.read_bytes() + early.read_bytes())
    taken = [frame for frame, _ in mpscnn.video(path, model)]
    assert [frame.number for frame in taken] == list(range(120))
    np.testing.assert_allclose([frame.time for frame in taken], np.arange(120) / 25, atol=1e-3)
    expected = 16 + 219 / 255 * 4 * np.tile(np.arange(60), 2)
    np.testing.assert_allclose([luma(frame.photo) for frame in taken], expected, atol=3)
    for first in (10, 25, 50):
        taken = [frame for frame, _ in mpscnn.video(path, model, start=(first - 0.5) / 25)]
        assert taken[0].time == pytest.approx(first / 25, abs=1e-3)
        assert taken[-1].time == pytest.approx(119 / 25, abs=1e-3)
        np.testing.assert_allclose([luma(frame.photo) for frame in taken[-60:]], expected[60:], atol=3)


def test_times_of_a_live_source_that_are_set_back_go_on() -> None:
    clock = _Clock(None, Fraction(1, 25))
    given = [3600.0, 3600.04, 7.0, 7.04, None, 7.0]
    np.testing.assert_allclose([clock.seconds(time) for time in given], [0, 0.04, 0.08, 0.12, 0.16, 0.08])


def test_a_start_beyond_what_ffmpeg_can_count(clip: Path, model: mpscnn.Model) -> None:
    assert list(mpscnn.video(clip, model, start=1e18)) == []


@pytest.mark.parametrize("content", [b"", b"no video" * 100], ids=["empty", "text"])
def test_what_is_no_video_is_refused(tmp_path: Path, model: mpscnn.Model, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(mpscnn.ImageError, match="is empty" if not content else "is not a video") as caught:
        mpscnn.video(path, model)
    assert str(path) in str(caught.value)


def test_frames_are_as_large_as_their_file_allows(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file may announce any size, also in a frame alone, and frames take memory."""
    monkeypatch.setattr(
        source_module, "allowed_pixels", lambda size: 100 if size == clip.stat().st_size else 0
    )
    with pytest.raises(mpscnn.ImageError, match="has frames of 64 x 48; at most 100 pixels are allowed"):
        open_source(clip)
    monkeypatch.setattr(source_module, "require_size", lambda *_: None)
    with pytest.raises(mpscnn.ImageError):
        next(iter(open_source(clip).frames()))


def test_half_a_file_is_refused(clip: Path, tmp_path: Path, model: mpscnn.Model) -> None:
    path = tmp_path / "half.mp4"
    path.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(mpscnn.ImageError, match=r"half\.mp4: is not a video, or damaged or cut off"):
        mpscnn.video(path, model)


def test_a_file_without_frames_is_refused(tmp_path: Path, model: mpscnn.Model) -> None:
    path = tmp_path / "a.y4m"
    path.write_bytes(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n")
    with pytest.raises(mpscnn.ImageError, match="has no frame that can be decoded"):
        list(mpscnn.video(path, model))


def test_a_file_that_ends_in_its_header_is_refused(tmp_path: Path, model: mpscnn.Model) -> None:
    path = write_clip(tmp_path / "a.mkv", photo_that_moves(1))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\x1f\x43\xb6\x75")])  # cut before the first frame
    with pytest.raises(mpscnn.ImageError, match="is not a video, or damaged or cut off"):
        mpscnn.video(path, model)


def test_damage_is_told_behind_the_frames_before(tmp_path: Path, model: mpscnn.Model) -> None:
    path = tmp_path / "a.y4m"
    frame = b"FRAME\n" + bytes(64 * 48 * 3 // 2)
    path.write_bytes(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n" + 4 * frame + b"\xff" * len(frame))
    results = mpscnn.video(path, model)
    assert [next(results)[0].number for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(mpscnn.ImageError, match="is damaged after 4 frames"):
        next(results)


def test_a_codec_that_has_no_decoder_is_refused(clip: Path, tmp_path: Path, model: mpscnn.Model) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(clip.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(mpscnn.ImageError, match="no codec that PyAV decodes"):
        mpscnn.video(path, model)


def test_titles_need_not_be_utf_8(clip: Path, tmp_path: Path, model: mpscnn.Model) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(clip.read_bytes().replace(b"Lavf", b"\xffavf"))
    assert len(list(mpscnn.video(path, model))) == 50


def test_audio_alone_is_refused(tmp_path: Path, model: mpscnn.Model) -> None:
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(mpscnn.ImageError, match="has no video, but audio"):
        mpscnn.video(path, model)


def test_a_song_with_a_picture_of_its_cover_is_refused(tmp_path: Path, model: mpscnn.Model) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp3", rate=44100)
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 8, 8, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((8, 8, 3), np.uint8), format="rgb24")
        container.mux([*cover.encode(picture), *cover.encode(None)])
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4608), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 44100
        container.mux([*stream.encode(sound), *stream.encode(None)])
    with pytest.raises(mpscnn.ImageError, match="has no video, but a still picture and audio"):
        mpscnn.video(path, model)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("missing.mp4", mpscnn.ImageError, "No such file"),
        ("http://127.0.0.1/a.mp4", mpscnn.ParameterError, "rtsp://"),
        ("camera:first", mpscnn.ParameterError, "N from 0 to 999"),
        ("", mpscnn.ParameterError, "source must be the path .* got an empty name"),
        (b"clip.mp4", mpscnn.ParameterError, "source must be the path .* got bytes"),
        (None, mpscnn.ParameterError, "source must be the path .* got NoneType"),
        (0, mpscnn.ParameterError, "source must be the path .* got int"),
    ],
)
def test_sources_that_there_are_not(
    source: Any, error: type[Exception], message: str, model: mpscnn.Model
) -> None:
    with pytest.raises(error, match=message):
        mpscnn.video(source, model)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of Linux' cameras")
def test_a_camera_that_is_not_there_is_named(model: mpscnn.Model) -> None:
    with pytest.raises(mpscnn.ImageError, match="camera:987: cannot be opened: No such file"):
        mpscnn.video("camera:987", model)


@pytest.mark.parametrize(
    "options", [{"every": 0}, {"start": -1.0}, {"end": 0.0}, {"inflight": 33}, {"start": 2.0, "end": 1.0}]
)
def test_arguments_out_of_their_range(clip: Path, model: mpscnn.Model, options: dict[str, Any]) -> None:
    with pytest.raises(mpscnn.ParameterError, match=next(reversed(options))):
        mpscnn.video(clip, model, **options)


def test_a_model_and_options_are_looked_at_before_the_source(model: mpscnn.Model) -> None:
    with pytest.raises(mpscnn.ParameterError, match="expected a Model"):
        mpscnn.video("missing.mp4", "mobilenet_v2")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="no option 'tops'"):
        mpscnn.video("missing.mp4", model, tops=1)


def test_a_folder_of_photos_is_a_video(tmp_path: Path, model: mpscnn.Model) -> None:
    for number, pixels in enumerate(photo_that_moves(6)):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    taken = list(mpscnn.video(tmp_path, model, every=2, start=0.04, top=1))
    assert [frame.number for frame, _ in taken] == [0, 2, 4]
    np.testing.assert_allclose([frame.time for frame, _ in taken], [0.04, 0.12, 0.2])
    for (_, result), name in zip(taken, ("1.png", "3.png", "5.png"), strict=True):
        assert result.rows() == model.classify(tmp_path / name, top=1).rows()
    assert open_source(tmp_path).duration == 6 / 25
    (tmp_path / "4.png").write_bytes(b"no photo")
    results = mpscnn.video(tmp_path, model)
    assert [next(results)[0].number for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(mpscnn.ImageError, match=r"4\.png: is not an image"):
        next(results)


def test_a_folder_without_photos_is_refused(tmp_path: Path, model: mpscnn.Model) -> None:
    with pytest.raises(mpscnn.ImageError, match="has no photos in it"):
        mpscnn.video(tmp_path, model)


def test_names_of_videos() -> None:
    assert all(map(is_video, ["a.mp4", "B.MOV", "a.dv", "a.asf", "camera:0", "rtsp://127.0.0.1/a"]))
    assert not any(map(is_video, ["a.jpg", "folder", "camera:x", "-", "a"]))


def test_leaving_early_ends_the_decoder(clip: Path, model: mpscnn.Model) -> None:
    before = threading.active_count()
    results = mpscnn.video(clip, model)
    next(results)
    results.close()
    assert threading.active_count() <= before
    with pytest.raises(StopIteration):
        next(results)


# ---- Live sources --------------------------------------------------------------------------------------------------


def test_a_full_live_buffer_drops_the_oldest() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(2, live=True)
    assert all(buffer.put(i) for i in range(5))
    buffer.end()
    assert buffer.dropped == 3
    assert [buffer.take(), buffer.take(), buffer.take()] == [3, 4, None]


def test_a_full_buffer_of_a_file_waits() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(1, live=False)
    given: list[bool] = []
    thread = threading.Thread(target=lambda: given.extend(buffer.put(i) for i in range(3)))
    thread.start()
    assert [buffer.take() for _ in range(3)] == [0, 1, 2]
    thread.join()
    assert given == [True] * 3
    assert buffer.dropped == 0
    buffer.close()
    assert not buffer.put(4)


def live(camera: FakeCamera, model: mpscnn.Model) -> video_module.Video:
    return video_module.Video(camera, model, 2, 1, {})


def test_a_live_source_drops_and_counts_rather_than_wait(model: mpscnn.Model) -> None:
    camera = FakeCamera()
    results = live(camera, model)
    taken: list[int] = []
    first = threading.Thread(target=lambda: taken.append(next(results)[0].number))
    first.start()
    camera.give(1)
    first.join()
    camera.give(10)
    camera.end()
    camera.closed.wait()
    taken += [frame.number for frame, _ in results]
    assert taken == [0, 10]  # the newest of the frames that came while none was requested
    assert results.dropped == 9


def test_a_camera_that_goes_away_is_told_behind_its_frames(model: mpscnn.Model) -> None:
    camera = FakeCamera(mpscnn.ImageError("camera:0: failed after 1 frames: No such device"))
    threading.Thread(target=lambda: (camera.give(1), camera.end())).start()
    results = live(camera, model)
    assert next(results)[0].number == 0
    with pytest.raises(mpscnn.ImageError, match="No such device"):
        next(results)


# ---- The example ---------------------------------------------------------------------------------------------------


def test_the_example_tells_what_changes_in_a_file(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cat = np.asarray(Image.open(CAT).convert("RGB").resize((64, 64)))
    frames = [cat] * 10 + [np.full_like(cat, 255)] * 10 + [cat] * 10
    path = write_clip(tmp_path / "cat.mp4", iter(frames))
    example = runpy.run_path(str(project / "examples" / "python" / "video.py"))
    example["main"](str(path))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["0.00", "0.40", "0.80"]
    assert [line.split("%  ")[1] for line in lines] == ["cat", "airplane", "cat"]


def test_the_example_looks_through_a_camera_until_it_is_interrupted(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = FakeCamera()
    asked: list[str] = []
    original = video_module.Video.__next__

    def frame_or_ctrl_c(self: Any) -> Any:
        if len(asked) > 1:
            camera.end()
            raise KeyboardInterrupt
        asked.append("frame")
        threading.Thread(target=camera.give, args=(1,)).start()
        return original(self)

    monkeypatch.setattr(video_module.Video, "__next__", frame_or_ctrl_c)
    monkeypatch.setattr(video_module, "open_source", lambda name, *_: asked.append(name) or camera)
    runpy.run_path(str(project / "examples" / "python" / "video.py"))["main"]()
    lines = capsys.readouterr().out.splitlines()
    assert asked[0] == "camera:0"
    assert re.fullmatch(r" +0\.00 s +\d+\.\d%  \w+", lines[0])
    camera.closed.wait()


# ---- Without PyAV --------------------------------------------------------------------------------------------------


def test_pyav_is_imported_only_when_used(clip: Path) -> None:
    program = (
        "import sys, mpscnn\n"
        "mpscnn.video\n"
        "assert 'av' not in sys.modules\n"
        "sys.modules['av'] = None\n"
        "try: mpscnn.video(sys.argv[1], mpscnn.load())\n"
        "except mpscnn.UnsupportedError as error: print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(clip)], capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith(f"videos need PyAV: {install_command('video')} (")


LISTS = {
    "concat.mp4": "ffconcat version 1.0\nfile {other}\n",
    "hls.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-ENDLIST\n#EXTINF:1,\n{other}\n",
    "dash.mpd": '<MPD type="static"><Period><AdaptationSet><Representation mimeType="video/mp4" bandwidth="1">'
    "<BaseURL>{other}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
}


@pytest.mark.parametrize("other", ["itself", "pipe.mp4", "clip.mp4"])
@pytest.mark.parametrize("name", LISTS)
def test_lists_of_videos_open_no_other_file(name: str, other: str, tmp_path: Path) -> None:
    """A list that names itself would be opened until no more files can be open, and one of a pipe would wait."""
    if other == "pipe.mp4":
        os.mkfifo(tmp_path / other)
    elif other == "clip.mp4":
        write_clip(tmp_path / other, shades(3))
    path = tmp_path / name
    path.write_text(LISTS[name].format(other=name if other == "itself" else other))
    with pytest.raises(mpscnn.ImageError, match=r"refers to other files|is not a video|has no video"):
        open_source(str(path))
