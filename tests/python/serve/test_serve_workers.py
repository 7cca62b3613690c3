"""Test `mpscnn serve --workers N`: shared weights, processes that end, signals, metrics and errors."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import slow_service
from serving import Service, require_packages, serving, until
from slow_service import SLOW, Asked, Gate, refused, wait_until
from systems import mapped_sizes
from tiers import with_full

require_packages()

import mpscnn  # noqa: E402

files, gate, photo = slow_service.files, slow_service.gate, slow_service.photo  # fixtures

TWO = ("--device", "cpu", "--inflight", "1", "--workers", "2")
#: The bytes of the weights of `large`.
WEIGHTS = 4 * 1_024 * 8_192


def children(process: int) -> list[int]:
    """Return the numbers of the child processes of a process."""
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in table.stdout.splitlines()]
    return [child for child, parent in pairs if parent == process]


def loader_and_workers(service: Service) -> tuple[int, list[int]]:
    (loader,) = children(service.process.pid)
    return loader, children(loader)


def listens(service: Service) -> bool:
    try:
        socket.create_connection(service.place).close()
    except ConnectionError:
        return False
    return True


def runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def service(files: list[Path], gate: Gate) -> Iterator[Service]:
    with serving(*files, *TWO, patch=gate.patch) as running:
        yield running


def test_a_killed_worker_is_started_again(service: Service, photo: bytes) -> None:
    loader, workers = loader_and_workers(service)
    assert len(workers) == 2
    for _ in range(8):
        assert service.request("/v1/classify", photo).status == 200
    name = 'mpscnn_requests_total{model="colours",route="/v1/classify",status="200"}'
    count = service.metric(name)
    os.kill(workers[0], signal.SIGKILL)
    line = service.wait_for(
        f"the worker process {workers[0]} ended by SIGKILL: another one starts", level="warning"
    )
    assert line
    until(lambda: len(children(loader)) == 2)
    assert workers[0] not in children(loader)
    assert service.request("/v2/health/ready").status == 200
    assert service.request("/v1/classify", photo).status == 200
    assert service.metric(name) == count + 1  # the counts of the killed worker are kept


def test_a_killed_loader_is_started_again(service: Service, photo: bytes) -> None:
    loader, workers = loader_and_workers(service)
    os.kill(loader, signal.SIGKILL)
    service.wait_for(f"the process {loader} ended by SIGKILL: another one loads the models")
    # Its workers end as soon as they see that it has ended, and connections wait until others are ready.
    until(lambda: not any(map(runs, workers)))
    assert service.request("/v1/classify", photo).status == 200
    assert loader_and_workers(service)[0] != loader


def test_metrics_are_of_all_workers(service: Service, gate: Gate) -> None:
    with gate.closed():
        slow = [Asked(lambda: service.request(SLOW)) for _ in range(6)]
        wait_until(service, "mpscnn_computing", 2)
        wait_until(service, "mpscnn_queue_length", 4)
    assert [asked.answer().status for asked in slow] == [200] * 6
    wait_until(service, "mpscnn_computing", 0)
    assert service.metric('mpscnn_compute_seconds_count{model="slow"}') == 6


def test_options_are_not_changed(service: Service) -> None:
    answer = service.request("/v1/models/colours/options", b"{}")
    refused(answer, 409, "StateError", "a service with workers cannot change options")


@pytest.mark.parametrize("ending", with_full([signal.SIGTERM], [signal.SIGHUP, signal.SIGINT]))
def test_a_signal_reaches_all_processes(
    files: list[Path], gate: Gate, photo: bytes, tmp_path: Path, ending: signal.Signals
) -> None:
    """Start a service, which takes more than a second, because the signal ends it."""
    # A program that was started by nohup ignores SIGHUP, and so would the service.
    heard = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    address = tmp_path / "address"
    options = ("--address-file", address)
    with serving(*files, *TWO, *options, patch=heard + gate.patch) as service, gate.closed():
        loader, workers = loader_and_workers(service)
        assert address.read_text() == service.address
        slow = [Asked(lambda: service.request(SLOW)) for _ in range(6)]
        wait_until(service, "mpscnn_computing", 2)
        wait_until(service, "mpscnn_queue_length", 4)
        if ending is signal.SIGINT:  # a terminal sends it to all processes
            for process in workers:
                os.kill(process, signal.SIGINT)
        service.process.send_signal(ending)
        until(lambda: not listens(service))
        gate.open()
        assert [asked.answer().status for asked in slow] == [200] * 6
        assert service.process.wait(timeout=120) == 0
        assert not address.exists()
        until(lambda: not any(map(runs, (loader, *workers))))
        assert service.wait_for("ended")


def test_workers_end_if_the_service_is_killed(files: list[Path]) -> None:
    """Start a service, which takes more than a second, because it is killed."""
    code = "from mpscnn.apps.cli import main\nmain()"
    command = [sys.executable, "-c", code, "serve", *map(str, files), *TWO, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr as log:
        assert '"listening"' in log.readline()
        (loader,) = children(process.pid)
        all_processes = [loader, *children(loader)]
        process.kill()
        process.wait()
        until(lambda: not any(map(runs, all_processes)))


def test_workers_share_the_weights(tmp_path: Path) -> None:
    """Start a service with a network of 33 MB, which takes two seconds."""
    network = mpscnn.Network(input=(1, 1, 1_024), name="large")
    network.output(network.dense(network.input, 8_192))
    network.initialize_weights(1)
    network.save(tmp_path / "large.safetensors")
    with serving(tmp_path / "large.safetensors", *TWO) as service:
        for process in loader_and_workers(service)[1]:
            sizes = mapped_sizes(process)
            assert sizes["Rss"] > WEIGHTS
            assert sizes["Pss"] < sizes["Rss"] - WEIGHTS / 2
            assert sizes["Shared_Clean"] + sizes["Shared_Dirty"] > WEIGHTS


@pytest.mark.parametrize("method", with_full(["fork"], ["spawn"]))
@pytest.mark.parametrize("wrong", with_full(["damaged file"], ["two models of one name"]))
def test_errors_of_the_start_are_those_of_a_service_without_workers(
    files: list[Path], tmp_path: Path, method: str, wrong: str
) -> None:
    """Start two services, which takes more than a second."""
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(files[0].read_bytes()[:-9])
    models = [damaged] if wrong == "damaged file" else [files[0], files[0]]
    patch = f"from mpscnn.apps.serve import processes\nprocesses.METHOD = {method!r}\n"
    code = f"{patch}from mpscnn.apps.cli import main\nmain()"
    ends = []
    for workers in ("1", "2"):
        command = [
            sys.executable,
            "-c",
            code,
            "serve",
            *map(str, models),
            "--workers",
            workers,
            "--port",
            "0",
        ]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        ends.append((ended.returncode, ended.stderr, ended.stdout))
    assert ends[0] == ends[1]
    assert ends[0][0] in (1, 2)


@pytest.mark.full
def test_workers_load_by_themselves_where_processes_cannot_fork(files: list[Path], photo: bytes) -> None:
    patch = "from mpscnn.apps.serve import processes\nprocesses.METHOD = 'spawn'\n"
    with serving(*files, *TWO, patch=patch) as service:
        # Python's multiprocessing starts a process for each level, too.
        processes = children(service.process.pid)
        workers = [worker for process in processes for worker in children(process)]
        assert len(workers) >= 2
        assert service.request("/v1/classify", photo).status == 200
