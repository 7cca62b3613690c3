"""Tests of what people read while a device is checked before its first use, and of the library's log messages."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from mpscnn._private import messages
from mpscnn._private.first_use import CheckFollower


class Clock:
    """A clock that tests set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that counts as a terminal."""

    def isatty(self) -> bool:
        return True


def follow(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, *steps: tuple[float, int, int]) -> str:
    """Give the steps (seconds since the begin, cases that are done, all cases) to a follower; return its output."""
    monkeypatch.setattr(sys, "stderr", stream)
    clock = Clock()
    follower = CheckFollower(clock)
    for seconds, done, cases in steps:
        clock.now = 100.0 + seconds
        follower("Apple M1", done, cases)
    return stream.getvalue()


def test_a_short_check_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not follow(Terminal(), monkeypatch, (0, 0, 430), (1.9, 200, 430), (2.5, 430, 430))


def test_a_long_check_is_explained_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = follow(io.StringIO(), monkeypatch, (0, 0, 430), (2, 43, 430), (3, 80, 430), (9, 430, 430))
    assert shown == (
        "mpscnn checks the results of 'Apple M1' before its first use: 43 of 430 cases are done, which takes about "
        '18 s more. With MPSCNN_DEVICE=cpu in the environment, device="auto" means the CPU, without this check.\n'
    )


@pytest.mark.parametrize(
    ("done", "cases", "state"),
    [
        (0, 430, "430 cases, which may take minutes"),
        (0, 1, "it runs once on both engines, which may take a minute"),
        (0, 0, "another thread or process does this now"),
    ],
)
def test_the_explanation_has_the_state(
    monkeypatch: pytest.MonkeyPatch, done: int, cases: int, state: str
) -> None:
    assert f"first use: {state}. With" in follow(io.StringIO(), monkeypatch, (0, 0, cases), (2, done, cases))


def test_a_terminal_gets_a_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (0, 0, 400), (2, 100, 400), (2.2, 200, 400), (2.4, 300, 400), (2.6, 400, 400)
    lines = follow(Terminal(), monkeypatch, *steps).split("\n")
    assert lines[1] == "\r[##########..........] 200 of 400 cases\r[###############.....] 300 of 400 cases"
    assert lines[2:] == [""], "the bar's line is ended"


def test_another_check_is_explained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (0, 0, 9), (2, 1, 9), (20, 0, 9), (21, 1, 9), (22, 3, 9)
    assert follow(io.StringIO(), monkeypatch, *steps).count("first use") == 2


def test_without_stderr_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    clock = Clock()
    follower = CheckFollower(clock)
    follower("Apple M1", 0, 9)
    clock.now += 3
    follower("Apple M1", 1, 9)


def test_messages_of_the_library_go_to_the_logger(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mpscnn")
    messages.log(0, "100% of the cases are done")
    messages.log(1, "a device is not used")
    assert caplog.record_tuples == [
        ("mpscnn", logging.INFO, "100% of the cases are done"),
        ("mpscnn", logging.WARNING, "a device is not used"),
    ]
