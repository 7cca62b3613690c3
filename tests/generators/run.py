"""Try random networks on all ways in and out of mpscnn, and report each that is wrong, with its seed and reduced.

`python tests/generators/run.py --count 200` tries 200 networks, the ways in turns. `--first` is the first seed, and the
arguments are ways, such as `tflite onnx-free`. The exit status is 1 if a result is wrong, and 2 if a package is not
installed. A refusal is not wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from generators import sources, ways  # noqa: E402
from generators.programs import drawn, reduced  # noqa: E402

ALL = (*ways.WRITTEN, *sources.READ)


def found_by(way: str, seed: int, folder: Path) -> str:
    """Return what is wrong with the network of a seed by a way, with the reduced network."""
    if way in sources.READ:
        return sources.finding(sources.READ[way], seed, folder)
    judge = ways.WRITTEN[way]
    program = drawn(seed)
    found = ways.finding(judge, program, folder)
    if not found or found.startswith("refused"):
        return found
    small = reduced(program, lambda one: _is_wrong(ways.finding(judge, one, folder)))
    return f"{ways.finding(judge, small, folder)}\n{small}"


def _is_wrong(found: str) -> bool:
    return bool(found) and not found.startswith("refused")


def run(chosen: list[str], first: int, count: int) -> int:
    """Try networks, print a line for each finding and for each way, and return the number of wrong ones."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        for number in range(count):
            way, seed = chosen[number % len(chosen)], first + number // len(chosen)
            begun = time.process_time()
            try:
                found = found_by(way, seed, Path(name))
            except ways.MissingPackageError as error:
                raise ways.MissingPackageError(
                    f"{way} needs a package that is not installed: {error}"
                ) from error
            seconds[way] += int(1e3 * (time.process_time() - begun))
            kind = "wrong" if _is_wrong(found) else "refused" if found else "right"
            counts[way][kind] += 1
            if kind == "wrong":
                print(f"WRONG {way} seed {seed}: {found}", flush=True)
    for way in chosen:
        told = ", ".join(f"{counts[way][kind]} {kind}" for kind in ("right", "refused", "wrong"))
        print(f"{way}: {told}; {seconds[way] / 1e3:.1f} processor seconds")
    wrong = sum(one["wrong"] for one in counts.values())
    print(f"{count} networks from seed {first}: {wrong} wrong")
    return wrong


def main() -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"one of {', '.join(ALL)} (default: all)")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    if unknown := set(given.ways) - set(ALL):
        parser.error(f"unknown ways {', '.join(sorted(unknown))}; choose from {', '.join(ALL)}")
    warnings.simplefilter("ignore")
    try:
        return 1 if run(given.ways or list(ALL), given.first, given.count) else 0
    except ways.MissingPackageError as error:
        parser.error(f"{error}. `nox -s generators` installs all packages that the ways need.")


if __name__ == "__main__":
    sys.exit(main())
