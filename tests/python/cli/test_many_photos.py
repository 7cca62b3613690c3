"""Test that commands decode photos and compute results at the same time, with the results of one photo at a time."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from PIL import Image

import mpscnn
from mpscnn.apps.cli.photo_options import for_each_photo, for_many_photos, open_input_photo
from mpscnn.errors import Error


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Photos of several sizes, of which the third is damaged."""
    random, paths = np.random.default_rng(0), []
    for number in range(9):
        path = tmp_path / f"{number}.png"
        Image.fromarray(random.integers(0, 256, (20 + 9 * number, 30, 3), np.uint8)).save(path)
        paths.append(str(path))
    Path(paths[2]).write_bytes(b"damaged")
    return paths


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_and_failures_come_in_order_from_few_photos_ahead(paths: list[str], workers: int) -> None:
    lock, opened = threading.Lock(), 0
    events: list[str] = []
    ahead: list[int] = []

    def compute(photo: Any) -> int:
        nonlocal opened
        with lock:
            opened += 1
        return int(photo.shape[0])

    def action(path: str, photo: Any, result: int) -> None:
        assert photo.name == path
        assert result == photo.shape[0]
        events.append(path)
        ahead.append(opened - len(events))

    def failed(path: str, error: Error) -> None:
        assert isinstance(error, mpscnn.ImageError)
        events.append(path)

    assert for_each_photo(paths, compute, action, failed, open_input_photo, workers=workers) == 1
    assert events == paths
    assert max(ahead) <= 2 * workers


def test_an_error_of_the_action_ends_the_workers(paths: list[str]) -> None:
    def action(path: str, photo: Any, result: Any) -> None:
        raise ZeroDivisionError

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        for_each_photo(
            paths, lambda photo: photo.shape, action, lambda path, error: None, open_input_photo, workers=3
        )
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("threads", "count", "expected"), [(1, 9, (1, 1)), (2, 9, (2, 1)), (7, 3, (3, 2)), (4, 1, (1, 4))]
)
def test_workers_share_the_threads(threads: int, count: int, expected: tuple[int, int]) -> None:
    model = mpscnn.load(device="cpu", threads=threads)
    shared, workers = for_many_photos(model, count)
    assert (workers, shared.run_options.threads) == expected
    assert model.run_options.threads == threads


def test_results_have_the_bits_of_one_photo_at_a_time(
    paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for threads in ("1", "3"):
        assert (
            call("classify", *paths, "--json", "--threads", threads, "--device", "cpu") == 1
        )  # one is damaged
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        printed.append([{**line, "milliseconds": None} for line in lines])
    assert printed[0] == printed[1]
    model = mpscnn.load(device="cpu")
    for path, line in zip(paths, printed[0], strict=True):
        if path != paths[2]:
            assert line["predictions"][0]["label"] == model.classify(path)[0].label
