"""Test the reading of JSON that may be damaged and the files in which it lies, and the writing of any numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mpscnn import Error, converters
from mpscnn._private.files import read_content
from mpscnn._private.json_text import MAX_DEPTH, json_line, parse_json

HALF = r"\ud800"


@pytest.mark.parametrize(
    "text", [f'"{HALF}"', f'{{"{HALF}": 1}}', f'["a", ["{HALF}b"]]', r'"\udc00\ud800"', "{", "\xff"]
)
@pytest.mark.parametrize("encoding", [None, "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_refused(text: str, encoding: str | None) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  readers write the message
        parse_json(text.encode(encoding) if encoding else text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_bytes_of_half_pairs_are_refused(encoding: str) -> None:
    with pytest.raises(UnicodeDecodeError):
        parse_json('"\ud800"'.encode(encoding, "surrogatepass"))


@pytest.mark.parametrize("value", ["\U0001f600", "\\u", {"ä": [1, None, True]}, "\ufeff"])
def test_kept(value: object) -> None:
    assert parse_json(json.dumps(value)) == parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_zero_bytes_of_any_encoding_are_no_hole(encoding: str, tmp_path: Path) -> None:
    text = "aa".join(["a", "\u0100", "\U00010000", "\U00100000", "a"])
    content = (text + text.replace("aa", "a")).encode(encoding)
    (tmp_path / "a.json").write_bytes(content)
    assert read_content(tmp_path / "a.json", Error, is_text=True) == content


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), np.float64("inf")])
def test_numbers_that_json_lacks_are_null(number: float) -> None:
    assert json_line([1.5, {"a": (number, "NaN")}, number]) == '[1.5, {"a": [null, "NaN"]}, null]'


@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('["]",', "]"), (r'["\\\"]",', "]")]
)
def test_depth(opening: str, closing: str) -> None:
    def nested(depth: int) -> str:
        return opening * depth + "1" + closing * depth

    parse_json(nested(MAX_DEPTH))
    parse_json("[" + ",".join([nested(2)] * MAX_DEPTH) + "]")
    for text in (nested(MAX_DEPTH + 1), nested(99_999), opening * 99_999):
        with pytest.raises(RecursionError):
            parse_json(text)


def _safetensors(top: Path) -> Path:
    header = f'{{"{HALF}": {{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}}}'.encode()
    path = top / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    return path


def _package(top: Path) -> Path:
    folder = top / "a.mlpackage"
    (folder / "Data").mkdir(parents=True)
    entries = {"a": {"path": "HALF"}}
    text = json.dumps({"itemInfoEntries": entries, "rootModelIdentifier": "a"}).replace("HALF", HALF)
    (folder / "Manifest.json").write_text(text)
    return folder


def _web(top: Path) -> Path:
    path = top / "model.json"
    path.write_text(f'{{"format": "graph-model", "modelTopology": {{"node": [{{"name": "{HALF}"}}]}}}}')
    return path


def _compiled(top: Path) -> Path:
    folder = top / "a.mlmodelc"
    folder.mkdir()
    (folder / "model.mil").write_text("program(1.0) {}")
    (folder / "metadata.json").write_text(f'[{{"inputSchema": [{{"name": "{HALF}", "type": "Image"}}]}}]')
    return folder


@pytest.mark.parametrize("write", [_safetensors, _package, _web, _compiled])
def test_files_with_half_a_pair_of_surrogates_are_refused(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    with pytest.raises(Error) as refused:
        converters.read_network(write(tmp_path))
    str(refused.value).encode()


#: The number of texts in each file of the converters that json reads directly, and who writes them.
OWN_TEXTS = {
    "__init__.py": (1, "the core"),
    "reading/coreml/placing.py": (2, "the core"),
    "writing/coreai/image_input.py": (1, "the core"),
    "writing/coreml/compiled_program.py": (1, "the core"),
    "writing/coreml/export.py": (2, "the core and coremltools"),
    "reading/keras/live.py": (2, "Keras, from an object"),
    "finishing/metadata_entries.py": (2, "the core"),
    "writing/tflite/metadata.py": (1, "the core"),
}


def test_texts_of_files_are_read_by_parse_json() -> None:
    folder = Path(__file__).resolve().parents[3] / "python" / "mpscnn" / "converters"
    counts = {
        str(path.relative_to(folder)): len(re.findall(r"\bjson\.loads?\(", path.read_text("utf-8")))
        for path in folder.rglob("*.py")
    }
    assert {file: count for file, count in counts.items() if count} == {
        file: count for file, (count, _) in OWN_TEXTS.items()
    }


def test_a_long_number_is_refused_without_a_setting_of_python() -> None:
    with pytest.raises(ValueError, match=r"^a number has more than \d+ digits$"):
        parse_json('{"a": ' + "9" * 90_000 + "}")
