"""The command line supports the conventions of other commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import call, save_photo
from PIL import Image
from tiers import with_full

import mpscnn
from mpscnn import ParameterError
from mpscnn._private.other_arguments import canonical_device


@pytest.mark.parametrize("shell", with_full(["zsh", "tcsh"], ["bash", "fish"]))
def test_completion_is_printed_and_installed_only_when_told(tmp_path: Path, shell: str) -> None:
    """The user's files are changed only with --yes. The printed line activates the completion in the shell."""
    environment = {**os.environ, "HOME": str(tmp_path), "SHELL": f"/bin/{shell}"}
    environment |= {name: str(tmp_path) for name in ("XDG_CONFIG_HOME", "ZDOTDIR")}
    command = [sys.executable, "-m", "mpscnn", "--install-completion"]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert ("mpscnn --install-completion --yes" in printed) == (shell != "tcsh")
    assert not list(tmp_path.rglob("*"))
    lines = [line for line in printed.splitlines() if not line.startswith("#")]
    assert len(lines) == (3 if shell == "tcsh" else 1)
    for line in lines:
        (name,) = re.findall(r"_MPSCNN_COMPLETE=source_(\w+) mpscnn", line)
        script = subprocess.run(
            [sys.executable, "-c", "from mpscnn.apps.cli import main; main()"],
            env={**environment, "_MPSCNN_COMPLETE": f"source_{name}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert f"complete_{name}" in script


@pytest.mark.parametrize(
    ("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc"), ("fish", "fish/config.fish"), ("tcsh", None)]
)
@pytest.mark.parametrize("order", [("--install-completion", "--yes"), ("--yes", "--install-completion")])
def test_the_printed_line_is_added_once(
    tmp_path: Path,
    shell: str,
    file: str | None,
    order: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With --yes the line goes into the file that was printed, after the lines that are there, in any encoding."""
    for name in ("HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    if file is None:
        assert call(*order) == 1
        assert "bash, zsh and fish" in capsys.readouterr().err
        assert not list(tmp_path.rglob("*"))
        return
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"alias ll='ls -l' # caf\xe9")
    call("--install-completion")
    place, line, _ = capsys.readouterr().out.splitlines()
    assert place == f"# Add to ~/{file}:"
    for _ in range(2):
        assert call(*order) == 0
        assert capsys.readouterr().out.endswith(f": {line}\n")
        assert (tmp_path / file).read_bytes() == b"alias ll='ls -l' # caf\xe9\n" + f"{line}\n".encode()
    assert [*tmp_path.rglob("*.*")] == [tmp_path / file]


@pytest.mark.parametrize(
    ("guess", "ours"),
    [
        (["-V"], ["--version"]),
        (["version"], ["--version"]),
        (["help"], ["--help"]),
        (["help", "detect"], ["detect", "--help"]),
    ],
)
def test_commands_that_users_guess(
    guess: list[str], ours: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*guess) == 0
    guessed = capsys.readouterr().out
    assert call(*ours) == 0
    assert guessed == capsys.readouterr().out != ""


def test_hints_are_for_options_that_a_command_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("detect", "photo.png", "--conf") == 2
    assert "Option '--conf' requires an argument.\n" in capsys.readouterr().err


def test_leads_for_users_of_create_ml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_photo(tmp_path / "photo.png", "blue")
    (labels := tmp_path / "labels").mkdir()
    (labels / "photo.txt").write_text("0 0.5 0.5 1 1")
    for arguments, lead in (
        (["train", str(tmp_path), str(labels)], f"; --annotations {labels} gives the objects"),
        (
            ["evaluate", str(tmp_path), str(labels), "--model", "page_digits"],
            f"; --annotations {labels} gives",
        ),
        (
            ["convert", "page_digits", "a.mlpackage", "--minimum-deployment-target", "x"],
            "; it is --target here",
        ),
        (["convert", "page_digits", "a.mlpackage", "--half"], "; it is --dtype here"),
        (["convert", "page_digits", "a.onnx", "--opset", "12"], "ONNX files have opset 17"),
        (["train", "photos", "--out", "a.safetensors"], "No such option: --out; it is --output here"),
        (["convert", "page_digits"], "to write after page_digits, such as page_digits.mlpackage"),
        (["train", "photos", "--task", "detection"], "; it is 'detect' here"),
        (["train", "photos", "--task", "segment "], "did you mean 'segment'?"),
        (["convert", "page_digits", "a.mlpackage", "--dtype", "fp16"], "; it is 'float16' here"),
        (["convert", "page_digits", "a.mlpackage", "--dtype", "int8"], "; uint8 stores 8-bit weights"),
        (
            ["quantize", "page_digits", "--bits", "8"],
            "`mpscnn convert MODEL FILE --dtype uint8`, stores weights in 8 bits",
        ),
        (["train", "photos", "--max-iterations", "9"], "; it is --epochs here"),
        (["train", str(tmp_path), "-o", "Toys.mlpackage"], "`mpscnn convert` then writes other formats"),
        (["export", "model.mlpackage"], "`mpscnn convert MODEL FILE.mlpackage`"),
    ):
        assert call(*arguments) == 2
        assert lead in capsys.readouterr().err
    with pytest.raises(ParameterError, match="is not a model; annotations="):
        mpscnn.train(tmp_path, labels)
    for owner, name, lead in (
        (mpscnn, "ct", "dir(mpscnn) lists its names"),
        (mpscnn, "resize", "it is a method of mpscnn.Network: net.resize"),
        (mpscnn, "computeUnits", "coreml:cpuAndNeuralEngine"),
        (mpscnn.kernels, "MPSNNGraph", "mpscnn.nodes.MPSNNGraph"),
    ):
        with pytest.raises(AttributeError, match=re.escape(lead)):
            getattr(owner, name)
    assert canonical_device("neuralEngine") == canonical_device("ane") == "coreml:cpuAndNeuralEngine"


def test_a_picture_is_written_where_its_name_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name with a picture's suffix is a file, and other names are folders."""
    photos = [str(save_photo(tmp_path / f"{name}.png", "blue")) for name in ("lake", "sea")]
    before = Path(photos[0]).read_bytes()
    for name in ("out.png", "out.JPG", "out.webp"):
        assert call("classify", photos[0], "--output", str(tmp_path / name)) == 0
        assert (tmp_path / name).is_file()
        with Image.open(tmp_path / name) as picture:
            picture.load()
    assert call("classify", photos[0], "--output", str(tmp_path / "out.d")) == 0
    assert [path.name for path in (tmp_path / "out.d").iterdir()] == ["lake_classes.png"]
    (tmp_path / "folder.png").mkdir()
    assert call("classify", *photos, "--output", str(tmp_path / "folder.png")) == 0
    assert len(list((tmp_path / "folder.png").iterdir())) == 2
    capsys.readouterr()
    for arguments, message in (
        (
            [*photos, "--output", str(tmp_path / "two.png")],
            "two.png: one picture cannot show 2 photos: give a folder",
        ),
        ([photos[0], "--output", photos[0]], "is the photo itself, which is not overwritten"),
        ([photos[0], "--output", str(tmp_path / "no" / "out.png")], "there is no folder"),
        *(
            (
                [photos[0], "--output", str(tmp_path / name)],
                "--output FILE.jsonl and FILE.csv write the results",
            )
            for name in ("out.json", "out.PDF", "-")
        ),
    ):
        assert call("classify", *arguments) == 2
        assert message in capsys.readouterr().err
    assert Path(photos[0]).read_bytes() == before
    assert not (tmp_path / "two.png").exists()
