"""The progress bar of downloads is printed on stderr, and only if it is a terminal."""

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


def test_progress_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen(terminal=True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar("tiny.tflite", 2_000_000) as report:
        report(1_000_000)
    assert "tiny.tflite" in screen.getvalue()
    assert "2.0 MB" in screen.getvalue()
    assert capsys.readouterr().out == ""


def test_progress_bar_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(terminal=False)
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar("tiny.tflite", 2) as report:
        report(1)
    assert screen.getvalue() == ""


class NotebookStream(Screen):
    """A stream like ipykernel's stderr."""

    __module__ = "ipykernel.iostream"


@pytest.mark.parametrize(
    ("total", "last"), [(2_000_000, "tiny  [####################] 2.0 MB of 2.0 MB"), (None, "tiny  1.0 MB")]
)
def test_progress_bar_in_a_notebook(total: int | None, last: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = NotebookStream(terminal=False)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr("time.monotonic", iter(range(100)).__next__)
    with progress_bar("tiny", total) as report:
        report(1_000_000)
        if total is not None:
            report(total)
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
