"""Test `mpscnn train FOLDER`: from photos sorted by class to a classifier, and its errors."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import call, run
from training.photo_classes import make_photos
from training.small_backbone import save_small_backbone

import mpscnn
from mpscnn import WeightsError
from mpscnn.training import classifier, feature_store
from mpscnn.training.recorded import LogLines, Progress, Record, RecordedTraining, record_text
from mpscnn.training.trainer import Trainer

LABELS = ["blue", "green", "red"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos"), dict.fromkeys(LABELS, 24), noise=20)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_backbone(tmp_path_factory.mktemp("backbone") / "small.safetensors")


@pytest.fixture(scope="module")
def trained(photos: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train some epochs without interruption. Return the model's path; the report is next to it."""
    folder = tmp_path_factory.mktemp("trained")
    result = run(
        *arguments(photos, backbone, folder / "mine.safetensors"), "--report", str(folder / "report")
    )
    assert result.returncode == 0, result.stderr
    (folder / "stdout").write_text(result.stdout)
    (folder / "stderr").write_text(result.stderr)
    return folder / "mine.safetensors"


def arguments(photos: Path, backbone: Path, output: Path) -> list[str]:
    options = {"--epochs": 6, "--batch-size": 4, "--trained-layers": 3, "--views": 2, "--threads": 1}
    given = [str(one) for option in options.items() for one in option]
    return ["train", str(photos), "--model", str(backbone), "-o", str(output), *given]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "mine.safetensors"


@pytest.fixture
def training(photos: Path, backbone: Path, output: Path) -> list[str]:
    """Return the command that trains with `photos` into `output`."""
    return arguments(photos, backbone, output)


def test_the_model_classifies_at_once(trained: Path, photos: Path) -> None:
    lines = (trained.parent / "stdout").read_text().splitlines()
    assert lines[0] == "57 photos to train with and 15 for validation, 3 classes, on small"
    assert any(re.match(r"last layer 1/\d+: loss ", line) for line in lines)
    assert any(line.startswith("last blocks 1/6: loss ") for line in lines)
    right = next(re.match(r"validation: ([\d.]+)% right of 15", line) for line in lines if "right of" in line)
    assert right
    assert float(right[1]) == 100
    assert [line.split()[0] for line in lines if re.match(r"  \w+ +100.00%  \(5 of 5\)", line)] == LABELS
    assert f"mpscnn classify --model {shlex.quote(str(trained))}" in (trained.parent / "stderr").read_text()
    for label in LABELS:
        answer = run("classify", "--model", str(trained), "--json", str(photos / label / "000.png"))
        assert json.loads(answer.stdout)["predictions"][0]["label"] == label
    model = mpscnn.load(trained)
    assert model.labels == LABELS
    assert model.information.keys() == {"description"}  # the photos are the user's, and so is the license
    assert "small has the license: Apache-2.0" in model.information["description"]
    assert not Path(f"{trained}.run").exists()


def split_photos(folder: Path, **counts: int) -> Path:
    """Make a data set that is split. The part for validation has no class "green"."""
    for part, count in counts.items():
        make_photos(
            folder / part, dict.fromkeys(["blue", "red"] if part == "val" else LABELS, count), noise=20
        )
    return folder


@pytest.mark.filterwarnings("ignore:validation. . photos have the bytes")  # drawn photos repeat
def test_a_split_data_set_trains_with_its_own_parts(
    backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: Path
) -> None:
    folder = split_photos(tmp_path / "photos", train=12, val=3, test=1)
    (folder / "test" / "red" / "000.png").write_bytes(b"not read")
    assert call(*arguments(folder, backbone, output)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "36 photos to train with and 6 for validation, 3 classes, on small",
        "the data set is split into train, val and test: validation is with val",
        f"{folder / 'test'} is not used; `mpscnn evaluate` measures the result on it",
    ]
    assert "  blue   100.00%  (3 of 3)" in lines
    assert "  green  no photo for validation" in lines
    assert mpscnn.load(output).labels == LABELS


def test_a_split_data_set_without_validation_uses_a_share(
    backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = split_photos(tmp_path / "photos", train=10)
    given = arguments(folder, backbone, tmp_path / "mine.safetensors")
    assert call(*given, "--validation", "0.3") == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "21 photos to train with and 9 for validation, 3 classes, on small",
        "the data set is split into train: validation is with a share of train",
    ]


@pytest.mark.parametrize(
    ("parts", "options", "message"),
    [
        ({"val": 2, "test": 2}, [], "is split into val and test; there is no train to train with"),
        ({"train": 2, "val": 2}, ["--validation", "0.2"], "val are for validation; leave it out"),
    ],
)
def test_splits_that_do_not_go_together(
    parts: dict[str, int],
    options: list[str],
    message: str,
    backbone: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = split_photos(tmp_path / "photos", **parts)
    assert call(*arguments(folder, backbone, tmp_path / "mine.safetensors"), *options) in (1, 2)
    assert message in capsys.readouterr().err


def test_the_bar_is_seen_in_a_terminal_of_80_columns(training: list[str]) -> None:
    command = [sys.executable, "-m", "mpscnn", *training]
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment
    ) as process:
        os.close(terminal)
        content = b""
        with contextlib.suppress(OSError):  # on Linux, reading a closed terminal raises OSError
            while part := os.read(reader, 1 << 16):
                content += part
        os.close(reader)
    assert process.returncode == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", content.decode()).replace("\r", "\n").splitlines()
    bars = [line for line in shown if "\u2501" in line]
    assert max(map(len, [*bars, *(line for line in shown if ": loss " in line)])) <= 80
    for phase in ("last layer", "last blocks"):
        assert any(re.match(rf"{phase} \u2501{{20,}}.* \d+/\d+ ", line) for line in bars), bars
        assert any(re.match(rf"{phase} \d+/\d+: loss .*, validation .*%", line) for line in shown), shown


def test_the_worst_mistakes_come_first(photos: Path, backbone: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"  # a class with photos in the colour of another class cannot be learnt
    make_photos(mixed, {"red": 10, "green": 10})
    (mixed / "green").rename(mixed / "a <green>")
    for path in sorted((photos / "red").iterdir()):
        (mixed / "a <green>" / f"red{path.name}").write_bytes(path.read_bytes())
    command = arguments(mixed, backbone, tmp_path / "mixed.safetensors")
    result = run(*command, "--epochs", "1", "--report", str(tmp_path))
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "mistakes.html").read_text()
    shares = [float(found) for found in re.findall(r"<figcaption>[^<]*? \(([\d.]+)%\), taken for", page)]
    assert shares
    assert shares == sorted(shares)
    assert "a &lt;green&gt;" in page
    assert "<green>" not in page


def test_the_same_seed_makes_the_same_file(
    photos: Path, backbone: Path, trained: Path, tmp_path: Path
) -> None:
    for name, options in {"two": ["--threads", "2"], "other": ["--seed", "1"]}.items():
        result = run(*arguments(photos, backbone, tmp_path / f"{name}.safetensors"), *options)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "two.safetensors").read_bytes() == trained.read_bytes()
    assert (tmp_path / "other.safetensors").read_bytes() != trained.read_bytes()


class _Stopped(BaseException):
    """An exception that no code may catch, like a kill."""


@pytest.mark.parametrize("place", ["features", "head", "keep", "checkpoint", "checkpoint 2"])
def test_a_killed_run_goes_on_to_the_same_file(
    trained: Path, place: str, output: Path, training: list[str]
) -> None:
    kill_at(place, training)
    assert not output.exists()
    assert call(*training, "--resume") == 0
    assert output.read_bytes() == trained.read_bytes()


def kill_at(place: str, command: list[str]) -> None:
    """Call the command, and stop it at this place as a kill does."""
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, place)
        with pytest.raises(_Stopped):
            call(*command)


def stop_at(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Raise `_Stopped` at this place of the run. Files written until then stay."""
    if place == "features":
        whole = feature_store.store_features

        def some(*given: object, **options: object) -> Iterator[int]:
            yield next(whole(*given, **options))  # type: ignore[arg-type]
            raise _Stopped

        monkeypatch.setattr(classifier, "store_features", some)
    elif place == "head":
        monkeypatch.setattr(classifier.ClassifierTraining, "_train_tail", stopped)
    elif place == "keep":
        monkeypatch.setattr(Trainer, "save", stopped)
    else:
        count = 2 if place.endswith("2") else 1
        save, saved = Trainer.save, []

        def save_and_stop(self: Trainer, path: Path) -> None:
            save(self, path)
            saved.append(path)
            if len(saved) == count:
                raise _Stopped

        monkeypatch.setattr(Trainer, "save", save_and_stop)


def stopped(*given: object) -> None:
    raise _Stopped


def test_an_interrupt_writes_the_best_so_far(
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: Path,
    training: list[str],
) -> None:

    def interrupted(self: object) -> Iterator[object]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(classifier.ClassifierTraining, "_train_tail", interrupted)
    assert call(*training) == 130
    said = capsys.readouterr()
    assert "validation:" in said.out
    assert "best so far" in said.err
    assert mpscnn.load(output).labels == LABELS
    monkeypatch.undo()
    assert call(*training, "--resume") == 0
    assert output.read_bytes() == trained.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_termination_writes_the_best_so_far(
    number: int,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: Path,
    training: list[str],
) -> None:
    """A shell starts background commands with SIGINT ignored, so `kill` is how users end them."""
    # A program that was started by nohup ignores SIGHUP, and so would the command.
    before = signal.signal(number, signal.SIG_DFL)

    def terminated(self: object) -> Iterator[object]:
        os.kill(os.getpid(), number)
        yield

    monkeypatch.setattr(classifier.ClassifierTraining, "_train_tail", terminated)
    assert call(*training) == 128 + number
    assert f"{output} has the best network so far; --resume goes on" in capsys.readouterr().err
    assert mpscnn.load(output).labels == LABELS
    monkeypatch.undo()
    assert call(*training, "--resume") == 0
    assert output.read_bytes() == trained.read_bytes()
    signal.signal(number, before)


def test_nothing_to_go_on_with(capsys: pytest.CaptureFixture[str], training: list[str]) -> None:
    assert call(*training, "--resume") == 2
    assert "there is no run to resume" in capsys.readouterr().err
    kill_at("head", training)
    assert call(*training, "--resume", "--seed", "9") == 2
    assert "the run had other options: seed=0, not 9; give" in capsys.readouterr().err
    assert call(*training, "--resume", "--epochs", "3") == 2
    assert "Ctrl-C ends the run earlier and writes the best network so far" in capsys.readouterr().err


def test_a_log_states_the_remaining_time_once_in_each_long_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("mpscnn.training.recorded.time.monotonic", lambda: clock[0])
    log, told = LogLines(), []
    steps: list[tuple[float, str, int, int]] = [
        (10, "features", 100, 1000),
        (30, "features", 300, 1000),
        (100, "features", 1000, 1000),
        (101, "last layer", 1, 60),
        (121, "last blocks", 5, 15),  # a resumed phase
        (141, "last blocks", 6, 15),
    ]
    for clock[0], phase, done, total in steps:
        record = None if phase == "features" else Record(phase, done, 0, 0, 0, 0, False, 0, 0)
        told += [line for line in log.lines(Progress(phase, done, total, record)) if "more" in line]
    assert told == [
        "features: 700 more photos take up to 1 min",
        "last blocks: 10 more epochs take up to 3 min",
    ]


def test_the_line_of_an_epoch_ends_with_what_decides_and_fits_into_80_columns() -> None:
    for best in (False, True):
        record = Record("last blocks", 100, 10.25, 1.0, 10.5, 1.0, best, 0.001, 1.0)
        line = record_text(record, 100)
        assert (
            line == "last blocks 100/100: loss 10.2500, validation 100.00%, loss 10.5000" + " (best)" * best
        )
        assert len(line) <= 80


def test_a_full_disk_leaves_what_there_is(
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: Path,
    training: list[str],
) -> None:
    output.write_bytes(trained.read_bytes())

    def full(self: Trainer, path: Path) -> None:
        raise WeightsError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(Trainer, "save", full)
    assert call(*training, "--overwrite") == 1
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "--resume continues it" in said
    assert output.read_bytes() == trained.read_bytes()


@pytest.mark.filterwarnings("ignore:validation. . photos have the bytes")  # drawn photos repeat
def test_photos_that_cannot_be_read_are_all_named(
    backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each photo has a line with the reason. When all are repaired, the command succeeds."""
    folder = make_photos(tmp_path / "photos", {"red": 6, "green": 6})
    broken = [
        folder / f"{name}.png" for name in ("green/001", "green/003", "green/004", "red/000", "red/001")
    ]
    broken += [folder / "red/002.png", folder / "red/003.png"]
    contents = [path.read_bytes() for path in broken]
    for path in broken:
        path.write_bytes(b"no photo")
    command = arguments(folder, backbone, tmp_path / "mine.safetensors")
    assert call(*command) == 1
    *lines, last = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [["error", str(path)] for path in broken]
    assert all("is not an image" in line for line in lines)
    assert last.startswith("error: 7 photos cannot be read: ")
    assert last.endswith(" and 2 more")
    for path, content in zip(broken, contents, strict=True):
        path.write_bytes(content)
    assert call(*command, "--epochs", "1") == 0


def test_a_photo_without_a_digit_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error is due to the photo's content, not to reading its file."""
    folder = make_photos(tmp_path / "photos", {"red": 3, "green": 3}, noise=0)
    output = str(tmp_path / "mine.safetensors")
    assert call("train", str(folder), "--model", "digits", "-o", output) == 1
    *lines, last = capsys.readouterr().err.splitlines()
    found = {line.split(": ")[1] for line in lines if "shows no digit" in line}
    assert found == {str(path) for path in folder.rglob("*.png")}
    assert last.startswith("error: 6 photos cannot be read")


def test_a_class_whose_name_is_no_text(
    backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_photos(tmp_path / "photos", {"red": 3, "green": 3})
    try:
        (folder / "red").rename(os.fsdecode(os.fsencode(folder) + b"/caf\xe9"))
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    assert call(*arguments(folder, backbone, tmp_path / "mine.safetensors")) == 1
    said = capsys.readouterr().err
    assert r"the name of the class 'caf\udce9' is not UTF-8 text" in said.replace("\\\\", "\\")


@pytest.mark.parametrize("kind", ["FOLDER", "--digits"])
def test_an_output_that_cannot_be_written_is_found_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """The error is raised before anything is read or trained."""
    (tmp_path / "folder.safetensors").mkdir()
    data = [str(tmp_path / "no data")] if kind == "FOLDER" else [kind, str(tmp_path / "no data")]
    for output in (tmp_path / "none" / "mine.safetensors", tmp_path / "folder.safetensors"):
        assert call("train", *data, "-o", str(output)) == 1
        assert f"error: {output}: cannot be written: " in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.safetensors"]


def test_a_report_that_cannot_be_written_is_found_at_the_start(
    photos: Path,
    backbone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "report" / "curves.png").mkdir(parents=True)
    monkeypatch.setattr(classifier.ClassifierTraining, "run", stopped)
    for report in (tmp_path / "file", tmp_path / "report"):
        command = arguments(photos, backbone, output)
        assert call(*command, "--report", str(report)) == 2
        assert "cannot be written: " in capsys.readouterr().err


def test_two_trainings_do_not_make_one_file(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: Path, training: list[str]
) -> None:
    """The second training is refused and does not change the first one's files. A killed training leaves no lock."""
    command = [sys.executable, "-m", "mpscnn", *training, "--epochs", "100000"]
    command += ["--patience", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        next(line for line in first.stdout if line.startswith("last blocks"))
        for options in ([], ["--resume"], ["--restart"]):
            assert call(*training, *options) == 1
            assert f"error: {output}: is being made by another training" in capsys.readouterr().err
        assert call("train", "--digits", str(tmp_path), "-o", str(output)) == 1
        assert "is being made by another training" in capsys.readouterr().err
        assert first.poll() is None
        first.kill()
    assert Path(f"{output}.lock").exists()
    assert call(*training, "--restart") == 0
    assert output.read_bytes() == trained.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_a_file_system_without_locks_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], training: list[str]
) -> None:
    def none(descriptor: int) -> bool:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("mpscnn._private.locks.try_lock", none)
    assert call(*training, "--epochs", "0") == 0
    assert "the file system has no locks" in capsys.readouterr().err


def test_a_stopped_run_is_not_deleted_unasked(
    trained: Path, capsys: pytest.CaptureFixture[str], output: Path, training: list[str]
) -> None:
    kill_at("checkpoint", training)
    folder = Path(f"{output}.run")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for options in ([], ["--seed", "5"]):
        assert call(*training, *options) == 2
        said = capsys.readouterr().err
        assert f"{folder}: has the state of an interrupted run" in said
        assert "--resume in a shell, continues it; restart=True, --restart in a shell, deletes it" in said
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert call(*training, "--restart") == 0
    assert output.read_bytes() == trained.read_bytes()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "expected either FOLDER or --digits DIR"),
        (["photos", "--digits", "mnist"], "expected either FOLDER or --digits DIR"),
        (["photos", "-o", "mine.onnx"], "must end in .safetensors"),
        (
            ["photos", "--augment"],
            "--augment: does not go with --task classify, only with --digits; --views, --rotation, --mixup and "
            "--cutmix say how photos vary",
        ),
        (["photos", "--augment", "mixup"], "--mixup is an option"),
        (["--digits", "mnist", "--resume", "--restart"], "--resume, --restart: do not go with --digits"),
        (["--digits", "mnist", "--report", "report"], "--report: does not go with --digits"),
        *[
            ([*kind, *option], f"{option[0]}: does not go with {kind[0]}")
            for kind in (["--digits", "mnist"],)
            for option in (
                ["--validation", "0.2"],
                ["--trained-layers", "7"],
                ["--views", "4"],
                ["--patience", "5"],
                ["--restart"],
            )
        ],
        (["photos", "--resume", "--restart"], "--resume, --restart: exclude each other"),
        (["--digits", "mnist", "--model", "colours"], "must be deep_mnist or digits"),
        *[
            ([*kind, ""], "an empty name is not a folder")
            for kind in ([], ["--digits"], ["photos", "--report"])
        ],
        *[([*kind, "--seed", str(2**63)], "'--seed'") for kind in (["photos"], ["--digits", "mnist"])],
    ],
)
def test_wrong_usage(given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train", *given) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("given", ["file", "link", "link to the output"])
def test_the_backbone_is_not_overwritten(
    photos: Path, backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    """An interrupted run needs the backbone to continue."""
    model = output = tmp_path / "mine.safetensors"
    model.write_bytes(backbone.read_bytes())
    link = tmp_path / "link.safetensors"
    link.symlink_to(model)
    if given == "link":
        output = link
    elif given == "link to the output":
        model = link
    command = arguments(photos, model, output)
    for options in ([], ["--resume"], ["--restart"]):
        assert call(*command, *options) == 2
        said = capsys.readouterr()
        assert f"--model {model} and --output {output} are the same file" in said.err
        assert not said.out
    assert link.read_bytes() == backbone.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.safetensors", "mine.safetensors"]


def test_a_run_whose_weights_are_no_archive(
    capsys: pytest.CaptureFixture[str], output: Path, training: list[str]
) -> None:
    kill_at("head", training)
    damaged = Path(f"{output}.run") / "head.npz"
    damaged.write_text("text")
    assert call(*training, "--resume") == 1
    assert f"error: {damaged}: is damaged: File is not a zip file\n" in capsys.readouterr().err
    damaged.unlink()
    assert call(*training, "--resume") == 1
    assert f"error: {damaged}: cannot be read: No such file or directory\n" in capsys.readouterr().err
    damaged.with_suffix(".json").unlink()
    features = Path(f"{output}.run") / "training_features.npy"
    for content in (b"", b"text text", b"PK\3\4text"):
        features.write_bytes(content)
        assert call(*training, "--resume") == 1
        assert f"error: {features}: is not a NumPy file\n" in capsys.readouterr().err


def test_a_resumed_run_that_is_stopped_keeps_the_best_of_before(
    monkeypatch: pytest.MonkeyPatch, output: Path, training: list[str]
) -> None:
    """The first epochs of a retrained last layer are worse than the run's best, so it is not retrained."""
    kill_at("checkpoint 2", training)
    folder = output.with_name(output.name + ".run")
    (folder / ".training_cut.npy.left").write_bytes(b"of a kill")
    phases: list[str] = []
    recorded = RecordedTraining._recorded

    def seen(self: RecordedTraining, phase: str, *given: Any) -> Any:
        phases.append(phase)
        return recorded(self, phase, *given)

    monkeypatch.setattr(RecordedTraining, "_recorded", seen)
    assert call(*training, "--resume") == 0
    assert "last layer" not in phases
    assert not folder.exists()
