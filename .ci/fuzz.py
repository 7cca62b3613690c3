"""Run each fuzzer of C++ in BUILD for some seconds, on a corpus next to BUILD: `fuzz.py BUILD SECONDS`.

Most of the time goes to short inputs, which take microseconds. A tenth goes to long ones, which show quadratic time. As
many fuzzers as this process has cores run at once.

With `--until EXECUTIONS`, run them again and again in turn, until each has executed so many inputs in all runs
together. The counts are in executions.json next to the corpus, so the command goes on where it was ended.

With `--python`, run the fuzzers of files in tests/fuzz, which need the package. If Atheris is installed, they choose
inputs by code coverage in a second run, whose executions are counted in the same file.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FUZZERS = Path(__file__).resolve().parents[1] / "tests" / "fuzz"

#: The line of libFuzzer's statistics with the number of inputs that it executed.
EXECUTED = re.compile(r"^stat::number_of_executed_units:\s*(\d+)$", re.MULTILINE)

#: The longest short input in bytes. These fuzzers read a few bytes for each decision; the others read texts.
SHORT = {"photo_fuzz": 64, "graph_fuzz": 128, "arguments_fuzz": 512}
SHORT_TEXT = 4096
LONG = 1_000_000

#: A run with long inputs starts with so many inputs of the corpus, each of which can take a tenth of a second.
FIRST_LONG = 50

#: Allocations take most of the time of AddressSanitizer, so it keeps short traces and little freed memory. Each
#: exception makes it walk over its copy of the stack, whose largest size is set to the smallest.
SANITIZER = {
    "ASAN_OPTIONS": "malloc_context_size=6:quarantine_size_mb=32:min_uar_stack_size_log=16:max_uar_stack_size_log=16"
}


def run(*command: str | Path) -> None:
    """Run a command in the top directory of the sources."""
    subprocess.run([str(word) for word in command], cwd=FUZZERS.parents[1], check=True)


def run_cpp(build: Path, corpora: Path, seconds: float, until: int) -> None:
    """Run the programs of libFuzzer once, or until each has executed `until` inputs. 0: run them once."""
    run(sys.executable, FUZZERS / "seeds.py", corpora)
    counter = Counter(corpora / "executions.json")

    def step(name: str) -> bool:
        """Run a fuzzer with short and with long inputs. Return True if it must run again."""
        if counter.left(name, until) == 0:
            return False
        corpus = corpora / name
        corpus.mkdir(parents=True, exist_ok=True)
        length = SHORT.get(name, SHORT_TEXT)
        short = libfuzzer_options(corpora, name, length, 0.9 * seconds)
        count(name, (build / name, *short, f"-runs={counter.left(name, until)}", corpus), counter)
        files = sorted(corpus.iterdir())
        first = random.sample(files, min(len(files), FIRST_LONG))
        if first:
            names = ",".join(map(str, first))
            long = libfuzzer_options(corpora, name, LONG, 0.1 * seconds)
            count(name, (build / name, *long, f"-seed_inputs={names}"), counter)
        return counter.left(name, until) > 0

    in_turn(sorted(source.stem for source in FUZZERS.glob("*.cpp")), step, again=until > 0)


def libfuzzer_options(corpora: Path, name: str, length: int, seconds: float) -> tuple[str, ...]:
    """Return libFuzzer's options for inputs of at most `length` bytes."""
    return (
        f"-max_total_time={max(1, round(seconds))}",
        "-timeout=300",  # of wall time on a loaded machine. The fuzzers have stricter limits of processor time.
        f"-max_len={length}",
        "-print_final_stats=1",
        "-verbosity=0",
        "-detect_leaks=0",  # AddressSanitizer looks for leaks when the run ends
        "-reload=0",
        "-entropic=0",  # its statistics take a fifth of the time of programs with much code
        f"-artifact_prefix={corpora}/{name}-{length}-",
        f"-dict={FUZZERS / 'model_file.dict'}",
    )


def in_turn(names: Sequence[str], step: Callable[[str], bool], again: bool) -> None:
    """Call a step for each name; if `again`, until each has returned False. As many run at once as there are cores.

    Then steps of the same name run at once, too, if there are more cores than names. After an error, the running steps
    end, and no other begins.
    """
    waiting = deque(names)
    lock = threading.Lock()

    def next_name() -> str | None:
        with lock:
            name = waiting.popleft() if waiting else None
            if name and again:
                waiting.append(name)
            return name

    def forget(*done: str) -> None:
        with lock:
            for name in {*done} & {*waiting}:
                waiting.remove(name)

    def work() -> None:
        try:
            while name := next_name():
                if not step(name):
                    forget(name)
        except BaseException:
            forget(*names)
            raise

    with ThreadPoolExecutor(cores()) as pool:
        for future in [pool.submit(work) for _ in range(cores())]:
            future.result()


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


class Counter:
    """The numbers of executions of each fuzzer in all runs, in a file."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._lock = threading.Lock()

    def left(self, name: str, until: int) -> int:
        """Return how many executions are left. -1: any number."""
        return max(0, until - counts_in(self._record).get(name, 0)) if until else -1

    def add(self, name: str, executed: int) -> None:
        """Add executions to a fuzzer's number."""
        with self._lock:
            counts = counts_in(self._record)
            counts[name] = counts.get(name, 0) + executed
            replacement = self._record.with_suffix(".part")
            replacement.write_text(json.dumps(counts, indent=1, sort_keys=True))
            replacement.replace(self._record)
            print(f"{name}: {counts[name]:,} executions in all runs", flush=True)


def count(name: str, command: Sequence[str | Path], counter: Counter) -> None:
    """Run a fuzzer and count its executions. An error ends this program."""
    ended = subprocess.run(
        [str(word) for word in command],
        cwd=FUZZERS.parents[1],
        env={**SANITIZER, **os.environ},
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    print(ended.stderr, end="", file=sys.stderr)
    ended.check_returncode()
    found = EXECUTED.search(ended.stderr)
    if found is None:
        sys.exit(f"{name} did not say how many inputs it has executed")
    counter.add(name, int(found[1]))


def counts_in(record: Path) -> dict[str, int]:
    """Return the number of executions of each fuzzer in all runs."""
    counts: dict[str, int] = json.loads(record.read_text()) if record.exists() else {}
    return counts


def run_python(corpora: Path, seconds: str) -> None:
    """Run the fuzzers of files, without and with Atheris."""
    guided = importlib.util.find_spec("atheris") is not None
    if not guided:
        print("this Python has no wheel of atheris: its fuzzers change files without looking at coverage")
    for target in sorted(FUZZERS.glob("*_target.py")):
        name = target.stem.removesuffix("_target")
        options = (name, f"--seconds={seconds}", f"--artifacts={corpora}")
        run(sys.executable, FUZZERS / "file_fuzzer.py", *options)
        if guided:
            guided_run = (sys.executable, FUZZERS / "file_fuzzer.py", *options, "--atheris")
            count(target.stem, guided_run, Counter(corpora / "executions.json"))


def main() -> None:
    """Run the fuzzers that the command line asks for."""
    options = sys.argv[3:]
    until = (
        int(options[1]) if options[:1] == ["--until"] and len(options) == 2 and options[1].isdigit() else 0
    )
    if len(sys.argv) < 3 or (options not in ([], ["--python"]) and until == 0):
        sys.exit(__doc__)
    build = Path(sys.argv[1]).resolve()
    corpora = build.parent / "corpus"
    if options == ["--python"]:
        run_python(corpora, sys.argv[2])
    else:
        run_cpp(build, corpora, float(sys.argv[2]), until)


if __name__ == "__main__":
    main()
