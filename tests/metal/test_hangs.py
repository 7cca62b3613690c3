"""Test a GPU that does not finish, exceptions of frameworks, and cases of the check that name what they use."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from metal.emulation import HELD, RAISED, Emulation
from metal.self_checks import check_program
from tiers import with_full

import mpscnn

HANGS = """
import os, subprocess
import numpy as np
import mpscnn
from metal.emulation import load

emulation = load()
net = mpscnn.Network(input=(6, 5, 4))
net.output(net.activation(net.input, "relu"))
session = net.compile(device="metal").session()
x = np.zeros((1, 6, 5, 4), np.float32)
session.run(x)
emulation.set("worker_delay_ms", {held})
try:
    {run}
except (mpscnn.DeviceError, KeyboardInterrupt) as error:
    print(type(error).__name__, error)
{after}
emulation.set("discrete_memory", 0)  # nothing more is copied while a network is compiled
try:
    print(net.compile().device, net.compile().reason)
except mpscnn.DeviceError as error:
    print(error)
os._exit(0)  # the emulation would wait for the GPU
"""


#: Ctrl-C, half a second later.
INTERRUPT = 'subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -INT {os.getpid()}"]); '


def after_hang(run: str, after: str = "", **environment: str) -> list[str]:
    """Return the error of a run that does not end, and what "auto" chooses in the same process afterwards.

    `after` is done between both.
    """
    variables = {**os.environ, "MPSCNN_SKIP_SELF_CHECK": "1", **environment}
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    variables.pop("MPSCNN_DEVICE", None)
    command = [sys.executable, "-u", "-c", HANGS.format(held=HELD, run=run, after=after)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("run", ["session.run(x)", "session.submit(x).result()", "session.profile(x)"])
def test_a_gpu_that_does_not_finish_is_left_alone(run: str) -> None:
    error, chosen = after_hang(run, MPSCNN_GPU_SECONDS="0.5")
    assert error.startswith("DeviceError Metal device 'Emulated Metal device' has finished nothing for 0.5 s")
    assert chosen.startswith("cpu Metal device 'Emulated Metal device' has not finished an earlier run")


#: Weights of a GPU with memory of its own are copied to it, while the network is compiled.
COMPILE = (
    'emulation.set("discrete_memory", 1); other = mpscnn.Network(input=(6, 5, 4)); '
    "other.output(other.conv2d(other.input, 4, 3)); other.initialize_weights(seed=0); {0}"
    'other.compile(device="metal", metal_kernels="own")'
)


def test_a_copy_of_weights_that_does_not_finish_is_given_up() -> None:
    error, chosen = after_hang(COMPILE.format(""), MPSCNN_GPU_SECONDS="0.5")
    assert error.startswith("DeviceError Metal device 'Emulated Metal device' has finished nothing for 0.5 s")
    assert chosen.startswith("cpu Metal device 'Emulated Metal device' has not finished an earlier run")


#: More requests than a session starts at a time.
FILL = "requests = [session.submit(x) for _ in range(9)]"


def test_a_request_that_waits_for_others_is_not_started_on_a_gpu_that_hangs() -> None:
    error, chosen = after_hang(FILL, MPSCNN_GPU_SECONDS="0.5")
    assert error.startswith(
        "DeviceError Metal device 'Emulated Metal device' has not finished an earlier run"
    )
    assert chosen.startswith("cpu ")


@pytest.mark.parametrize("run", ["session.run(x)", FILL, COMPILE.format("{0}")])
def test_ctrl_c_ends_the_wait_for_a_gpu(run: str) -> None:
    run = run.format(INTERRUPT) if "{0}" in run else INTERRUPT + run
    error, chosen = after_hang(run, MPSCNN_GPU_SECONDS="0")
    assert error.startswith("KeyboardInterrupt")
    assert chosen.startswith("metal "), "the GPU may only be slow"


#: The GPU runs a kernel, and another line waits for it.
KERNEL = (
    "queue = mpscnn.CommandQueue('metal'); image = mpscnn.Image.from_numpy(x[0]); commands = queue.command_buffer(); "
    "mpscnn.kernels.NeuronReLU().encode(commands, image); "
)


@pytest.mark.parametrize(
    "wait",
    [
        "commands.commit(); {0}commands.wait()",
        "commands.commit(); {0}queue.wait()",
        "{0}commands.__exit__(None, None, None)",
    ],
)
def test_ctrl_c_ends_the_wait_for_a_queue(wait: str) -> None:
    error, _ = after_hang(KERNEL + wait.format(INTERRUPT), MPSCNN_GPU_SECONDS="0")
    assert error.startswith("KeyboardInterrupt")


def test_a_session_ends_after_ctrl_c_although_the_gpu_does_not_finish() -> None:
    closed = 'del session; print("closed")'
    error, ended, _ = after_hang(INTERRUPT + "session.run(x)", after=closed, MPSCNN_GPU_SECONDS="0")
    assert (error.split()[0], ended) == ("KeyboardInterrupt", "closed")


def test_a_session_goes_on_after_ctrl_c_with_other_memory() -> None:
    """The GPU still works with the memory of the run that was left."""
    again = (
        "finish = lambda: emulation.set('worker_delay_ms', 0); threading.Timer(0.2, finish).start(); "
        "print(session.run(x + 1).min(), emulation.violations())"
    )
    run = "import threading; " + INTERRUPT + "session.run(x)"
    error, results, _ = after_hang(run, after=again, MPSCNN_GPU_SECONDS="0")
    assert (error.split()[0], results) == ("KeyboardInterrupt", "1.0 []")


def test_a_session_goes_on_after_ctrl_c_with_the_same_buffers_over_pages() -> None:
    """The GPU still writes to the array of the run that was left. Metal orders uses of the same buffer only."""
    again = (
        "finish = lambda: emulation.set('worker_delay_ms', 0); threading.Timer(0.2, finish).start(); "
        "made = emulation.get('no_copy_buffers_made'); session.run(x + 1, out=y); "
        "print(y.min(), emulation.get('no_copy_buffers_made') - made, emulation.violations())"
    )
    run = "import threading; y = mpscnn.empty((1, 6, 5, 4)); " + INTERRUPT + "session.run(x, out=y)"
    error, results, _ = after_hang(run, after=again, MPSCNN_GPU_SECONDS="0")
    assert (error.split()[0], results) == ("KeyboardInterrupt", "1.0 0 []")


def test_an_exception_of_a_framework_keeps_its_name_and_reason(emulation: Emulation) -> None:
    net = mpscnn.Network(input=(6, 5, 4))
    net.output(net.softmax(net.input))
    session = net.compile(device="metal").session()
    x = np.zeros((1, 6, 5, 4), np.float32)
    emulation.set("exceptions", 1)
    with pytest.raises(mpscnn.DeviceError, match=RAISED):
        session.run(x)
    session.run(x)


CASES = 445


def test_the_number_of_cases() -> None:
    command = [str(check_program()), "metal", f"cases {CASES - 1} {CASES}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"'{CASES}' is no case of the check" in done.stderr


@pytest.mark.parametrize(
    "cases", with_full([range(95, 110), range(210, 225), range(245, 260)], [range(CASES)])
)
def test_every_case_names_an_implementation(cases: range) -> None:
    """A wrong case without a name would refuse the GPU instead of one implementation.

    The default tier runs cases around concatenations and reshapes, whose steps only copy.
    """
    command = [str(check_program()), "metal", "cases " + " ".join(map(str, cases))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    ran = re.split(r"^@mpscnn case ", done.stdout, flags=re.MULTILINE)[1:]
    assert len(ran) == len(cases)
    assert not [case.splitlines()[0] for case in ran if "\n@mpscnn takes " not in case]
