"""Test that other threads of Python go on while a thread waits for a device."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from metal.emulation import HELD, Emulation
from metal.self_checks import records

import mpscnn

CALLS = {
    "compile": "net.compile(device='metal').device",
    "train": "mpscnn.Trainer(net, device='metal')._device",
    "queue": "mpscnn.CommandQueue('metal').device",
}

WAITS_FOR_A_RECORD = """
import sys, threading
import mpscnn

net = mpscnn.Network(input=(4,))
net.output(net.softmax(net.dense(net.input, 2)))
net.initialize_weights(seed=0)


def write(record: str, text: str) -> None:
    while True:
        with open(record, "w") as pipe:  # opens when the library reads the record
            pipe.write(text)


for given in zip(sys.argv[1::2], sys.argv[2::2]):
    threading.Thread(target=write, args=given, daemon=True).start()
print({call})
"""


@pytest.mark.parametrize("call", CALLS)
def test_the_first_use_of_a_device_lets_other_threads_go_on(tmp_path: Path, call: str) -> None:
    """Another thread writes the record of the device's check into a pipe, from which the library reads it."""
    mpscnn.CommandQueue("metal")  # the check is on record from here on
    folder = tmp_path / "self_check"
    folder.mkdir()
    pipes: list[str] = []
    for record in records(
        Path(os.environ["MPSCNN_CACHE"])
    ):  # those of other builds and devices are not opened
        if record.parent.name == folder.name:
            os.mkfifo(folder / record.name)
            pipes += [str(folder / record.name), record.read_text()]
    environment = {**os.environ, "MPSCNN_CACHE": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", WAITS_FOR_A_RECORD.replace("{call}", CALLS[call]), *pipes],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["metal"]), done.stderr


def test_a_copy_of_weights_lets_other_threads_go_on(
    emulation: Emulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compilation waits for the GPU, until another thread lets the GPU finish."""
    monkeypatch.setenv("MPSCNN_SKIP_SELF_CHECK", "1")
    monkeypatch.setenv("MPSCNN_GPU_SECONDS", "20")
    emulation.set("discrete_memory", 1)
    emulation.set("worker_delay_ms", HELD)
    net = mpscnn.Network(input=(6, 5, 4))
    net.output(net.conv2d(net.input, 4, 3))
    net.initialize_weights(seed=0)
    before, ended = emulation.get("command_buffers_made"), threading.Event()

    def let_finish() -> None:
        while emulation.get("command_buffers_made") == before and not ended.is_set():
            time.sleep(0.001)
        emulation.set("worker_delay_ms", 0)

    other = threading.Thread(target=let_finish)
    other.start()
    try:
        program = net.compile(device="metal", metal_kernels="own")
    finally:
        ended.set()
        other.join()
    assert program.session().run(np.zeros((1, 6, 5, 4), np.float32)).shape == (1, 4, 3, 4)


def test_threads_compile_the_same_network_at_once() -> None:
    net = mpscnn.Network(input=(8, 8, 3))
    net.output(net.softmax(net.global_average_pool2d(net.conv2d(net.input, 8, 3, activation="relu"))))
    net.initialize_weights(seed=0)
    x = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    expected = net.compile(device="metal").run(x)
    results = []

    def compile_and_run() -> None:
        for _ in range(10):
            results.append(net.compile(device="metal").run(x))

    threads = [threading.Thread(target=compile_and_run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 40
    for result in results:
        np.testing.assert_array_equal(result, expected)
