"""Texts from files and users can neither control the terminal nor imitate a line of mpscnn."""

from __future__ import annotations

import ast
import json
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call, colour_network, run, save_photo

import mpscnn
from mpscnn._private.printable import printable
from mpscnn._private.summary import text_table
from mpscnn.runtime.profile import Profile
from mpscnn.vision.results import Classification, Prediction

ESCAPE = "\x1b[31m"
#: C0, DEL, C1, text direction marks, line separators, and rich's markup.
EVIL = f"a{ESCAPE}b\x07c\x7fd\x9be\u202ef\u2066g\u2028h\nerror: i\r\tj[red]k[/red]"
SHOWN = r"a\x1b[31mb\x07c\x7fd\x9be\u202ef\u2066g\u2028h\nerror: i\r\tj[red]k[/red]"
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def assert_plain(text: str) -> None:
    """Require that the text has no control characters, and no line that begins within a name."""
    assert not CONTROLS.search(text), ascii(text)
    assert "\nerror: i" not in text


def test_printable() -> None:
    assert printable(EVIL) == SHOWN
    assert printable("\udc80 \ud800") == r"\udc80 \ud800"
    for unchanged in ("", "tench, Tinca tinca", "žena \u3000 \xa0 猫 👩\u200d🔬", "back\\slash", "[bold]"):
        assert printable(unchanged) == unchanged


@pytest.fixture(scope="module")
def evil_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a classifier whose names and labels all contain EVIL."""
    path = tmp_path_factory.mktemp("evil") / "evil.safetensors"
    network = mpscnn.Network(input=(8, 8, 3), name=EVIL)
    x = network.global_average_pool2d(network.input, name=f"pool {EVIL}")
    x = network.dense(network.flatten(x, name="flat"), 3, name=f"dense {EVIL}")
    network.output(network.softmax(x, name=f"softmax {EVIL}"))
    network.load_weights({f"dense {EVIL}.weight": 10 * np.eye(3, dtype=np.float32)})
    labels = [f"red {EVIL}", f"green {EVIL}", f"blue {EVIL}"]
    information = {f"license {EVIL}": EVIL, "source": EVIL}
    network.save(path, labels=labels, preprocess="unit", information=information)
    return str(path)


@pytest.fixture
def evil_photo(tmp_path: Path) -> str:
    return str(save_photo(tmp_path / f"red {EVIL.replace('/', '')}.png", "red"))


COMMANDS: dict[str, Callable[[str, str, Path], list[str]]] = {
    "info": lambda model, photo, folder: ["info", model],
    "classify": lambda model, photo, folder: ["classify", photo, "--model", model, "--output", str(folder)],
    "classify --json": lambda model, photo, folder: ["classify", photo, "--model", model, "--json"],
    "explain": lambda model, photo, folder: ["explain", model],
    "profile": lambda model, photo, folder: ["profile", model, "--runs", "1"],
    "features": lambda model, photo, folder: [
        "features", photo, "--model", model, "--layers", f"pool {EVIL}", "--output", str(folder / f"{EVIL[:3]}.npz"),
    ],
    "evaluate": lambda model, photo, folder: ["evaluate", str(Path(photo).parent), "--model", model],
    "digits": lambda model, photo, folder: ["digits", photo, "--model", model],
    "segment": lambda model, photo, folder: ["segment", photo, "--model", model],
    "detect": lambda model, photo, folder: ["detect", photo, "--model", model],
    "convert": lambda model, photo, folder: ["convert", photo, str(folder / f"{EVIL[:3]}.safetensors")],
    "missing photo": lambda model, photo, folder: ["classify", f"{photo}.jpg", "--model", model],
    "missing model": lambda model, photo, folder: ["info", f"{model}{EVIL}.safetensors"],
    "unknown model": lambda model, photo, folder: ["info", "evil"],
    "unknown option": lambda model, photo, folder: ["info", f"--{EVIL}", model],
    "unknown command": lambda model, photo, folder: [EVIL, model],
    "wrong value": lambda model, photo, folder: ["classify", photo, "--top", EVIL],
    "wrong device": lambda model, photo, folder: ["classify", photo, "--device", EVIL],
    "wrong size": lambda model, photo, folder: ["info", model, "--size", EVIL],
    "wrong suffix": lambda model, photo, folder: ["evaluate", ".", "--model", model, "--output", f"x.{EVIL}"],
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(
    command: str,
    evil_model: str,
    evil_photo: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MPSCNN_MODELS", str(tmp_path / EVIL))
    call(*COMMANDS[command](evil_model, evil_photo, tmp_path))
    printed = capsys.readouterr()
    assert printed.out + printed.err
    assert_plain(printed.out)
    assert_plain(printed.err)


def test_json_says_what_the_names_are(
    evil_model: str, evil_photo: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("classify", evil_photo, "--model", evil_model, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["image"] == evil_photo
    assert printed["predictions"][0]["label"] == f"red {EVIL}"


def test_beside_a_progress_bar(
    evil_model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Next to a progress bar rich prints the lines. It must not interpret escapes or markup in names."""
    photos = [str(save_photo(tmp_path / f"{index} {EVIL.replace('/', '')}.png", "red")) for index in range(6)]
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    assert call("classify", *photos, "--model", evil_model) == 0
    printed = capsys.readouterr().err  # rich has one console for stdout and stderr
    assert printed.count(f"red {SHOWN}") == 6, ascii(printed)
    for part in ("\x07", "\x7f", "\x9b", ESCAPE, "\u202e", "\nerror"):
        assert part not in printed


def test_warnings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from mpscnn.apps.cli.failures import prepare_streams

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    prepare_streams()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning(UserWarning(EVIL), UserWarning, "x.py", 1)
    assert capsys.readouterr().err == f"warning: {SHOWN}\n"


def test_texts_of_the_library(evil_model: str) -> None:
    """Python users print these texts, too."""
    assert text_table(("a", "b"), [(EVIL, "c")]).splitlines()[2] == f"{SHOWN}  c"
    network = mpscnn.load(evil_model).network
    program = network.compile(device="cpu")
    result: Any = program.session().profile(np.zeros((1, 8, 8, 3), np.float32), runs=1)
    assert isinstance(result, Profile)
    best = Classification(
        (Prediction(EVIL, 1.0, 0),),
        device="cpu",
        precision="float32",
        milliseconds=1,
        reason="",
        scores_are="softmax",
    )
    for text in (
        network.describe().table(),
        result.table(),
        repr(program.explain()),
        repr(network),
        repr(best),
        repr(mpscnn.load(evil_model)),
    ):
        assert_plain(text)


def _prints(source: str) -> bool:
    """Return true if a program prints, by `print`, `echo`, or a stream of `sys`."""
    for one in ast.walk(ast.parse(source)):
        if isinstance(one, ast.Call):
            name = ast.unparse(one.func)
            if name == "print" or re.search(r"\becho$|\bstd(out|err)\.write(lines)?$", name):
                return True
    return False


def test_all_output_goes_one_way(project: Path) -> None:
    """Only output.py prints, which escapes what it prints."""
    folder = project / "python" / "mpscnn" / "apps" / "cli"
    found = [path.name for path in folder.rglob("*.py") if _prints(path.read_text(encoding="utf-8"))]
    assert found == ["output.py"]


def test_a_name_that_is_not_unicode(tmp_path: Path) -> None:
    """Run the command line in a new process, because its arguments are bytes."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.safetensors"))
    try:
        colour_network().save(path, labels=("red", "green", "blue"), preprocess="unit")
    except mpscnn.WeightsError as error:
        pytest.skip(f"this system's file names must be Unicode: {error}")
    result = run("info", str(path))
    assert (result.returncode, result.stderr) == (0, "")
    assert r"caf\udce9.safetensors" in result.stdout
    result = run("info", str(path).replace("caf", "tea"))
    assert result.returncode == 1
    assert r"tea\udce9.safetensors" in result.stderr
