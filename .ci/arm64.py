"""Build for Linux on arm64 with GCC, and run the programs on an emulated processor.

    python .ci/arm64.py BUILD [quick]

Builds everything in the folder BUILD, runs the C++ tests on processors with and without special instructions, and
compares networks, cases of `mpscnn verify` and a photo with this machine (tests/models/test_emulated_processor.py).
`quick` builds only what it runs, and leaves out most tests and networks. CMake, Ninja, pybind11, pytest and the package
must be installed, and the Debian packages of the session `portable`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from python_headers import gather

ROOT = Path(__file__).resolve().parents[1]
EMULATOR = "qemu-aarch64"
COMPILER = "aarch64-linux-gnu"

RUN_ON_ARM64 = ("cpu_tests", "fingerprint_of", "results_of", "classes_of")
"""The programs that run on the emulated processor if `quick` is given."""

# Both processors lack bfloat16 and products of unsigned and signed bytes. The second also lacks dot products and
# arithmetic of float16.
OLDER_PROCESSORS = ("cortex-a76", "cortex-a57")
TESTS_OF_INSTRUCTIONS = (
    "kernels_half_sums_test",
    "kernels_integer_convolution_test",
    "kernels_integer_test",
    "kernels_requantisation_test",
)


def run(*command: str | Path, **environment: str) -> None:
    """Run a command in the top directory of the sources."""
    subprocess.run([str(word) for word in command], cwd=ROOT, env=os.environ | environment, check=True)


def build_in(folder: Path, *targets: str) -> None:
    """Configure a build, and build these targets, or all."""
    headers = folder.with_name(f"{folder.name}-python")
    gather(headers)
    asked = subprocess.run(
        [sys.executable, "-m", "pybind11", "--cmakedir"], capture_output=True, text=True, check=True
    )
    settings = {
        "CMAKE_UNITY_BUILD": "ON",
        "CMAKE_SYSTEM_NAME": "Linux",  # CMake uses the emulator only if the system's name is set
        "CMAKE_SYSTEM_PROCESSOR": "aarch64",
        "CMAKE_CROSSCOMPILING_EMULATOR": EMULATOR,
        "CMAKE_C_COMPILER": f"{COMPILER}-gcc",
        "CMAKE_CXX_COMPILER": f"{COMPILER}-g++",
        "CMAKE_EXE_LINKER_FLAGS": "-static",
        "MPSCNN_BUILD_TESTS": "ON",
        "MPSCNN_BUILD_PYTHON": "ON",
        "Python_INCLUDE_DIR": str(headers),
        "pybind11_DIR": asked.stdout.strip(),
    }
    given = (f"-D{name}={value}" for name, value in settings.items())
    run("cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", *given)
    jobs = str(os.cpu_count() or 1)
    run("cmake", "--build", folder, "-j", jobs, *(("--target", *targets) if targets else ()))


def run_ctest(folder: Path, *options: str) -> None:
    """Run the C++ tests of a build. Options go to ctest."""
    jobs = str(os.cpu_count() or 1)
    command = ("ctest", "--test-dir", folder, "-j", jobs, "--output-on-failure", "--no-tests=error")
    run(*command, *options, MPSCNN_EMULATED="1")


def compare_with_this_machine(programs: Path, *options: str) -> None:
    """Compare networks, cases of `mpscnn verify` and a classified photo. Options go to pytest."""
    compared = ("pytest", "tests/models/test_emulated_processor.py", *options)
    run(sys.executable, "-m", *compared, MPSCNN_EMULATED_PROGRAMS=f"{EMULATOR} {programs}/", MPSCNN_CPU="")


def check_quickly(folder: Path) -> None:
    """Build and run what `nox -s portable` runs."""
    build_in(folder, *RUN_ON_ARM64)
    run_ctest(folder, "--tests-regex", "integer|requantisation|fixed_point")
    compare_with_this_machine(folder / "tests" / "cpp", "-k", "verify or photo")


def check(folder: Path) -> None:
    """Build and run everything."""
    build_in(folder)
    run_ctest(folder)
    programs = folder / "tests" / "cpp"
    for processor in OLDER_PROCESSORS:
        for name in TESTS_OF_INSTRUCTIONS:
            run(EMULATOR, "-cpu", processor, programs / "cpu_tests", name)
    compare_with_this_machine(programs)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["quick"]):
        sys.exit(__doc__)
    (check_quickly if sys.argv[2:] else check)(Path(sys.argv[1]).resolve())
