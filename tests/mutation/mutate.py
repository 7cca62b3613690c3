"""Change kernels of the CPU engine in a copy of the sources, one place at a time, and print whether tests notice it.

python tests/mutation/mutate.py [--mutants 69] [--only pooling] [--directory build/mutation]

A mutant is one changed operator, border, stride or axis. It is built for the oldest instruction set with -O1, and the
tests of its kernel are run. A mutant is "killed" if they fail, crash or take too much processor time. README.md has the
score and says why other mutants survived.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
KERNELS = Path("cpp/cpu/kernels")

#: The files of kernels, and the tests that must notice changes in them. Files that only divide work, such as
#: work_split.h, are left out, because changes in them do not change results.
SUBJECTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("elementwise/pooling.h", "elementwise/pooling_taps.h", "elementwise/pooling_reduction.h"): (
        "tests/operations/test_pooling.py",
    ),
    ("movement/padding.cpp",): ("tests/operations/test_arrangement.py",),
    ("movement/resize.cpp",): ("tests/operations/test_resize.py",),
    ("elementwise/softmax.cpp",): ("tests/operations/test_softmax.py",),
    (
        "elementwise/reduction.cpp",
        "elementwise/reduction_tiles.h",
        "elementwise/argument.cpp",
        "elementwise/weighted_reduction.cpp",
    ): ("tests/operations/test_reductions.py",),
    ("elementwise/normalization.cpp", "elementwise/local_normalization.cpp"): (
        "tests/operations/test_normalization.py",
        "tests/operations/test_local_normalization.py",
        "tests/ops/test_magnitudes.py",
    ),
    ("elementwise/wide_power.h",): ("tests/ops/test_magnitudes.py",),
    ("elementwise/arithmetic.cpp",): ("tests/operations/test_arithmetic.py",),
    ("training/optimizer.cpp",): ("tests/operations/test_optimizer.py",),
    ("convolution/binary_convolution.cpp",): ("tests/operations/test_binary_convolution.py",),
    ("elementwise/signal.cpp",): ("tests/ops/test_signal.py",),
    (
        "convolution/convolution_regions.h",
        "convolution/convolution_gather.h",
        "convolution/gemm_tile.h",
        "convolution/gemm_dot_tile.h",
        "convolution/gemm_group_tile.h",
    ): (
        "tests/operations/test_convolution.py",
        "tests/operations/test_products.py",
    ),
    ("convolution/convolution_depthwise.h", "convolution/depthwise_strip.h"): (
        "tests/operations/test_convolution.py",
    ),
    ("convolution/interleaved_convolution.h",): ("tests/operations/test_products.py",),
    ("convolution/subpixel.h",): ("tests/operations/test_products.py",),
    ("elementwise/neuron.cpp",): ("tests/operations/test_neuron.py",),
    ("convolution/matrix_product.cpp",): ("tests/operations/test_products.py",),
    ("convolution/recurrent.cpp", "convolution/recurrent_steps.h", "training/recurrent_gradient.cpp"): (
        "tests/operations/test_recurrent.py",
    ),
    (
        "movement/concatenation.cpp",
        "movement/take.cpp",
        "movement/take_along.cpp",
        "movement/transpose.cpp",
        "training/take_gradient.cpp",
    ): (
        "tests/operations/test_arrangement.py",
        "tests/operations/test_constant.py",
        "tests/operations/test_selection.py",
    ),
    ("training/weight_gradient_dense.h", "training/weight_gradient_depthwise.h"): (
        "tests/operations/test_convolution.py",
    ),
    ("training/pooling_gradient.cpp",): ("tests/operations/test_pooling.py",),
    ("training/loss.cpp", "training/multibox.cpp"): (
        "tests/operations/test_loss.py",
        "tests/operations/test_multibox_loss.py",
    ),
    ("training/normalization_gradient.h", "training/group_gradient.cpp"): (
        "tests/operations/test_batch_normalization.py",
        "tests/operations/test_normalization.py",
        "tests/ops/test_magnitudes.py",
    ),
}

#: Patterns and their replacements. Each match is a mutant.
CHANGES: tuple[tuple[str, str], ...] = (
    (r" < ", " <= "),
    (r" <= ", " < "),
    (r" > ", " >= "),
    (r" >= ", " > "),
    (r" == ", " != "),
    (r" != ", " == "),
    (r" && ", " || "),
    (r" \+ 1\b", " + 2"),
    (r" - 1\b", " - 0"),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r"(?<!V::)\bmin\(", "max("),
    (r"(?<!V::)\bmax\(", "min("),
    (r"\brow_stride\b", "pixel_stride"),
    (r"\bpixel_stride\b", "row_stride"),
    (r"\bvertical\b", "horizontal"),
    (r"\bhorizontal\b", "vertical"),
    (r"\.before\b", ".after"),
    (r"\.height\b", ".width"),
    (r"\.width\b", ".height"),
    (r"\.begin\b", ".end"),
    (r"\bV::add\(", "V::sub("),
    (r"\bV::sub\(", "V::add("),
    (r"\bV::max\(", "V::min("),
    (r"\bV::min\(", "V::max("),
)
#: Lines in which the patterns are not operators, or in which changes only affect the time.
LEFT_OUT = re.compile(
    r"^\s*(//|#|template|using|static_assert|\*)|operator|__builtin_prefetch|prefetch|->|assert\("
)
MEMORY = 8 << 30


@dataclass(frozen=True)
class Mutant:
    """One change of one line."""

    file: str
    line: int
    before: str
    after: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: `{self.before.strip()}` -> `{self.after.strip()}`"


def mutants_of(file: str, tests: tuple[str, ...]) -> Iterator[Mutant]:
    """Yield all mutants of a file."""
    for number, text in enumerate((PROJECT / KERNELS / file).read_text().splitlines(), 1):
        if LEFT_OUT.search(text):
            continue
        code = text.split("//", 1)[0]
        for pattern, instead in CHANGES:
            for place in re.finditer(pattern, code):
                changed = text[: place.start()] + instead + text[place.end() :]
                yield Mutant(file, number, text, changed, tests)


def chosen(count: int, only: str) -> list[Mutant]:
    """Return `count` mutants, spread evenly over the entries of SUBJECTS, and over the places of each entry."""
    subjects = [(files, tests) for files, tests in SUBJECTS.items() if any(only in file for file in files)]
    result = []
    for number, (files, tests) in enumerate(subjects):
        share = (number + 1) * count // len(subjects) - number * count // len(subjects)
        known = [mutant for file in files for mutant in mutants_of(file, tests)]
        result += [known[(2 * i + 1) * len(known) // (2 * share)] for i in range(share)]
    return result


class Build:
    """A copy of the sources, built for the oldest instruction set, and a package whose files link to it."""

    def __init__(self, directory: Path) -> None:
        self.source = directory / "source"
        self._build = directory / "build"
        shutil.rmtree(self.source, ignore_errors=True)
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True
        )
        for name in filter(None, listed.stdout.split("\0")):
            target = self.source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            # copy2 keeps the file's time, so unchanged files are not compiled again.
            shutil.copy2(PROJECT / name, target, follow_symlinks=False)
        for file in (file for files in SUBJECTS for file in files):
            (self.source / KERNELS / file).touch()  # an earlier run may have left objects of mutants
        pybind11 = subprocess.run(
            [sys.executable, "-m", "pybind11", "--cmakedir"], capture_output=True, text=True, check=True
        )
        options = {
            "CMAKE_BUILD_TYPE": "Debug",
            "CMAKE_CXX_FLAGS_DEBUG": "-O1",
            "MPSCNN_BUILD_PYTHON": "ON",
            "MPSCNN_INSTRUCTION_SETS": "baseline",
            "pybind11_DIR": pybind11.stdout.strip(),
            "Python_EXECUTABLE": sys.executable,
        }
        command = ["cmake", "-S", str(self.source), "-B", str(self._build), "-G", "Ninja"]
        subprocess.run(
            [*command, *(f"-D{name}={value}" for name, value in options.items())], check=True, stdout=2
        )
        if not self.make():
            sys.exit("the sources as they are cannot be built")
        package = directory / "package" / "mpscnn"
        shutil.rmtree(package, ignore_errors=True)
        package.mkdir(parents=True)
        for part in [*(self.source / "python" / "mpscnn").iterdir(), *self._build.glob("_core*.so")]:
            (package / part.name).symlink_to(part)
        self._environment = {**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}

    def make(self) -> bool:
        """Build the changed sources. Return False if they do not compile."""
        command = ["cmake", "--build", str(self._build), "--target", "_core"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def passes(self, tests: tuple[str, ...], seconds: int) -> bool:
        """Return True if these tests pass within `seconds` of processor time, which does not depend on other programs.

        A deadlock takes no processor time, so the tests must also end within ten times as many seconds of wall-clock
        time.
        """
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

        try:
            ran = subprocess.run(
                command,
                cwd=self.source,
                env=self._environment,
                capture_output=True,
                timeout=10 * seconds,
                check=False,
                preexec_fn=limit,
            )
        except subprocess.TimeoutExpired:
            return False
        return ran.returncode == 0


def processor_time() -> float:
    """Return the seconds of processor time that ended child processes have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print a line for each mutant, and then the score."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutants", type=int, default=3 * len(SUBJECTS))
    parser.add_argument("--only", default="", help="files whose names contain this")
    parser.add_argument("--directory", type=Path, default=PROJECT / "build" / "mutation")
    arguments = parser.parse_args()
    mutants = chosen(arguments.mutants, arguments.only)
    build = Build(arguments.directory.resolve())
    limits = {}
    for tests in {mutant.tests: None for mutant in mutants}:
        begin = processor_time()
        if not build.passes(tests, 1200):
            sys.exit(f"{' '.join(tests)} fails with the sources as they are")
        limits[tests] = 60 + 3 * round(processor_time() - begin)
    counts = dict.fromkeys(("killed", "survived", "not built"), 0)
    for mutant in mutants:
        path = build.source / KERNELS / mutant.file
        original = path.read_text()
        lines = original.split("\n")
        lines[mutant.line - 1] = mutant.after
        path.write_text("\n".join(lines))
        if not build.make():
            outcome = "not built"
        else:
            outcome = "survived" if build.passes(mutant.tests, limits[mutant.tests]) else "killed"
        path.write_text(original)
        counts[outcome] += 1
        print(f"{outcome}: {mutant}", flush=True)
    tried = counts["killed"] + counts["survived"]
    print(f"{counts['killed']} of {tried} killed; {counts['not built']} more do not compile")


if __name__ == "__main__":
    main()
