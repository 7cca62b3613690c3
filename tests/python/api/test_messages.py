"""Test that messages of errors are short, wherever the errors are made."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import colour_network

import mpscnn
from mpscnn import errors

LONGEST = 2000
LONG = "n" * 1_000_000


@pytest.mark.parametrize("name", errors.__all__)
def test_long_messages_lose_their_middle(name: str) -> None:
    kind = getattr(errors, name)
    for length in (0, 1, LONGEST - 1, LONGEST):
        assert str(kind("€" * length)) == "€" * length
    message = f"first {LONG} last"
    found = str(kind(message))
    assert len(found) <= LONGEST
    assert found.startswith("first nnn")
    assert found.endswith("nnn last")
    assert f"... ({len(message) - 1900} characters) ..." in found
    again = pickle.loads(pickle.dumps(kind(message)))
    assert (type(again), str(again)) == (kind, found)


def test_other_arguments_are_kept() -> None:
    assert errors.DownloadError(5, "reason").errno == 5
    assert errors.Error().args == ()
    assert errors.Error(LONG, 3).args[1] == 3


#: Calls with a long name that comes into a message of the core or of Python.
CALLS: dict[str, Callable[[str], object]] = {
    "path": lambda name: mpscnn.load(f"{name}.safetensors"),
    "model": mpscnn.load,
    "device": lambda name: colour_network().compile(device=name),
    "preset": lambda name: mpscnn.preprocess(np.zeros((2, 2, 3), np.uint8), 2, name),
    "setting": lambda name: mpscnn.preprocess(np.zeros((2, 2, 3), np.uint8), 2, {name: 1}),
    "weights": lambda name: colour_network().load_weights({name: np.zeros(1, np.float32)}),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("character", ["n", "é", "\n"])
def test_long_names_in_messages(
    call: str, character: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mpscnn.Error) as refused:
        CALLS[call](character * 100_000)
    assert len(str(refused.value)) <= LONGEST
