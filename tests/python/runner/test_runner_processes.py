"""Test the runner and processes: Ctrl-C, forks, and the end of the interpreter."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runner_frames import Gate, doubling_program, frame, value_of

import mpscnn

# A callback blocks the thread that delivers results until a test releases it, so no later frame is done before.
SLOW = """
import mpscnn, numpy as np, sys, threading, time
network = mpscnn.Network(input=(2, 2, 1))
network.output(network.activation(network.input, "relu"))
x = np.zeros((1, 2, 2, 1), np.float32)
runner = mpscnn.Runner(network.compile(device="cpu"), inflight=1, max_batch=2, max_wait=1000)
reached, released = threading.Event(), threading.Event()
runner.submit(x).add_done_callback(lambda _: (reached.set(), released.wait()))
future = runner.submit(x)
reached.wait()
last = runner.submit(x)  # now all permits are taken

def wait_and_release():
    try:
        future.result()
    finally:
        released.set()

def tell_when_waiting():
    def watch():
        while True:
            frame = sys._current_frames()[threading.main_thread().ident]
            while frame is not None:
                if frame.f_globals["__name__"].startswith("mpscnn."):
                    print("waiting", flush=True)
                    return
                frame = frame.f_back
            time.sleep(0.01)

    threading.Thread(target=watch).start()
"""
WAITS = {
    "submit": "tell_when_waiting(); runner.submit(x)",
    "result": "tell_when_waiting(); future.result()",
    "map": "tell_when_waiting(); next(runner.map([x]))",
    "close": "tell_when_waiting(); runner.close()",
    "with": "with runner: tell_when_waiting(); wait_and_release()",
}


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_interrupts_every_wait(wait: str, tmp_path: Path) -> None:
    script = tmp_path / "waits.py"
    script.write_text(
        SLOW
        + f"""
try:
    {WAITS[wait]}
except KeyboardInterrupt:
    print("interrupted", future.done(), last.cancelled(), flush=True)
    released.set()
    sys.exit(3)
"""
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"  # or about to wait
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    # 'with' waits for frames whose computation has begun. Both frames have begun.
    assert said == ("interrupted True False\n" if wait == "with" else "interrupted False False\n")
    assert process.returncode == 3


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_process_is_told_to_make_its_own() -> None:
    runner = mpscnn.Runner(doubling_program(), inflight=3)
    done = runner.submit(frame(1))
    done.result()
    gate = Gate(runner)
    behind = gate.first
    child = os.fork()
    if child == 0:
        signal.alarm(120)  # ends the process if it hangs
        refusals = []
        for use in (lambda: runner.submit(frame(3)), behind.result, lambda: runner.map([])):
            try:
                use()
            except mpscnn.StateError as error:
                refusals.append("forked" in str(error))
        with mpscnn.Runner(doubling_program()) as own:
            fine = value_of(own.submit(frame(4)).result()) == 4 and value_of(done.result()) == 1
        cancelled = behind.cancel()
        runner.close()
        os._exit(0 if refusals == [True] * 3 and fine and not cancelled else 1)
    _, status = os.waitpid(child, 0)
    gate.open()
    assert os.waitstatus_to_exitcode(status) == 0
    assert value_of(behind.result()) == -2
    runner.close()


def test_the_end_of_the_process_waits_for_frames_and_callbacks(tmp_path: Path) -> None:
    script = tmp_path / "ends.py"
    script.write_text(
        """
import mpscnn, numpy as np, time
network = mpscnn.Network(input=(2, 2, 1))
network.output(network.activation(network.input, "relu"))
runner = mpscnn.Runner(network.compile(device="cpu"), inflight=8)
for i in range(5):
    future = runner.submit(np.ones((1, 2, 2, 1), np.float32))
    future.add_done_callback(lambda _, i=i: (time.sleep(0.02), print(i, flush=True)))
"""
    )
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.stdout.split(), ended.stderr, ended.returncode) == (list("01234"), "", 0)


def test_the_program_of_the_documentation_runs(project: Path) -> None:
    text = (project / "docs" / "runner.md").read_text("utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    command = [sys.executable, "-W", "error", "-c", program]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.stderr, ended.returncode) == ("", 0)
    assert ended.stdout.count("<Classification: cat") == 21
