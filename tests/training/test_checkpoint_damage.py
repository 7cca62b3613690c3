"""Checkpoints with contents that no trainer writes are refused before memory is allocated for them."""

from __future__ import annotations

import io
import json
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from training.test_trainer import network

import mpscnn
from mpscnn.training.recorded import Record, RecordedTraining
from mpscnn.training.run_folder import RunChoices, RunFolder


def _claims(path: Path, name: str, size: int) -> None:
    """Add an array to a checkpoint. Its header claims `size` numbers, but none follow."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (size,)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", header.getvalue())


def _adds(path: Path, name: str, array: Any, compression: int = zipfile.ZIP_STORED) -> None:
    content = io.BytesIO()
    np.save(content, array)
    with zipfile.ZipFile(path, "a", compression) as archive:
        archive.writestr(name, content.getvalue())


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a name that no trainer has": (
        lambda path: _adds(path, "other.npy", np.ones(3)),
        "'other.npy' is unknown",
    ),
    "no array": (
        lambda path: _adds(path, "weight:conv.weight", np.ones(3)),
        "'weight:conv.weight' is unknown",
    ),
    "a name twice": (lambda path: _adds(path, "settings.npy", np.ones(3)), "is unknown, or there twice"),
    "a weight of no layer": (
        lambda path: _adds(path, "weight:none.weight.npy", np.ones(3, np.float32)),
        "none",
    ),
    "a variable of no layer": (
        lambda path: _adds(path, "variable:none.npy", np.ones(3, np.float32)),
        "it has 'none', of no layer",
    ),
    "a header that claims gigabytes": (
        lambda path: _claims(path, "weight:none.weight", 1 << 32),
        r"is float32 \(4294967296,\), but has",
    ),
    "a compressed gigabyte": (
        lambda path: _adds(path, "weight:none.weight.npy", np.zeros(1 << 24), zipfile.ZIP_DEFLATED),
        "would take more than 16 times the file's size",
    ),
    "objects": (
        lambda path: _adds(path, "weight:none.weight.npy", np.array(["text"])),
        "holds '<U4', not numbers",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_trainer_did_not_write_is_refused(change: str, tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    mpscnn.Trainer(network()).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of zipfile about duplicate names
        CHANGES[change][0](path)
    tracemalloc.start()
    try:
        with pytest.raises(mpscnn.WeightsError, match=CHANGES[change][1]):
            mpscnn.Trainer.resume(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_compressed_checkpoint_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    trainer = mpscnn.Trainer(network())
    trainer.save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    with path.open("wb") as content:
        np.savez_compressed(content, **arrays)
    resumed = mpscnn.Trainer.resume(path)
    for name, weight in trainer.network.weights.items():
        np.testing.assert_array_equal(resumed.network.weights[name], weight)


_DESCRIPTION = {"format": 1, "options": {"epochs": 3}, "photos": "a", "model": "b"}
_EPOCH = asdict(Record("last layer", 1, 0.5, 0.5, 0.5, 0.5, True, 0.1, 1.0))
#: Texts that no run has written, and JSON of other types than a run's.
_DAMAGED_TEXTS = {
    "empty": "",
    "nested": "[" * 100_000 + "]" * 100_000,
    "nested objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "half a pair": '["\\ud800"]',
    "bytes": "\xff\xfe",
    **{f"type {value!r}": json.dumps(value) for value in (None, 1, [1], [None], {"a": 1}, "text")},
    **{f"epoch without {key}": json.dumps([_EPOCH | {key: "1"}]) for key in _EPOCH if key != "phase"},
    **{f"description of {key}": json.dumps(_DESCRIPTION | {key: [1]}) for key in _DESCRIPTION},
    **{
        f"description without {key}": json.dumps(
            {other: _DESCRIPTION[other] for other in _DESCRIPTION if other != key}
        )
        for key in _DESCRIPTION
    },
}


@pytest.mark.parametrize("text", _DAMAGED_TEXTS.values(), ids=_DAMAGED_TEXTS)
def test_damaged_texts_of_a_run(tmp_path: Path, text: str) -> None:
    """Each is refused, as the description of a run and as its history."""
    for name in ("run.json", "history.json"):
        (tmp_path / name).write_bytes(text.encode("latin1"))
    run = RunFolder(tmp_path, ("history.json",))
    with pytest.raises(
        (mpscnn.WeightsError, mpscnn.ParameterError), match=r"damaged|the run is|the run ha[ds]"
    ):
        run.open(_DESCRIPTION, RunChoices(resume=True))
    training: Any = SimpleNamespace(_run=run, history=[])
    with pytest.raises(mpscnn.WeightsError, match="is damaged"):
        RecordedTraining._restore(training, "history.json", "best.npz")
