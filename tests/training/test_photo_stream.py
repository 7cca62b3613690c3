"""Test how photos of an evaluation are opened ahead: in order, in threads, and not without limit."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from training.photo_classes import make_photos

from mpscnn._private.calls_ahead import call_ahead
from mpscnn.errors import ParameterError
from mpscnn.evaluation import photo_stream
from mpscnn.vision.photo import Photo


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = make_photos(tmp_path_factory.mktemp("photos"), {"red": 3, "green": 3})
    return [str(path) for path in sorted(folder.rglob("*.*"))]


def test_files_are_opened_by_other_threads_in_order(paths: list[str], tmp_path: Path) -> None:
    threads: set[int] = set()

    def noted(sample: Any) -> Any:
        threads.add(threading.get_ident())
        return photo_stream._opened(sample)

    missing, array = str(tmp_path / "missing.png"), object()
    samples = [(photo, number) for number, photo in enumerate([*paths, missing, array])]
    found = [(sample, photo.result()) for sample, photo in call_ahead(noted, iter(samples), 2)]
    assert [sample for sample, _ in found] == samples
    assert all(isinstance(photo, Photo) for _, photo in found[:-2])
    assert [photo for _, photo in found[-2:]] == [missing, array]  # the runner tells why
    assert threading.get_ident() not in threads


def test_few_photos_are_in_memory(paths: list[str]) -> None:
    taken = itertools.count()
    endless = ((path, next(taken)) for path in itertools.cycle(paths))
    opened = call_ahead(photo_stream._opened, endless, 3)
    for _ in range(4):
        next(opened)
    assert next(taken) <= 4 + 2 * 3
    opened.close()


def test_an_error_of_the_samples_comes_after_those_before_it(paths: list[str]) -> None:
    def samples() -> Iterator[tuple[str, int]]:
        yield paths[0], 0
        raise ParameterError("a wrong label")

    opened = call_ahead(photo_stream._opened, samples(), 2)
    assert next(opened)[0] == (paths[0], 0)
    with pytest.raises(ParameterError, match="a wrong label"):
        next(opened)
