"""Tests of preflights: a network runs on both engines in mpscnn-check before device="auto" takes the GPU for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from metal.test_background_check import PAGE

#: The first choice is by one run of each engine.
COLD = "before its clock had risen; later programs take times that are measured in the background"
AUTOMATIC = """
import sys
import warnings
import numpy as np
import mpscnn

device, precision = sys.argv[1:]
net = mpscnn.Network(input=(12, 10, 8), name="photo")
x = net.conv2d(net.input, 16, 3, activation="relu")
net.output(net.softmax(net.max_pool2d(x, 2)))
net.initialize_weights(seed=0)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    program = net.compile(device=device, precision=precision)
x = np.random.default_rng(1).random((2, 12, 10, 8), np.float32)
right = net.compile(device="cpu", precision=precision).session().run(x)
if device == "auto":
    np.testing.assert_allclose(program.session().run(x), right, atol=1e-2)
print(program.device)
print(program.reason)
for warning in caught:
    print(warning.message)
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache in which the device is recorded as right, so that only networks are checked."""
    cache = tmp_path_factory.mktemp("checked")
    compiled(cache, MPSCNN_PREFLIGHT="off")
    return cache


def compiled(
    cache: Path, device: str = "auto", precision: str = "float32", **environment: str
) -> tuple[str, str, str]:
    """Compile a network in a new process. Returns the chosen device, the reason and the warnings."""
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "MPSCNN_PREFLIGHT": "on",
        "MPSCNN_PREFLIGHT_SECONDS": "60",  # so that the result does not depend on the machine's speed
        **environment,
    }
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    del variables["MPSCNN_DEVICE"]
    command = [sys.executable, "-c", AUTOMATIC, device, precision]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    chosen, reason, *warned = done.stdout.splitlines()
    return chosen, reason, "\n".join(warned)


def networks(cache: Path) -> list[str]:
    """Return the records of networks, which a process in the background writes after the choice."""
    folder = cache / "self_check" / "networks"
    last = time.monotonic() + 60
    while not list(folder.glob("*.txt")):
        assert time.monotonic() < last, "there is no record"
        time.sleep(0.05)
    return [path.read_text("utf-8") for path in sorted(folder.glob("*.txt"))]


@pytest.fixture
def cache(checked: Path, tmp_path: Path) -> Path:
    """Return a new cache with the record of the device alone."""
    folder = tmp_path / "cache" / "self_check"
    folder.mkdir(parents=True)
    for record in (checked / "self_check").glob("*.txt"):
        (folder / record.name).write_bytes(record.read_bytes())
    return tmp_path / "cache"


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_right_result_is_recorded_with_both_times(cache: Path, precision: str, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    variables = {"MPSCNN_PREFLIGHT": "results", "TMPDIR": str(tmp_path / "temporary")}
    chosen, reason, warned = compiled(cache, precision=precision, **variables)
    assert (chosen, warned) == ("metal", "")
    assert "; the CPU engine ran an image in " in reason
    (record,) = networks(cache)
    assert f"\nnetwork 'photo', {precision}, " in record
    assert record.splitlines()[-1].startswith("times ")
    assert not list((tmp_path / "temporary").glob("mpscnn_network_*")), "the file is deleted"
    # The result is on record. Another check would exceed this limit.
    chosen, again, warned = compiled(
        cache, precision=precision, **variables, MPSCNN_SELF_CHECK_SECONDS="0.001"
    )
    assert (chosen, warned) == ("metal", "")
    assert "; the CPU engine ran an image in " in again
    assert COLD in reason
    assert COLD not in again


def test_a_cold_clock_of_the_gpu_decides_nothing(cache: Path) -> None:
    """The GPU's first 400 milliseconds are slow, as after a pause."""
    cold = "cold_ms=400"
    chosen, reason, _ = compiled(cache, MPSCNN_PREFLIGHT="results", METAL_EMULATION_SWITCHES=cold)
    assert chosen == "metal"
    (record,) = networks(cache)
    cpu, device = (int(number) for number in record.splitlines()[-1].split()[1:])
    assert device < 20e6, "a run with the slow clock takes 20 ms and more"
    assert cpu < device, reason


def test_the_faster_engine_takes_the_network(cache: Path) -> None:
    chosen, reason, warned = compiled(cache)
    assert (chosen, warned) == ("cpu", ""), "the emulation is slower than the CPU engine"
    assert reason.startswith(
        "device 'Emulated Metal device' is not used for network 'photo': the CPU engine ran"
    )
    assert compiled(cache, "metal")[0] == "metal"


@pytest.mark.parametrize(
    ("kernels", "reason"),
    [
        ("MPSCNNConvolution=wrong", "output 'softmax_1' in float32: result (0, 0, 0, "),
        ("MPSCNNPoolingMax=abort", "signal 6"),
        ("MPSCNNSoftMax=hang", "no answer came within 5 s"),
    ],
)
def test_a_network_that_fails_there_runs_on_the_cpu(cache: Path, kernels: str, reason: str) -> None:
    # The device itself is on record as right, as if its kernels failed only in this network.
    limit = {"MPSCNN_SELF_CHECK_SECONDS": "5"} if "hang" in kernels else {}
    chosen, why, warned = compiled(cache, METAL_EMULATION_KERNELS=kernels, **limit)
    assert chosen == "cpu"
    assert why == warned
    assert "device 'Emulated Metal device' is not used for network 'photo': " in warned
    assert reason in warned
    (record,) = networks(cache)
    assert ("\nsilent 1\n" in record) == ("hang" in kernels), "the next process tries a silent network again"
    if "hang" in kernels:
        return
    # The next process knows that. One that names the device gets it, with a warning.
    assert compiled(cache, METAL_EMULATION_KERNELS=kernels)[0] == "cpu"
    chosen, _, warned = compiled(cache, "metal")
    assert chosen == "metal"
    assert (
        "network 'photo' runs on device 'Emulated Metal device' as asked, but its check there has" in warned
    )
    # With preflights off, nothing is looked up.
    assert compiled(cache, MPSCNN_PREFLIGHT="off")[::2] == ("metal", "")


TRAINING = """
import logging
import sys
import numpy as np
import mpscnn
from metal.emulation import load

logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
net = mpscnn.Network(input=(8, 8, 4), name="shapes")
net.output(net.conv2d(net.input, 4, 3, padding="same"))
net.initialize_weights(seed=0)
x = np.random.default_rng(1).random((4, 8, 8, 4), np.float32)
losses = []
for device in ("cpu", sys.argv[1]):
    trainer = mpscnn.Trainer(net, loss="mean_squared_error", device=device, learning_rate=0.01)
    losses.append([trainer.step(x, x) for _ in range(3)])
np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
print("cold", load().get("cold_ms"))
"""

OVERFLOWING = """
import numpy as np
import mpscnn

net = mpscnn.Network(input=(8, 8, 4), name="shapes")
net.output(net.conv2d(net.input, 4, 3, padding="same"))
net.initialize_weights(seed=0)
x = np.random.default_rng(1).random((4, 8, 8, 4), np.float32)
trainer = mpscnn.Trainer(net, loss="mean_squared_error", learning_rate=0.01, check_finite=True)
try:
    trainer.step(np.full_like(x, 3e38), x)
except mpscnn.StateError as error:
    print(error)
print(trainer.step(x, x) < 10)
"""


def test_a_training_goes_on_with_the_faster_engine(cache: Path) -> None:
    """The first step runs on both engines, and the emulation is the slower one, also when its clock has risen."""
    variables = {**os.environ, "MPSCNN_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    variables["METAL_EMULATION_SWITCHES"] = "cold_ms=400"  # each step takes 20 of them
    del variables["MPSCNN_DEVICE"]
    for preflight, device, chosen in (
        ("on", "auto", True),
        ("results", "auto", False),
        ("on", "metal", False),
    ):
        done = subprocess.run(
            [sys.executable, "-c", TRAINING, device],
            env=variables | {"MPSCNN_PREFLIGHT": preflight},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        told = "is not used for this training: the CPU engine ran a step in"
        assert told in PAGE
        said = told in done.stdout
        assert said == chosen, done.stdout
        left = int(done.stdout.split()[-1])
        if chosen:
            assert left < 360, "two steps, and more before the device is left"
        else:
            assert left == 340


def test_a_first_step_that_is_not_finite_is_reported_as_later_ones_are(cache: Path) -> None:
    """The first step chooses the engine. The training goes on after it."""
    variables = {**os.environ, "MPSCNN_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    del variables["MPSCNN_DEVICE"]
    done = subprocess.run(
        [sys.executable, "-c", OVERFLOWING],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said, goes_on = done.stdout.splitlines()
    assert said.startswith("training: in step 0: layer 'conv2d_1': ")
    assert said.endswith("; the weights are those of before the step")
    assert goes_on == "True"


def test_a_named_device_is_not_checked_with_the_network(cache: Path) -> None:
    assert compiled(cache, "metal", METAL_EMULATION_KERNELS="MPSCNNConvolution=wrong")[0] == "metal"
    assert not list((cache / "self_check").glob("networks/*"))
