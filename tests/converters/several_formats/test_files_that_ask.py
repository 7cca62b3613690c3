"""Files that ask each engine to write, read, connect, start a program, wait, allocate or loop: nothing happens.

This is the promise of SECURITY.md. The default tier loads each file. The tier "full" also converts it, which runs each
engine that is installed, with all limits.
"""

from __future__ import annotations

import itertools
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import call
from converters import asking_graphs, asking_objects
from converters.asking_files import CASES, DEEDS, ENGINES, Place
from systems import peak_bytes

import mpscnn
from mpscnn.converters import read_network

#: The modules that add the cases.
_WRITERS = (asking_graphs, asking_objects)
#: What a file may cost, with the start of its engine: seconds of all processors, and bytes.
_SECONDS, _BYTES = 10.0, 1 << 30


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Return the place of a case. Check at the end that nothing happened."""
    for name in ("model", "user"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    secret = tmp_path / "user" / "secret.txt"
    secret.write_text("secret")
    before = secret.stat().st_mtime
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        host, port = listening.getsockname()
        yield Place(tmp_path / "model", tmp_path / "user" / "written.txt", secret, f"{host}:{port}")
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert [one.name for one in secret.parent.iterdir()] == ["secret.txt"]
    assert secret.read_text() == "secret"
    assert secret.stat().st_mtime == before


def written(name: str, place: Place) -> Path:
    """Write the file of a case. Skip the test without the package that writes it."""
    packages = {"ONNX": "onnx", "Keras": "h5py", "TensorFlow Lite": "flatbuffers"}
    if package := packages.get(CASES[name].engine):
        pytest.importorskip(package, reason=f"{package} writes the file")
    return CASES[name].write(place)


def spent() -> float:
    """Return the processor seconds of this process and of those that it waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


def test_each_engine_is_asked_for_each_deed() -> None:
    asked = {(case.engine, case.deed) for case in CASES.values()}
    assert set(itertools.product(ENGINES, DEEDS)) <= asked
    assert {deed for _, deed in asked} == set(DEEDS)


@pytest.mark.parametrize("name", CASES)
def test_loading(name: str, place: Place) -> None:
    path = written(name, place)
    begin, peak, refusal = spent(), peak_bytes(), ""
    try:
        mpscnn.load(path)
    except mpscnn.Error as error:
        refusal = str(error)
    assert not refusal or path.name in refusal
    assert spent() - begin < _SECONDS
    assert peak_bytes() - peak < _BYTES


@pytest.mark.full
@pytest.mark.parametrize("name", CASES)
def test_converting(name: str, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Each engine that is installed runs what mpscnn reads of the file, and nothing else."""
    path = written(name, place)
    output = place.folder / "out.safetensors"
    begin, peak = spent(), peak_bytes()
    code = call("convert", str(path), str(output))
    said = capsys.readouterr()
    assert (code == 0) == output.exists()
    if code == 0:
        assert "equal: " in said.out or "not checked: " in said.out
    else:
        assert path.name in said.err
    assert spent() - begin < _SECONDS
    assert peak_bytes(children=True) < _BYTES
    assert peak_bytes() - peak < _BYTES


def _notes(name: str, place: Place) -> list[str]:
    return list(read_network([written(name, place)]).notes)


def test_reading_says_what_is_left_out(place: Place) -> None:
    notes = _notes("TensorFlow: write: a file, before", place)
    assert any("WriteFile 'effect'" in note and "left out" in note for note in notes)
    for file in list(place.folder.iterdir()):
        file.unlink()
    notes = _notes("TensorFlow: write: before an identity", place)
    assert any("WriteFile 'effect'" in note for note in notes)


def test_reading_says_that_initialisers_are_left_out(place: Place) -> None:
    notes = _notes("TensorFlow: write: in an initialiser", place)
    assert any("initialise" in note and "WriteFile 'effect'" in note for note in notes)


def test_reading_says_that_training_is_left_out(place: Place) -> None:
    assert _notes("ONNX: loop: in the training", place) == ["its graphs for training are left out"]
