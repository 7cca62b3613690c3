"""Test daemon threads that are computing when the interpreter ends. Python ends them when they return to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# The code that a thread repeats. `begun` counts the rounds of all threads.
WORK = {
    "session": "session = program.session(threads=1)\nwhile True: session.run(x); begun.release()",
    "session with out": (
        "session, out = program.session(threads=1), program.session().run(x)\n"
        "while True: session.run(x, out=out); begun.release()"
    ),
    "new session": "while True: program.session(threads=2).run(x); begun.release()",
    "predict": "while True: model.predict(photo); begun.release()",
    "load": "while True: mpscnn.load(); begun.release()",
    "submit": "while True: runner.submit(x).result(); begun.release()",
    "map": "for _ in runner.map(itertools.repeat(x)): begun.release()",
    "map of photos": "for _ in photo_runner.map(itertools.repeat(photo)): begun.release()",
    "callbacks": "while True: runner.submit(x).add_done_callback(lambda _: begun.release())",
    "runner": (
        "while True:\n    with mpscnn.Runner(program) as own: own.submit(x).result()\n    begun.release()"
    ),
    "signal": "while True: mpscnn.convolve2d(np.ones((90, 90)), np.ones((9, 9))); begun.release()",
}
SCRIPT = """
import itertools, sys, threading
import numpy as np
import mpscnn
network = mpscnn.Network(input=(32, 32, 8))
network.output(network.conv2d(network.input, 8, 3, name="conv"))
network.initialize_weights(1)
program, model = network.compile(device="cpu"), mpscnn.load()
x, photo = np.ones((1, 32, 32, 8), np.float32), np.zeros((40, 60, 3), np.uint8)
runner, photo_runner = mpscnn.Runner(program), mpscnn.Runner(model)
begun = threading.Semaphore(0)

def work():
    try:
        exec(sys.argv[1], dict(globals()))
    except mpscnn.StateError as error:  # the runners are closed first
        assert "closed" in str(error) or "interpreter" in str(error), error

for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
for _ in range(40):
    assert begun.acquire(timeout=60)
"""


@pytest.mark.parametrize("work", WORK)
def test_the_process_ends_well(work: str, tmp_path: Path, full: bool) -> None:
    script = tmp_path / "daemons.py"
    script.write_text(SCRIPT)
    for _ in range(5 if full else 1):
        command = [sys.executable, "-X", "faulthandler", str(script), WORK[work]]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)
