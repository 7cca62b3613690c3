"""Test videos on the command line: output, files and errors."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Command
from constant_detector import LABELS, save_constant_detector
from PIL import Image
from video_clips import FakeCamera, photo_that_moves, write_clip

import mpscnn
from mpscnn.apps.video import stream as video_module
from mpscnn.apps.video.source import open_source
from mpscnn.apps.video.writer import VideoWriter
from mpscnn.graph.features import FeatureExtractor

pytest.importorskip("av", reason="PyAV is not installed")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "cat.mp4", photo_that_moves(20, (160, 120)))


def test_json_has_a_line_for_each_frame(command: Command, clip: Path) -> None:
    ended = command("classify", str(clip), "--json", "--top", "2")
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line["frame"] for line in lines] == list(range(20))
    np.testing.assert_allclose([line["time"] for line in lines], np.arange(20) / 25, atol=1e-6)
    assert {line["video"] for line in lines} == {str(clip)}
    assert "20 frames, " in ended.stderr
    assert ", 0 dropped" in ended.stderr


def test_csv_is_one_table_with_times(command: Command, clip: Path) -> None:
    ended = command(
        "classify", str(clip), "--csv", "--top", "1", "--every", "5", "--start", "0.2", "--end", "0.8"
    )
    head, *rows = csv.reader(io.StringIO(ended.stdout))
    assert head[:3] == ["video", "frame", "time"]
    assert [(row[1], row[2]) for row in rows] == [("0", "0.2"), ("5", "0.4"), ("10", "0.6")]


def test_a_terminal_shows_rates_beside_a_bar(clip: Path) -> None:
    ours, theirs = os.openpty()
    call = [sys.executable, "-m", "mpscnn", "classify", str(clip), "--json"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=theirs, env=environment) as program:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # on Linux, the other side of a closed terminal raises OSError
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    assert program.returncode == 0
    text = shown.decode()
    assert "\u2501" in text  # the progress bar
    assert re.search(r"20 frames, [\d.]+ per second, latency \d+ ms, 0 dropped", text)


def test_an_annotated_video_has_every_frame_at_its_time(command: Command, clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    ended = command("classify", str(clip), "--output", str(output), "--every", "2")
    assert ended.returncode == 0, ended.stderr
    frames = list(open_source(output).frames())
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(10) / 12.5, atol=1e-4)
    (first, *_) = photo_that_moves(1, (160, 120))
    photo: Any = frames[0].photo
    assert photo.y.shape[0] > 120  # the legend is below the photo
    assert np.abs(photo.y[:120, :160].astype(float) - (16 + first @ (0.257, 0.504, 0.098))).mean() < 6


def test_detectors_draw_boxes_into_the_video(command: Command, clip: Path, tmp_path: Path) -> None:
    model = save_constant_detector(tmp_path / "constants.safetensors")
    output = tmp_path / "out.mkv"
    ended = command("detect", str(clip), "--model", str(model), "--output", str(output), "--json")
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(lines) == 20
    assert all(line["detections"][0]["label"] == LABELS[0] for line in lines)
    before: Any = next(open_source(clip).frames()).photo
    after: Any = next(open_source(output).frames()).photo
    assert after.y.shape == before.y.shape
    assert np.abs(after.y.astype(int) - before.y).max() > 60


def half_model(folder: Path) -> Path:
    network = mpscnn.Network(input=(8, 8, 3))
    network.output(network.average_pool2d(network.input, 2, name="half"))
    path = folder / "half.safetensors"
    network.save(path, preprocess="unit")
    return path


def test_features_of_frames_with_times(command: Command, clip: Path, tmp_path: Path) -> None:
    model, output = half_model(tmp_path), tmp_path / "out.npz"
    arguments = ("--layers", "half", "--every", "5", "--output", str(output), "--json")
    ended = command("features", str(clip), "--model", str(model), *arguments)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["shapes"], told["times"]) == ({"half": [4, 4, 4, 3]}, [0, 0.2, 0.4, 0.6])
    extractor = mpscnn.load(str(model)).features(["half"])
    alone = [extractor.run(frame.photo)["half"] for frame in open_source(clip).frames()]
    with np.load(output) as arrays:
        np.testing.assert_array_equal(arrays["half"], np.concatenate(alone[::5]))
        np.testing.assert_allclose(arrays["times"], [0, 0.2, 0.4, 0.6])
        assert list(arrays["photos"]) == ["cat-000000", "cat-000005", "cat-000010", "cat-000015"]
    for ending in ("jsonl", "csv"):
        lines = tmp_path / f"out.{ending}"
        ended = command("features", str(clip), "--model", str(model), *arguments[:4], "--output", str(lines))
        assert ended.returncode == 0, ended.stderr
        text = lines.read_text("utf-8")
        if ending == "jsonl":
            rows = [json.loads(line) for line in text.splitlines()]
            found = [row["half"] for row in rows]
        else:
            rows = list(csv.DictReader(io.StringIO(text)))
            found = [[float(row[f"half[{place}]"]) for place in range(48)] for row in rows]
        assert [(row["video"], int(row["frame"]), float(row["time"])) for row in rows] == [
            (str(clip), number, number / 25) for number in (0, 5, 10, 15)
        ]
        expected = np.concatenate(alone[::5]).reshape(4, 48)
        np.testing.assert_array_equal(np.array(found, np.float32), expected)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "npz"])
def test_features_that_do_not_come_leave_the_file_that_was_there(
    command: Command, clip: Path, tmp_path: Path, ending: str
) -> None:
    output = tmp_path / f"out.{ending}"
    output.write_bytes(b"mine")
    model = half_model(tmp_path)
    arguments = ("--model", str(model), "--layers", "half", "--overwrite", "--output")
    ended = command("features", str(clip), *arguments, str(output), "--from", "100")
    assert ended.returncode == 2
    assert "no frame lies between --from" in ended.stderr
    assert output.read_bytes() == b"mine"
    ended = command("features", str(clip), *arguments, str(tmp_path / "no" / f"out.{ending}"))
    assert ended.returncode == 2
    assert "cannot be written: No such file" in ended.stderr
    assert " frames, " not in ended.stderr  # the error came before the first frame
    assert {path.name for path in tmp_path.iterdir()} == {output.name, model.name}


@pytest.mark.parametrize("ending", ["jsonl", "csv", "npz"])
def test_features_before_damage_are_kept(command: Command, tmp_path: Path, ending: str) -> None:
    path = write_clip(tmp_path / "a.mkv", photo_that_moves(20, (160, 120)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    output = tmp_path / f"out.{ending}"
    arguments = ("--model", str(half_model(tmp_path)), "--layers", "half", "--output", str(output))
    ended = command("features", str(path), *arguments)
    assert ended.returncode == 1
    assert (told := re.search(r"is cut off after (\d+) frames", ended.stderr)) is not None
    if ending == "npz":
        with np.load(output) as arrays:
            count = len(arrays["half"])
    else:
        count = len(output.read_text().splitlines()) - (ending == "csv")
    assert count == int(told[1]) > 2


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of files' sizes is of POSIX")
def test_features_that_cannot_be_written_leave_what_was_there(tmp_path: Path, clip: Path) -> None:
    output, model = tmp_path / "out.jsonl", half_model(tmp_path)
    output.write_bytes(b"mine")
    program = (
        "import resource, sys\n"
        "from mpscnn.apps.cli import main\n"  # an editable import writes files of its own
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))\n"
        "main()\n"
    )
    arguments = [
        "features",
        str(clip),
        "--model",
        str(model),
        "--layers",
        "half",
        "--overwrite",
        "--output",
        str(output),
    ]
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert f"error: {output}: cannot be written: File too large" in ended.stderr
    assert output.read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {output.name, model.name}


@pytest.mark.parametrize("ending", ["jsonl", "csv", "npz"])
def test_features_of_photos_take_their_place_when_all_are_done(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    photo, output, model = tmp_path / "a.png", tmp_path / f"out.{ending}", half_model(tmp_path)
    Image.fromarray(next(photo_that_moves(1))).save(photo)
    output.write_bytes(b"mine")
    original, before = FeatureExtractor.run, []

    def run(self: FeatureExtractor, photo: Any) -> Any:
        before.append(output.read_bytes())
        if len(before) == 2 and interrupted:
            raise KeyboardInterrupt
        return original(self, photo)

    monkeypatch.setattr(FeatureExtractor, "run", run)
    arguments = ("--model", str(model), "--layers", "half", "--overwrite", "--output", str(output))
    interrupted = True
    assert command("features", str(photo), str(photo), *arguments).returncode == 130
    assert output.read_bytes() == b"mine"
    interrupted = False
    assert command("features", str(photo), str(photo), *arguments).returncode == 0
    assert before == [b"mine"] * 4
    assert output.read_bytes() != b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {photo.name, output.name, model.name}


# ---- Folders of photos ---------------------------------------------------------------------------------------------


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Write photos of one size, and in the middle one of another size."""
    folder = tmp_path / "album"
    folder.mkdir()
    for number, pixels in enumerate(photo_that_moves(6, (160, 120))):
        picture = Image.fromarray(pixels)
        picture = picture.resize((120, 240)) if number == 3 else picture
        picture.save(folder / f"{number}.png")
    return folder


def test_a_folder_is_a_video_with_options_of_videos(command: Command, album: Path) -> None:
    ended = command("classify", str(album), "--every", "2", "--inflight", "2", "--json", "--top", "1")
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(line["video"], line["frame"], line["time"]) for line in lines] == [
        (str(album), number, number / 25) for number in (0, 2, 4)
    ]
    model = mpscnn.load()
    for line in lines:
        alone = model.classify(album / f"{line['frame']}.png", top=1).to_dict()
        assert line["predictions"] == alone["predictions"]
    assert (
        len(command("classify", str(album), "--csv", "--from", "0.1", "--top", "1").stdout.splitlines()) == 4
    )
    plain = command("classify", str(album), "--json")
    assert [json.loads(line)["image"] for line in plain.stdout.splitlines()] == [
        str(album / f"{number}.png") for number in range(6)
    ]


@pytest.mark.parametrize(("name", "kind"), [("a.gif", "GIF"), ("a.apng", "PNG")])
def test_an_animation_is_a_video_with_options_of_videos(
    command: Command, tmp_path: Path, name: str, kind: str
) -> None:
    path = tmp_path / name
    first, *others = map(Image.fromarray, photo_that_moves(6, (160, 120)))
    first.save(path, kind, save_all=True, append_images=others, duration=40)
    ended = command("classify", str(path), "--every", "2", "--json", "--top", "1")
    assert ended.returncode == 0, ended.stderr
    assert [json.loads(line)["frame"] for line in ended.stdout.splitlines()] == [0, 2, 4]
    photo = command("classify", str(path), "--json", "--top", "1")
    assert json.loads(photo.stdout)["image"] == str(path)
    assert "only its first picture is taken; --every 1 takes the whole animation" in photo.stderr


def test_a_folder_becomes_a_video_of_the_first_photos_size(
    command: Command, album: Path, tmp_path: Path
) -> None:
    model = save_constant_detector(
        tmp_path / "constants.safetensors",
    )
    output = tmp_path / "out.mp4"
    threshold = ("--score-threshold", "1")  # no box reaches this score
    ended = command("detect", str(album), "--model", str(model), *threshold, "--output", str(output))
    assert ended.returncode == 0, ended.stderr
    frames = list(open_source(output).frames())
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(6) / 25, atol=1e-4)
    for number, frame in enumerate(frames):
        photo: Any = frame.photo
        assert photo.y.shape == (120, 160)
        expected = np.full((120, 160, 3), 255.0)
        picture = Image.open(album / f"{number}.png")
        if number == 3:  # scaled to the frame's height, and centred
            expected[:, 50:110] = np.asarray(picture.resize((60, 120)))
        else:
            expected[:] = np.asarray(picture)
        assert np.abs(photo.y - (16 + expected @ (0.257, 0.504, 0.098))).mean() < 6, number


def test_a_folder_called_like_a_video_still_takes_pictures(
    command: Command, album: Path, tmp_path: Path
) -> None:
    output = tmp_path / "pictures.mp4"
    output.mkdir()
    ended = command("classify", str(album), "--output", str(output))
    assert ended.returncode == 0, ended.stderr
    assert len(list(output.iterdir())) == 6


@pytest.mark.parametrize("ending", ["flv", "m4v", "mkv", "mov", "mp4", "webm", "wmv"])
def test_an_annotated_video_is_as_wide_as_the_one_that_is_read(
    command: Command, tmp_path: Path, ending: str
) -> None:
    options = {"x264-params": "sar=3/2"}
    path = write_clip(tmp_path / "wide.mp4", photo_that_moves(2, (160, 120)), options=options)
    model = save_constant_detector(tmp_path / "constants.safetensors")
    output = tmp_path / f"out.{ending}"
    ended = command("detect", str(path), "--model", str(model), "--output", str(output))
    assert ended.returncode == 0, ended.stderr
    frame: Any = next(open_source(output).frames())
    height, width = frame.photo.y.shape
    assert (height, width * frame.pixel_aspect) == (120, 240)
    assert (width == 160) == (ending not in ("flv", "webm"))


# ---- Mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cat.jpg", "--every", "5"], "--every"),
        (["a.mp4", "b.mp4"], "a.mp4: a video, camera or stream stands alone"),
        (["cat.jpg", "b.mp4"], "call the command once more for cat.jpg"),
        (["cat.jpg", "--output", "out.mp4"], "--output"),
        (["one.jpg", "two.jpg", "--output", "out.mkv"], "not for 2 photos"),
        (["a.mp4", "--channel-order", "bgr"], "--channel-order"),
        (["a.mp4", "--from", "2", "--to", "1"], "--to"),
    ],
)
def test_wrong_usage(command: Command, arguments: list[str], message: str) -> None:
    ended = command("classify", *arguments)
    assert ended.returncode == 2
    assert message in " ".join(ended.stderr.replace("\u2502", " ").split())
    assert not Path("out.mp4").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((f"out.{ending}", ".mp4") for ending in ("xyz", "wav", "gif", "png", "avi", "mpg", "ts", "h264")),
        ("no/out.mp4", "cannot be written"),
    ],
)
def test_outputs_that_cannot_be(
    command: Command, clip: Path, tmp_path: Path, name: str, message: str
) -> None:
    ended = command("classify", str(clip), "--output", str(tmp_path / name))
    assert ended.returncode in (1, 2)
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["flv", "m4v", "mkv", "mov", "mp4", "webm", "wmv"])
def test_every_ending_that_is_allowed_keeps_times(tmp_path: Path, ending: str) -> None:
    output, times = tmp_path / f"out.{ending}", [0, 0.08, 0.2, 0.24, 0.5]
    with VideoWriter(output) as writer:
        for pixels, time in zip(photo_that_moves(5), times, strict=True):
            writer.write(Image.fromarray(pixels), time)
    np.testing.assert_allclose([frame.time for frame in open_source(output).frames()], times, atol=1e-3)
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("ending", ["flv", "m4v", "mkv", "mov", "mp4", "webm", "wmv"])
@pytest.mark.parametrize("lines", [718, 720])
def test_colours_are_read_as_they_were_written(tmp_path: Path, ending: str, lines: int) -> None:
    output, color = tmp_path / f"out.{ending}", (30, 180, 90)
    with VideoWriter(output) as writer:
        writer.write(Image.new("RGB", (32, lines), color), 0)
    (frame,) = open_source(output).frames()
    assert isinstance(frame.photo, mpscnn.YuvImage)
    assert frame.photo.matrix == ("bt709" if lines == 720 else "bt601")
    found = mpscnn.preprocess(frame.photo, (lines, 32), "none")[0].mean((0, 1))
    np.testing.assert_allclose(found, color, atol=2)  # the other matrix would change the red by 13


def test_rows_of_frames_go_to_a_file(command: Command, clip: Path, tmp_path: Path) -> None:
    for ending, form in (("jsonl", "--json"), ("csv", "--csv")):
        output = tmp_path / f"rows.{ending}"
        given = "classify", str(clip), "--every", "2", "--top", "1"
        ended = command(*given, "--output", str(output))
        assert (ended.returncode, ended.stdout) == (0, "")
        times = re.compile(r'"milliseconds": [\d.]+')
        assert times.sub("", output.read_text()) == times.sub("", command(*given, form).stdout)
        assert f"{output}: exists already" in command(*given, "--output", str(output)).stderr


def test_a_video_that_exists_is_refused(command: Command, clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"mine")
    ended = command("classify", str(clip), "--output", str(output))
    assert ended.returncode == 2
    assert "out.mp4: exists already, so nothing is computed; --overwrite replaces it" in ended.stderr
    assert output.read_bytes() == b"mine"


@pytest.mark.parametrize("link", [None, os.link, os.symlink])
def test_the_video_that_is_read_is_not_overwritten(
    command: Command, clip: Path, tmp_path: Path, link: Callable[[Path, Path], None] | None
) -> None:
    before = clip.read_bytes()
    output = clip
    if link is not None:
        output = tmp_path / "link.mp4"
        link(clip, output)
    ended = command("classify", str(clip), "--overwrite", "--output", str(output))
    assert ended.returncode == 2
    assert "is the video that is read" in ended.stderr
    assert clip.read_bytes() == before


def test_a_camera_that_goes_away_leaves_a_playable_video(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = FakeCamera(mpscnn.ImageError("camera:0: failed after 1 frames: No such device"))
    camera._wanted.release()
    monkeypatch.setattr(video_module, "open_source", lambda *_: camera)
    output = tmp_path / "out.mp4"
    original = VideoWriter.write

    def write(self: VideoWriter, *frame: Any) -> None:
        original(self, *frame)
        camera.end()

    monkeypatch.setattr(VideoWriter, "write", write)
    ended = command("classify", "camera:0", "--output", str(output))
    assert ended.returncode == 1
    assert "error: camera:0: failed after 1 frames: No such device" in ended.stderr
    assert len(list(open_source(output).frames())) == 1


@pytest.mark.ci
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_leaves_a_playable_video(tmp_path: Path, number: int) -> None:
    path = write_clip(tmp_path / "long.mp4", photo_that_moves(2000), options={"preset": "ultrafast"})
    output = tmp_path / "out.mp4"
    call = [sys.executable, "-m", "mpscnn", "classify", str(path), "--output", str(output), "--json"]
    # nohup makes the program and its children ignore the signal.
    heard = partial(signal.signal, number, signal.SIG_DFL)
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heard
    ) as program:
        assert program.stdout is not None
        for _ in range(5):
            program.stdout.readline()
        program.send_signal(number)
        _, told = program.communicate(timeout=60)
    assert program.returncode == 128 + number, told
    assert told.endswith("interrupted\n")
    assert 5 <= len(list(open_source(output).frames())) < 2000
    assert {file.name for file in tmp_path.iterdir()} == {path.name, output.name}


def test_a_terminated_run_keeps_the_features_of_its_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "long.mp4", photo_that_moves(2000), options={"preset": "ultrafast"})
    output, model = tmp_path / "out.jsonl", half_model(tmp_path)
    program = (
        "import os, signal\n"
        "from mpscnn.apps.cli import video_options, main\n"
        "count = video_options._Rates.count\n"
        "def counted(self, frame):\n"
        "    count(self, frame)\n"
        "    if frame.number == 4: os.kill(os.getpid(), signal.SIGTERM)\n"
        "video_options._Rates.count = counted\n"
        "main()\n"
    )
    arguments = ["features", str(path), "--model", str(model), "--layers", "half", "--output", str(output)]
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 143, ended.stderr
    assert [json.loads(line)["frame"] for line in output.read_text().splitlines()] == [0, 1, 2, 3, 4]
