"""Run the self-check of devices in processes of their own, with the emulation's switches, and find its records."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from systems import mapped_files


def records(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.txt"))


def check_program() -> Path:
    """Return the path of mpscnn-check, which is in the folder of the loaded library."""
    (library,) = {name for name in mapped_files() if "/libmpscnn.so." in name}
    return Path(library).parent / "mpscnn-check"


def processes_of(cache: Path) -> list[int]:
    """Return the processes whose cache this is, without those that have ended."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"MPSCNN_CACHE={cache}\0".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:  # it has ended, or belongs to another user
            continue
    return found


def wait_for_checks(cache: Path) -> None:
    """Wait until all checks that use a cache have ended. They answer first, and write files of shaders after that."""
    while processes_of(cache):
        time.sleep(0.05)


SELF_CHECK = """
import sys
import mpscnn
from metal.emulation import load

emulation = load()
net = mpscnn.Network(input=(6, 5, 4))
net.output(net.softmax(net.input))
for attempt in range(2):
    try:
        program = net.compile(device="metal")
        print(program.device, program.reason)
        del program
    except mpscnn.DeviceError as error:
        print(error)
assert not emulation.violations()
assert emulation.live_objects() == "", emulation.live_objects()
"""


def run_self_check(cache: Path, switches: str = "", **environment: str) -> list[str]:
    """Compile twice in a new process, with switches of the emulation set, and return the output."""
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "METAL_EMULATION_SWITCHES": switches,
        **environment,
    }
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", SELF_CHECK], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


AUTOMATIC = """
import sys
import warnings
import mpscnn

net = mpscnn.Network(input=(6, 5, 4))
net.output(net.softmax(net.input))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    programs = [net.compile(), net.compile()]
    queue = mpscnn.CommandQueue()
print(programs[0].device, programs[1].device, queue.device, len(caught))
print(programs[0].reason)
for warning in caught:
    print(warning.message)
if "metal" in sys.argv:
    print(net.compile(device="metal").device, net.compile().device)
"""


def automatic_variables(cache: Path, switches: str, **environment: str) -> dict[str, str]:
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "METAL_EMULATION_SWITCHES": switches,
        **environment,
    }
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    del variables["MPSCNN_DEVICE"]
    return variables


def run_automatic(cache: Path, switches: str = "", *arguments: str, **environment: str) -> list[str]:
    """Return what "auto" chooses in a new process. That process must not run the device before it is checked."""
    variables = automatic_variables(cache, switches, **environment)
    command = [sys.executable, "-c", AUTOMATIC, *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
