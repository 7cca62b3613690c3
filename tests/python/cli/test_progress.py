"""The progress of downloads and evaluations is shown on stderr, if a person can watch it."""

from __future__ import annotations

import io
import sys

import pytest
from PIL import Image

import mpscnn
from mpscnn.registry.progress import progress_bar


class Screen(io.StringIO):
    """A stderr whose `isatty` is set by the test."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def test_progress_bar_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(terminal=False)
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar("tiny.tflite", 2) as report:
        report(1)
    assert screen.getvalue() == ""


class NotebookStream(Screen):
    """A stream like ipykernel's stderr."""

    __module__ = "ipykernel.iostream"


@pytest.mark.parametrize("screen", [Screen(terminal=True), NotebookStream(terminal=False)])
@pytest.mark.parametrize(
    ("total", "last"),
    [
        (2_000_000, "tiny  [####################] 2.0 MB of 2.0 MB, 1.0 MB/s"),
        (None, "tiny  1.0 MB, 1.0 MB/s"),
    ],
)
def test_progress_bar(total: int | None, last: str, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen)
    seconds = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: seconds[0])
    with progress_bar("tiny", total) as report:
        for done in (1_000_000, *([] if total is None else [total])):
            seconds[0] += 1.0
            report(done)
    shown = screen.getvalue()
    assert shown.endswith("\n")
    assert shown.rstrip().rpartition("\r")[2] == last
    assert "\x1b" not in shown


def test_evaluations_count_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [(Image.new("RGB", (8, 8)), 0)] * 3
    for screen, last in ((NotebookStream(terminal=False), "3 photos evaluated"), (Screen(terminal=True), "")):
        monkeypatch.setattr(sys, "stderr", screen)
        assert mpscnn.evaluate(mpscnn.load(), samples).images == 3
        assert screen.getvalue().rpartition("\r")[2].rstrip() == last
