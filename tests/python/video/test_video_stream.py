"""Test videos that come over the network in real time, from the tests' RTSP server."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Command
from rtsp_server import RtspServer
from video_clips import photo_that_moves

import mpscnn
from mpscnn.apps.video import source as video_source
from mpscnn.errors import ImageError

av: Any = pytest.importorskip("av", reason="PyAV is not installed")

FRAMES = 50


@pytest.fixture
def model() -> mpscnn.Model:
    return mpscnn.load()


def test_frames_of_a_stream_come_in_order_and_those_that_do_not_are_counted(model: mpscnn.Model) -> None:
    with RtspServer(photo_that_moves(FRAMES)) as server:
        with mpscnn.video(server.address, model, top=1) as results:
            frames = [frame for frame, _ in results]
        assert server.sent == FRAMES
    numbers = [frame.number for frame in frames]
    assert numbers == sorted(set(numbers))
    # A stream may be joined in the middle. From then on each frame is either computed or counted as dropped.
    assert len(frames) + results.dropped <= FRAMES
    assert len(frames) + results.dropped >= FRAMES - 5
    assert frames[-1].number + 1 == len(frames) + results.dropped
    times = [frame.time for frame in frames]
    assert times == sorted(times)
    for frame in frames:  # FFmpeg may give the first frame the time of the second
        assert frame.time == pytest.approx(frame.number / 25, abs=0.041)


def test_a_part_of_a_stream(command: Command) -> None:
    with RtspServer(photo_that_moves(FRAMES)) as server:
        ended = command(
            "classify",
            server.address,
            "--json",
            "--from",
            "0.4",
            "--to",
            "1.2",
            "--every",
            "2",
            "--inflight",
            "1",
        )
    assert ended.returncode == 0
    times = [json.loads(line)["time"] for line in ended.stdout.splitlines()]
    assert times
    assert all(0.4 <= moment < 1.2 for moment in times)
    assert "dropped" in ended.stderr


def test_a_stream_that_ends_is_told(command: Command, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with RtspServer(photo_that_moves(FRAMES)) as server:
        ended = command("classify", server.address, "--csv", "--output", str(output))
    assert ended.returncode == 0
    assert f"{server.address} has ended" in ended.stderr
    with av.open(str(output)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0


def test_a_stream_that_falls_silent_fails(model: mpscnn.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    open_stream = av.open

    def open_patiently(*arguments: Any, timeout: float, **options: Any) -> Any:
        """Limit only the time between two frames, because a busy machine needs longer to open a stream."""
        return open_stream(*arguments, timeout=(120.0, timeout), **options)

    monkeypatch.setattr(av, "open", open_patiently)
    monkeypatch.setattr(video_source, "_TIME_LIMIT", 3.0)
    with RtspServer(photo_that_moves(FRAMES), silent=True) as server:
        results = mpscnn.video(server.address, model, top=1)
        next(results)
        with pytest.raises(ImageError, match="nothing came for 3 seconds"):
            list(results)


def test_nobody_answers_at_the_address(model: mpscnn.Model) -> None:
    with socket.socket() as silent:  # it keeps the port, and does not listen
        silent.bind(("127.0.0.1", 0))
        address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/camera"
        with pytest.raises(ImageError, match=f"{address}: cannot be opened: Connection refused"):
            mpscnn.video(address, model)


def test_interrupted_a_stream_leaves_a_playable_video(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with RtspServer(photo_that_moves(1_000)) as server:
        command = [
            sys.executable,
            "-m",
            "mpscnn",
            "classify",
            server.address,
            "--json",
            "--output",
            str(output),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(5):
            assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    with av.open(str(output)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 4
