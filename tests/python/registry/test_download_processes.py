"""Test downloads that are interrupted, and several processes that want the same file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from downloading import destination, download, part
from file_server import BODY, HALF, PATIENCE, Handler, Server, serve, stall_in_the_middle

from mpscnn.registry import PublishedFile, cache
from mpscnn.registry.download import Client

pytestmark = pytest.mark.usefixtures("empty_cache")


def test_interruption_keeps_the_part(server: Server, client: Client, file: PublishedFile) -> None:
    def interrupt(done: int) -> None:
        if done >= HALF:
            raise KeyboardInterrupt

    interrupted = replace(client, progress=lambda name, total: contextlib.nullcontext(interrupt))
    with pytest.raises(KeyboardInterrupt), cache.hold_lock(destination(file)):
        interrupted.download(file, destination(file))
    have = part(file).stat().st_size
    assert have >= HALF
    assert part(file).read_bytes() == BODY[:have]
    assert not is_locked(destination(file))
    download(client, file)


def is_locked(path: Path) -> bool:
    with path.with_name(path.name + ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


# A process that gets a model of two files, which may be in the cache already, like `mpscnn.registry.find`.
PROCESS = """
import os, pathlib, sys, types
import mpscnn
from mpscnn.registry import Entry, PublishedFile
from mpscnn.registry.download import Client
from mpscnn.registry.lookup import prepare

root, size, sha256, log = sys.argv[1], int(sys.argv[2]), sys.argv[3], pathlib.Path(sys.argv[4])

def convert_files(sources, output, **options):
    with log.open("a") as stream:
        stream.write("converted\\n")
    output.write_bytes(b"".join(source.read_bytes() for source in sources))

converters = types.ModuleType("mpscnn.converters.formats.conversion_cache")
converters.CONVERTER_VERSION, converters.convert_files = 1, convert_files
sys.modules["mpscnn.converters.formats.conversion_cache"] = converters
file = PublishedFile("tiny.tflite", root + "tiny.tflite", size, sha256)
entry = Entry("tiny", (), (8, 8), 2, (file,), None, "tensorflow", "Apache-2.0", "nobody")
if "--terminal" in sys.argv:
    sys.stderr.isatty = lambda: True
path = prepare(entry, client=Client(allowed=lambda url: url.startswith(root), timeout=600))
print(path, path.stat().st_size, "rich" in sys.modules)
"""


def start_process(file: PublishedFile, log: Path, *options: str) -> subprocess.Popen[str]:
    root = file.url.removesuffix(file.name)
    arguments = [sys.executable, "-c", PROCESS, root, str(file.size), file.sha256, str(log), *options]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_several_processes_download_and_convert_once(
    server: Server, file: PublishedFile, tmp_path: Path
) -> None:
    def serve_later(handler: Handler) -> None:
        handler.server.released.wait(PATIENCE)
        serve(handler)

    server.script.append(serve_later)
    first = start_process(file, tmp_path / "log")
    wait_until(lambda: server.ranges == [None])
    second = start_process(file, tmp_path / "log")
    third = start_process(file, tmp_path / "log", "--terminal")
    assert third.stderr is not None
    assert third.stderr.readline().startswith("Waiting for another process that prepares tiny-")
    server.released.set()
    outputs = [process.communicate(timeout=PATIENCE) for process in (first, second, third)]
    assert outputs[0] == outputs[1] == outputs[2]
    assert outputs[0][0].endswith(f".safetensors {len(BODY)} False\n")
    assert outputs[0][1] == ""
    assert server.ranges == [None]
    assert (tmp_path / "log").read_text() == "converted\n"


def test_signal_while_downloading(
    server: Server, client: Client, file: PublishedFile, tmp_path: Path
) -> None:
    server.script.append(stall_in_the_middle)
    process = start_process(file, tmp_path / "log")
    wait_until(lambda: part(file).exists() and part(file).stat().st_size > 0)
    assert is_locked(destination(file))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert not is_locked(destination(file))
    have = part(file).stat().st_size
    assert part(file).read_bytes() == BODY[:have]
    download(client, file)
    assert server.ranges == [None, f"bytes={have}-"]


def test_signal_while_waiting_for_the_lock(server: Server, file: PublishedFile, tmp_path: Path) -> None:
    with cache.hold_lock(destination(file)):
        process = start_process(file, tmp_path / "log", "--terminal")
        assert process.stderr is not None
        assert process.stderr.readline() == "Waiting for another process that prepares tiny.tflite ...\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert server.ranges == []


def test_child_forked_meanwhile_does_not_hold_the_lock(tmp_path: Path) -> None:
    hold, release = os.pipe()
    with cache.hold_lock(tmp_path / "x"):
        child = os.fork()
        if child == 0:
            os.close(release)
            os.read(hold, 1)
            os._exit(0)
    try:
        assert not is_locked(tmp_path / "x")
    finally:
        os.close(release)
        os.waitpid(child, 0)
        os.close(hold)
