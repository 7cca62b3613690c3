"""Run each fuzzer of C++ in BUILD for some seconds, on a corpus next to BUILD: `fuzz.py BUILD SECONDS`.

With `--until EXECUTIONS`, run each fuzzer of C++ again and again for that time, until it has executed so many inputs in
all runs together. The counts are in executions.json next to the corpus, so the command goes on where it was ended.

With `--python`, run the fuzzers of files in tests/fuzz, which need the package. If Atheris is installed, they choose
inputs by code coverage in a second run, whose executions are counted in the same file.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FUZZERS = Path(__file__).resolve().parents[1] / "tests" / "fuzz"

#: The line of libFuzzer's statistics with the number of inputs that it executed.
EXECUTED = re.compile(r"^stat::number_of_executed_units:\s*(\d+)$", re.MULTILINE)


def run(*command: str | Path) -> None:
    """Run a command in the top directory of the sources."""
    subprocess.run([str(word) for word in command], cwd=FUZZERS.parents[1], check=True)


def run_cpp(build: Path, corpora: Path, seconds: str, until: int) -> None:
    """Run the programs of libFuzzer once, or until each has executed `until` inputs."""
    run(sys.executable, FUZZERS / "seeds.py", corpora)
    for source in sorted(FUZZERS.glob("*.cpp")):
        corpus = corpora / source.stem
        corpus.mkdir(parents=True, exist_ok=True)
        command = (
            build / source.stem,
            f"-max_total_time={seconds}",
            "-timeout=60",  # the fuzzers have stricter limits, by the size of each input
            "-max_len=1000000",
            "-print_final_stats=1",
            "-verbosity=0",
            f"-artifact_prefix={corpora}/",
            f"-dict={FUZZERS / 'model_file.dict'}",
            corpus,
        )
        run_until(command, source.stem, corpora, until)


def run_until(command: Sequence[str | Path], name: str, corpora: Path, until: int) -> None:
    """Run a fuzzer in steps, and count its executions in a file, until they are `until`. 0: run it once."""
    record = corpora / "executions.json"
    once = until == 0
    while once or counts_in(record).get(name, 0) < until:
        once = False
        ended = subprocess.run(
            [str(word) for word in command],
            cwd=FUZZERS.parents[1],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        print(ended.stderr, end="", file=sys.stderr)
        ended.check_returncode()
        counts = counts_in(record)
        found = EXECUTED.search(ended.stderr)
        if found is None:
            sys.exit(f"{name} did not say how many inputs it has executed")
        counts[name] = counts.get(name, 0) + int(found[1])
        replacement = record.with_suffix(".part")
        replacement.write_text(json.dumps(counts, indent=1, sort_keys=True))
        replacement.replace(record)
        print(f"{name}: {counts[name]:,} executions in all runs", flush=True)


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
            run_until(
                (sys.executable, FUZZERS / "file_fuzzer.py", *options, "--atheris"), target.stem, corpora, 0
            )


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
        run_cpp(build, corpora, sys.argv[2], until)


if __name__ == "__main__":
    main()
