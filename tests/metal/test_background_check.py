"""Test that the first program on a GPU waits for its own network only: the check of the GPU runs in the background."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from metal.self_checks import check_program, processes_of, records
from systems import mapped_files
from tiers import with_full

PAGE = (Path(__file__).parents[2] / "docs" / "first_mac.md").read_text("utf-8")

FIRST_USE = """
import os
import time
import warnings
import numpy as np
import mpscnn

if os.environ.get("NAME") == "mobilenet_v3_small":
    net = mpscnn.models.mobilenet_v3_small()
else:
    net = mpscnn.Network(input=(12, 10, 8), name=os.environ.get("NAME", "photo"))
    x = net.conv2d(net.input, 16, 3, activation="relu")
    net.output(net.softmax(net.max_pool2d(x, 2)))
net.initialize_weights(seed=0)
begun = time.monotonic()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    program = net.compile()
print(program.device, not caught, program.reason)
try:
    explained = repr(program.explain())
except mpscnn.UnsupportedError as error:
    explained = str(error)
assert program.reason in " ".join(explained.split()), explained
for _ in range(int(os.environ.get("RUNS", "0"))):
    program.run(np.zeros((1, *next(iter(program.inputs.values()))[1:]), np.float32))
print(time.monotonic() - begun)
print(mpscnn.CommandQueue().device)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """Return a new cache. Checks in the background that use it end with the test."""
    folder = tmp_path / "cache"
    yield folder
    while running := processes_of(folder):
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)


def first_use(cache: Path, **environment: str) -> tuple[str, str, float, str]:
    """Compile in a new process. Return device, reason, seconds, and the device of a queue, which has no network."""
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "MPSCNN_PREFLIGHT": "results",  # the emulation is slower than the CPU engine
        "MPSCNN_PREFLIGHT_SECONDS": "60",
        **environment,
    }
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    del variables["MPSCNN_DEVICE"]
    done = subprocess.run(
        [sys.executable, "-c", FIRST_USE],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    chosen, seconds, queue = done.stdout.splitlines()
    device, silent, reason = chosen.split(" ", 2)
    return device + ("" if silent == "True" else " with a warning"), reason, float(seconds), queue


def wait_until(happened: Callable[[], object], seconds: float = 120) -> None:
    last = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < last
        time.sleep(0.05)


def test_a_check_that_never_ends_delays_no_network(cache: Path) -> None:
    """Poolings that are not of this network hang, so the check of the device does not end."""
    hangs = {"METAL_EMULATION_KERNELS": "MPSCNNPoolingAverage=hang", "MPSCNN_SELF_CHECK_SECONDS": "600"}
    device, reason, seconds, queue = first_use(cache, **hangs)
    assert device == "metal"
    told = (
        "a Metal device, whose answers were checked for this network only, since its full check has not ended"
    )
    assert reason.startswith(told)
    assert told in PAGE
    cold = "before its clock had risen; later programs take times that are measured in the background"
    assert reason.endswith(cold)
    assert cold in PAGE
    assert queue == "cpu", "a queue has no network that could be checked"
    assert seconds < 60, "the check of the device would take 600 seconds"
    wait_until(lambda: list((cache / "self_check").glob("*.begun")))
    # The check that the queue has begun may be faster than the network's second measurement, which is recorded.
    wait_until(lambda: list((cache / "self_check" / "networks").glob("*.txt")))
    # While it runs, another process takes the network's record, and another network gets the CPU at once.
    assert first_use(cache, **hangs)[0] == "metal"
    device, reason, seconds, _ = first_use(cache, **hangs, NAME="another")
    assert (device, seconds < 60) == ("cpu", True)
    told = "its full check has not ended; it runs in the background, and later programs take its result"
    assert reason == f"device 'Emulated Metal device' is not used for network 'another': {told}"
    assert told in PAGE


def test_a_restart_of_the_machine_during_a_check_is_no_crash(cache: Path) -> None:
    """The system ends all processes with SIGTERM then. A marker that stays would refuse the GPU afterwards."""
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "METAL_EMULATION_KERNELS": "MPSCNNConvolution=hang",
        "MPSCNN_SELF_CHECK_SECONDS": "600",
    }
    with subprocess.Popen([str(check_program()), "metal", "background\n"], env=variables) as process:
        wait_until(lambda: any(file.stat().st_size for file in (cache / "self_check").glob("*.begun")))
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM
    assert not list((cache / "self_check").glob("*.begun"))


def test_a_slow_preflight_goes_on_while_the_cpu_answers(cache: Path) -> None:
    slow = {"METAL_EMULATION_SWITCHES": "worker_delay_ms=1500"}
    device, reason, _, queue = first_use(cache, **slow, MPSCNN_PREFLIGHT_SECONDS="0.2")
    assert (device, queue) == ("cpu", "cpu")
    told = "its preflight has not ended; it goes on in the background, and later programs take its result"
    assert reason == f"device 'Emulated Metal device' is not used for network 'photo': {told}"
    assert told in PAGE
    wait_until(lambda: list((cache / "self_check" / "networks").glob("*.txt")))
    assert first_use(cache)[0] == "metal", "the result of the process in the background"


@pytest.mark.full
def test_the_check_in_the_background_is_recorded(cache: Path) -> None:
    """Slow, because the device is checked with all cases."""
    assert "full check has not ended" in first_use(cache)[1]
    wait_until(lambda: [record for record in records(cache) if record.parent.name == "self_check"], 600)
    device, reason, _, queue = first_use(cache)
    assert (device, queue) == ("metal", "metal")
    assert reason.startswith("a Metal device, whose answers were checked; ")


def test_python_checks_where_the_system_kills_the_program(cache: Path, tmp_path: Path) -> None:
    """macOS may kill programs that it does not trust."""
    (library,) = {Path(name) for name in mapped_files() if "/libmpscnn.so." in name}
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / library.name).write_bytes(library.read_bytes())
    killed = folder / check_program().name
    killed.write_text("#!/bin/sh\nkill -9 $$\n", "utf-8")
    killed.chmod(0o755)
    device, reason, _, _ = first_use(cache, LD_LIBRARY_PATH=str(folder))
    assert device == "metal", reason
    networks = cache / "self_check" / "networks"
    wait_until(lambda: list(networks.glob("*.txt")))
    (record,) = networks.glob("*.txt")
    assert "times " in record.read_text("utf-8")


def test_results_are_known_before_the_shaders_are_written(cache: Path) -> None:
    """The file of compiled shaders is written after the answer. If this is interrupted, only the file is missing."""
    cases = "cases " + " ".join(map(str, range(20)))
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "METAL_EMULATION_SWITCHES": "archive_delay_ms=1000000",
    }
    with subprocess.Popen(
        [str(check_program()), "metal", cases], env=variables, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "@mpscnn end\n")
        assert sum(line == "@mpscnn right\n" for line in lines) == 20
        assert process.poll() is None, "it still writes the file"
        process.kill()
    assert not list(cache.rglob("*.metalarchive"))


def test_unfinished_files_of_shaders_are_deleted_when_their_process_has_ended(cache: Path) -> None:
    """The process of a check writes its file after the results, so a later check may begin meanwhile.

    Slow, because both processes compile all shaders.
    """
    variables = {**os.environ, "MPSCNN_CACHE": str(cache)}
    command = [str(check_program()), "metal", "cases " + " ".join(map(str, range(20)))]

    def archive() -> Path:
        subprocess.run(command, env=variables, stdout=subprocess.DEVNULL, check=True)
        (written,) = cache.rglob("*.metalarchive")
        return written

    file = archive()
    file.unlink()
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    key = file.name.partition("-")[0]
    left, written_now = (file.with_name(f"{key}.{process}.new") for process in (ended.pid, os.getpid()))
    left.touch()
    written_now.touch()
    assert archive().name == file.name
    assert [left.exists(), written_now.exists()] == [False, True]


def counts_of(file: Path) -> list[dict[str, int]]:
    """Return the counts of the processes that have ended, in the order in which they did."""
    return [
        {name: int(number) for name, _, number in (word.partition("=") for word in line.split())}
        for line in file.read_text().splitlines()
    ]


#: A kernel that a network does not use, but the check of the device does.
UNUSED = {"photo": "MPSCNNPoolingAverage", "mobilenet_v3_small": "MPSCNNPoolingMax"}


@pytest.mark.parametrize("network", with_full(["photo"], ["mobilenet_v3_small"]))
def test_a_preflight_makes_the_pipelines_and_dispatches_of_the_network_only(
    cache: Path, tmp_path: Path, network: str
) -> None:
    """The first answer waits for the pipelines of the network twice: in the check's process, and in the user's.

    The check's process computes the network twice, for its results and for its time. The network is measured on a
    warm device by another process, which ends later.
    """
    counts, alone = tmp_path / "counts", tmp_path / "alone"
    hangs = {"METAL_EMULATION_KERNELS": f"{UNUSED[network]}=hang", "MPSCNN_SELF_CHECK_SECONDS": "600"}
    assert first_use(cache, **hangs, NAME=network, METAL_EMULATION_COUNTS=str(counts))[0] == "metal"
    unchecked = {"MPSCNN_SKIP_SELF_CHECK": "1", "RUNS": "1", "NAME": network}
    assert first_use(cache, **unchecked, METAL_EMULATION_COUNTS=str(alone))[0] == "metal"

    def computing() -> list[dict[str, int]]:
        """Return the counts of the processes that computed, in the order of their dispatches."""
        found = [process for process in counts_of(counts) if process["dispatches_made"]]
        return sorted(found, key=lambda process: process["dispatches_made"])

    # The measurement on a warm device needs more, and nobody waits for it.
    wait_until(lambda: len(computing()) > 1)
    (one,), check = counts_of(alone), computing()[0]
    assert 0 < check["pipelines_made"] <= one["pipelines_made"]
    for name in ("dispatches_made", "command_buffers_made"):
        assert 0 < check[name] <= 2 * one[name], name
