"""Tables of commands obey the width of the terminal. Output to files and pipes is whole."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest
from command_line import LABELS, Command, save_colour_model, save_photo
from constant_detector import save_constant_detector
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import mpscnn
from mpscnn._private.summary import text_table

WIDTHS, WIDTHS_IN_FULL = (60, 120), (60, 80, 120)
LEFT_OUT = "columns left out: "


# ---- Files for the commands ------------------------------------------------------------------------------------------


def write_models(folder: Path) -> None:
    """Write models of all tasks, and one whose layers have the long names of ONNX files."""
    save_colour_model(folder / "colours.safetensors")
    save_constant_detector(
        folder / "boxes.safetensors", labels=("a label of several words", "dog"), scores=((0.9, 0.2),)
    )
    net = mpscnn.Network(input=(8, 8, 3), name="areas")
    net.output(net.conv2d(net.input, 3, 1, name="scores"))
    net.initialize_weights(0)
    net.save(folder / "areas.safetensors", labels=LABELS, preprocess="unit")
    net = mpscnn.Network(input=(16, 16, 3), name="a_network_that_has_a_very_long_name_because_files_have")
    x = net.input
    for block in range(3):
        x = net.conv2d(x, 8, 3, name=f"/features/features.{block}/conv/conv.0/Conv_output_0")
        x = net.batch_norm(x, name=f"/features/features.{block}/conv/conv.0.1/BatchNormalization_output_0")
        x = net.activation(x, "relu6", name=f"/features/features.{block}/conv/conv.0.2/Clip_output_0")
    net.output(net.softmax(net.dense(net.flatten(x), 3, name="/classifier/classifier.1/Gemm_output_0")))
    net.initialize_weights(1)
    net.save(folder / "long.safetensors", labels=LABELS, preprocess="unit")


def write_photos(folder: Path) -> None:
    """Write a folder of photos for each colour, annotations for a detector and masks for a segmenter."""
    for label in LABELS:
        (folder / "photos" / label).mkdir(parents=True)
        save_photo(folder / "photos" / label / f"{label}.png", label)
    for label in ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"):
        (folder / "everyday" / label).mkdir(parents=True)
        save_photo(folder / "everyday" / label / f"{label}.png", "gray")
    for place in ("flat", "masks"):
        (folder / place).mkdir()
    for index, label in enumerate(LABELS):
        save_photo(folder / "flat" / f"{label}.png", label, (8, 8))
        Image.fromarray(np.full((8, 8), index, np.uint8)).save(folder / "masks" / f"{label}.png")
    described = {
        "images": [{"id": 1, "file_name": "red.png", "width": 8, "height": 8}],
        "categories": [{"id": 1, "name": "a label of several words"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 1, 4, 3], "area": 12, "iscrowd": 0}
        ],
    }
    (folder / "boxes.json").write_text(json.dumps(described))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tables")
    write_models(made)
    write_photos(made)
    return made


#: Calls of all commands that print tables.
CALLS = [
    ("benchmark", "colours.safetensors", "--runs", "2"),
    ("benchmark", "colours.safetensors", "--runs", "2", "--runner", "--inflight", "12"),
    ("cache",),
    ("check", "photos"),
    ("check-precision", "colours.safetensors"),
    ("check-precision", "long.safetensors"),
    ("compare", "colours.safetensors", "colours.safetensors@float16", "--layers"),
    ("compare", "long.safetensors", "long.safetensors@float16", "--layers", "--tolerance", "0"),
    ("compare-precisions", "colours.safetensors", "--runs", "1", "--images", "photos"),
    ("compare-precisions", "long.safetensors", "--runs", "1"),
    ("detect", "photos/red/red.png", "--model", "boxes.safetensors"),
    ("devices",),
    ("evaluate", "photos", "--model", "colours.safetensors"),
    ("evaluate", "everyday", "--model", "cifar10_mobilenet_v2"),
    ("evaluate", "flat", "--model", "boxes.safetensors", "--annotations", "boxes.json"),
    ("evaluate", "flat", "--model", "areas.safetensors", "--masks", "masks"),
    ("explain", "long.safetensors"),
    ("explain", "cifar10_mobilenet_v2"),
    ("explain", "page_digits", "--precision", "float16"),
    ("fingerprint", "colours.safetensors"),
    ("info", "long.safetensors"),
    ("info", "page_digits"),
    ("models",),
    ("profile", "long.safetensors", "--runs", "1"),
    ("profile", "cifar10_mobilenet_v2", "--runs", "1", "--threads", "1"),
    ("quantize", "colours.safetensors", "--images", "photos", "--output", "int8.safetensors", "--overwrite"),
    ("verify", "--only", "log_softmax"),
]


def printed(command: Command, arguments: tuple[str, ...]) -> str:
    result = command(*arguments)
    # With --tolerance 0 some layers differ, so the command ends with 1.
    assert result.returncode == (1 if "0" in arguments else 0), result.stderr
    return result.stdout


@pytest.mark.parametrize("arguments", CALLS, ids=" ".join)
def test_no_line_is_longer_than_the_terminal(
    arguments: tuple[str, ...], folder: Path, command: Command, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--annotations" in arguments:
        pytest.importorskip("pycocotools", reason="needs pycocotools")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "40")
    whole = printed(command, arguments)  # the output is a pipe, so its width does not matter
    assert LEFT_OUT not in whole
    known = {*re.findall(r"[A-Za-z_]+", f"{whole} {LEFT_OUT} true class taken for photos")}
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for width in WIDTHS_IN_FULL if full else WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        shown = printed(command, arguments)
        for line in shown.splitlines():
            path = line.startswith("file:")  # a path is not broken, so that it can be copied
            assert len(line) <= width or path, f"{len(line)}, {line!r} in\n{shown}"
            assert line == line.rstrip()
        if "long.safetensors" not in arguments:
            assert {*re.findall(r"[A-Za-z_]+", shown)} <= known, f"words are broken:\n{shown}"


def test_every_command_that_prints_a_table_is_called_above() -> None:
    """Each call that makes a table states its width. The calls above cover its module."""
    modules = set()
    for path in (Path(mpscnn.__file__).parent / "apps/cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in ("table", "text_table"):
                assert "width" in {argument.arg for argument in node.keywords}, f"{path.name}:{node.lineno}"
                modules.add(path.stem)
    named = {arguments[0].replace("-", "_") for arguments in CALLS}
    assert modules - {"evaluate_areas", "runner_report", "train_kinds"} == named


def test_the_width_of_a_real_terminal(folder: Path) -> None:
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    arguments = [sys.executable, "-m", "mpscnn", "info", "long.safetensors"]
    process = subprocess.Popen(arguments, stdout=theirs, cwd=folder, env={**environment, "TERM": "xterm"})
    os.close(theirs)
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while chunk := terminal.read(65536):
                shown += chunk
        except OSError:  # on Linux, reading fails when the other end is closed
            pass
    assert process.wait() == 0
    lines = shown.decode().splitlines()
    assert 50 < max(map(len, lines)) <= 60


# ---- The steps by which a table becomes narrower ---------------------------------------------------------------------

HEADERS = ("layer", "kernel", "largest error", "share of time", "shape")
ROWS = [
    ("block1_depthwise", "depthwise 3x3 of many channels", "0.00123", "12.5", "1 x 32 x 32 x 16"),
    ("block1_project", "pointwise", "0.1", "7.1", "1 x 32 x 32 x 8"),
]


def narrow(width: int | None) -> list[str]:
    text = text_table(
        HEADERS, ROWS, right=(2, 3), whole=(4,), drop=("share of time", "kernel", "shape"), width=width
    )
    return text.splitlines()


def test_headers_and_cells_are_wrapped_first() -> None:
    assert narrow(200) == narrow(None)
    assert narrow(80) == [
        "layer             kernel                        largest  share  shape",
        "                                                  error     of",
        "                                                          time",
        "----------------  ----------------------------  -------  -----  ----------------",
        "block1_depthwise  depthwise 3x3 of many         0.00123   12.5  1 x 32 x 32 x 16",
        "                  channels",
        "block1_project    pointwise                         0.1    7.1  1 x 32 x 32 x 8",
    ]


def test_columns_are_left_out_in_order() -> None:
    assert narrow(56) == [
        "layer             kernel       largest  shape",
        "                                 error",
        "----------------  -----------  -------  ----------------",
        "block1_depthwise  depthwise    0.00123  1 x 32 x 32 x 16",
        "                  3x3 of many",
        "                  channels",
        "block1_project    pointwise        0.1  1 x 32 x 32 x 8",
        "",
        "columns left out: share of time",
    ]
    assert narrow(50)[-1] == "columns left out: share of time, kernel"
    assert narrow(32) == [
        "layer             largest error",
        "----------------  -------------",
        "block1_depthwise        0.00123",
        "block1_project              0.1",
        "",
        "columns left out: share of time,",
        "  kernel, shape",
    ]


def test_long_words_are_broken_before_a_column_is_left_out() -> None:
    rows = [("/features/features.10/conv/conv.0/Conv_output_0", "1", "2")]
    table = text_table(("layer", "ms", "runs"), rows, right=(1, 2), drop=("runs",), width=40)
    assert table.splitlines()[2:] == [
        "/features/features.10/conv/con   1     2",
        "  v.0/Conv_output_0",
    ]
    assert LEFT_OUT in text_table(("layer", "ms", "runs"), rows, right=(1, 2), drop=("runs",), width=30)


def test_columns_without_text_are_left_out() -> None:
    table = text_table(("a", "", "b"), [("1", "", "2"), ("3", "", "4")])
    assert table.splitlines() == ["a  b", "-  -", "1  2", "3  4"]


CELLS = st.lists(st.sampled_from(["a", "of", "words", "a_longer_word", "x" * 40]), max_size=5).map(" ".join)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS, st.sampled_from(["", "1", "1,234"])), max_size=4),
    width=st.integers(40, 130),
)
def test_any_table_fits(rows: list[tuple[str, ...]], width: int) -> None:
    """A line is never longer than the width, and no text of a shown column is lost."""
    headers = ("first", "second", "third column", "n")
    table = text_table(headers, rows, right=(3,), drop=("third column", "second"), width=width)
    assert max(map(len, table.splitlines())) <= width
    body, _, names = table.partition(f"\n\n{LEFT_OUT}")
    left_out = names.split(", ") if names else []
    assert left_out == ["third column", "second"][: len(left_out)]
    (rule,) = (index for index, line in enumerate(body.splitlines()) if set(line) == {"-", " "})
    shown = "".join(body.splitlines()[rule + 1 :])
    wanted = "".join(
        cell for row in rows for cell, header in zip(row, headers, strict=True) if header not in left_out
    )
    assert sorted(shown.replace(" ", "")) == sorted(wanted.replace(" ", ""))
