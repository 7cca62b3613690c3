"""Run each fuzzer of C++ in BUILD for some seconds, on a corpus next to BUILD: `fuzz.py BUILD SECONDS`.

With `--python`, run the fuzzers of files in tests/fuzz, which need the package. They choose inputs by code coverage if
Atheris is installed, too.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

FUZZERS = Path(__file__).resolve().parents[1] / "tests" / "fuzz"


def run(*command: str | Path) -> None:
    """Run a command in the top directory of the sources."""
    subprocess.run([str(word) for word in command], cwd=FUZZERS.parents[1], check=True)


def run_cpp(build: Path, corpora: Path, seconds: str) -> None:
    """Run the programs of libFuzzer."""
    run(sys.executable, FUZZERS / "seeds.py", corpora)
    for source in sorted(FUZZERS.glob("*.cpp")):
        corpus = corpora / source.stem
        corpus.mkdir(parents=True, exist_ok=True)
        run(
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


def run_python(corpora: Path, seconds: str) -> None:
    """Run the fuzzers of files, without and with Atheris."""
    guided = importlib.util.find_spec("atheris") is not None
    if not guided:
        print("this Python has no wheel of atheris: its fuzzers change files without looking at coverage")
    for target in sorted(FUZZERS.glob("*_target.py")):
        name = target.stem.removesuffix("_target")
        options = (name, f"--seconds={seconds}", f"--artifacts={corpora}")
        for choice in ((), ("--atheris",)) if guided else ((),):
            run(sys.executable, FUZZERS / "file_fuzzer.py", *options, *choice)


def main() -> None:
    """Run the fuzzers that the command line asks for."""
    if len(sys.argv) < 3 or sys.argv[3:] not in ([], ["--python"]):
        sys.exit(__doc__)
    build = Path(sys.argv[1]).resolve()
    corpora = build.parent / "corpus"
    if sys.argv[3:]:
        run_python(corpora, sys.argv[2])
    else:
        run_cpp(build, corpora, sys.argv[2])


if __name__ == "__main__":
    main()
