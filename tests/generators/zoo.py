"""Convert networks of public packages with random weights by from_torch, and write docs/zoo.md.

`python tests/generators/zoo.py` tries all packages that are installed; arguments choose packages. The outcomes are kept
in build/zoo.json: a run that was stopped goes on where it stopped, `--again refused` tries those again that were
refused, and `--again untimed` those without a time. Each network is tried in a process of its own, which may use
`--limit` processor seconds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import resource
import sys
import textwrap
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from generators.zoo_networks import PACKAGES, Entry  # noqa: E402

import mpscnn  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "zoo.md"
KEPT = ROOT / "build" / "zoo.json"
#: The largest error of a right network, relative to the largest magnitude of a result.
TOLERANCE = 1e-3
#: Networks with more parameters are left out.
MOST_PARAMETERS = 150_000_000
_TOO_LARGE = f"it has more than {MOST_PARAMETERS // 1_000_000} million parameters"
_MAX_REASON = 110
_RUNS = 3
#: Processor seconds of each run. The clock of a process may advance in ticks of 4 ms, so that calls are repeated.
_SECONDS_OF_A_RUN = 0.1
_WALL = 20  # seconds that may pass for each processor second, on a machine that does other work


@dataclass(frozen=True)
class Outcome:
    """The result for a network.

    `kind` is "right", "wrong", "refused", "slow" (stopped), or "left out". `error` is relative to the largest result,
    `ratio` is the time over torch's, `seconds` the processor seconds of the conversion, and `machine` where both were
    measured.
    """

    kind: str
    error: float | None = None
    ratio: float | None = None
    reason: str = ""
    seconds: float = 0.0
    machine: str = ""


# ---- Trying them -----------------------------------------------------------------------------------------------------


def tried(entry: Entry) -> Outcome:
    """Convert a network, and compare its results and its time with torch's. Both have one thread."""
    torch.manual_seed(0)
    try:
        module = entry.make().eval()
    except Exception as error:  # the package's own code may raise any error
        return Outcome("left out", reason=f"it cannot be made without more: {_line(error)}")
    if sum(one.numel() for one in module.parameters()) > MOST_PARAMETERS:
        return Outcome("left out", reason=_TOO_LARGE)
    x = torch.rand(entry.shape)
    try:
        with torch.no_grad():
            module(x)
    except Exception as error:  # the package's own code may raise any error
        return Outcome("left out", reason=f"torch cannot run it with {entry.shape}: {_line(error)}")
    begun = time.process_time()
    try:
        network = mpscnn.from_torch(module, x)
        program = network.compile(device="cpu", precision="float32")
    except mpscnn.Error as error:
        reason = _line(error).partition(": ")[2] or _line(error)
        kind = "wrong" if "does not compute what" in reason else "refused"
        return Outcome(kind, reason=reason, seconds=time.process_time() - begun)
    except Exception as error:  # any other error is a finding
        return Outcome("wrong", reason=f"{type(error).__name__}: {_line(error)}")
    seconds = time.process_time() - begun
    session = program.session(threads=1)
    given = np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy() if x.dim() == 4 else x.numpy())
    with torch.no_grad():
        theirs, ours = _minima(lambda: module(x), lambda: session.run(given))
    found = _error(network, session, given, module, x)
    if found is None or found <= TOLERANCE:
        return Outcome("right", found, ours / theirs, seconds=seconds, machine=_machine())
    if not (own := _error_of_torch(module, x)) <= TOLERANCE:
        return Outcome(
            "left out", reason=f"torch's results in float32 differ from those in float64 by {own:.2g}"
        )
    return Outcome("wrong", found, ours / theirs, seconds=seconds)


def _error(network: Any, session: Any, given: Any, module: Any, x: Any) -> float | None:
    """Return the largest error of all results, relative to the largest magnitude of each.

    The outputs of a detector are boxes and scores here, so that there is none to compare: from_torch compared them.
    """
    from torch.utils import _pytree as pytree

    found = session.run(given)
    ours = list(found.values()) if isinstance(found, dict) else [found]
    with torch.no_grad():
        leaves = pytree.tree_leaves(module(x))
    theirs = [one.float().numpy() for one in leaves if isinstance(one, torch.Tensor)]
    if network.source_ends or len(ours) != len(theirs):
        return None
    return max(_difference(a, b) for a, b in zip(ours, theirs, strict=True))


def _error_of_torch(module: Any, x: Any) -> float:
    """Return the error of torch's own results in float32, which is large if they are chosen by nearly equal scores."""
    from torch.utils import _pytree as pytree

    with torch.no_grad():
        single, double = pytree.tree_leaves(module(x)), pytree.tree_leaves(module.double()(x.double()))
    pairs = [(a, b) for a, b in zip(single, double, strict=True) if isinstance(a, torch.Tensor)]
    return max(_difference(a.float().numpy(), b.float().numpy()) for a, b in pairs)


def _difference(ours: Any, theirs: Any) -> float:
    """Return the difference of two results: images of mpscnn are NHWC, other arrays have torch's axes."""
    sides = [theirs.reshape(-1)]
    if ours.ndim == theirs.ndim == 4:
        sides.append(theirs.transpose(0, 2, 3, 1).reshape(-1))
    largest = max(float(np.abs(theirs).max()), 1e-30)
    return min(float(np.abs(ours.reshape(-1) - one).max()) for one in sides) / largest


def _machine() -> str:
    """Return the processor and the version of torch."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    named = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    processor = next(iter(named), platform.processor() or platform.machine())
    amx = " with AMX" if any(" amx_tile" in line for line in lines) else ""
    return f"{processor}{amx}, torch {torch.__version__.partition('+')[0]}"


def _minima(*calls: Callable[[], Any]) -> list[float]:
    """Return for each call the minimum of its runs' processor seconds. The runs alternate, after calls to warm up."""
    for call in calls:
        call()
    runs = [[_seconds_of_a_call(call) for call in calls] for _ in range(_RUNS)]
    return [min(seconds) for seconds in zip(*runs, strict=True)]


def _seconds_of_a_call(call: Callable[[], Any]) -> float:
    calls, begun = 0, time.process_time()
    while (passed := time.process_time() - begun) < _SECONDS_OF_A_RUN:
        call()
        calls += 1
    return passed / calls


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500]


def _child(entry: Entry, limit: int, end: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    torch.set_num_threads(1)
    try:
        outcome = tried(entry)
    except Exception as error:  # a finding, which the page states
        outcome = Outcome("wrong", reason=f"{type(error).__name__}: {_line(error)}")
    end.send(outcome)


def confined(entry: Entry, limit: int) -> Outcome:
    """Try a network in a process of its own, which may use `limit` processor seconds."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=_child, args=(entry, limit, there))
    process.start()
    there.close()
    try:
        if here.poll(limit * _WALL):
            return here.recv()
        ended = f"it was stopped after {limit * _WALL} s"
    except EOFError:
        process.join()
        ended = f"it was stopped after {limit} processor seconds"
        if process.exitcode not in (-24, -9):
            return Outcome("wrong", reason=f"the process ended with status {process.exitcode}")
    finally:
        process.kill()
        process.join()
    return Outcome("slow", reason=ended)


# ---- The page --------------------------------------------------------------------------------------------------------


def page(outcomes: dict[str, Outcome]) -> str:
    """Return the page. The keys are package/name."""
    made = {name: one for name, one in outcomes.items() if one.kind != "left out"}
    count = {
        kind: sum(one.kind == kind for one in made.values()) for kind in ("right", "wrong", "refused", "slow")
    }
    lines = [
        "# Networks of other packages",
        "",
        "After reading this page you know which networks of public packages `mpscnn.from_torch` converts.",
        "",
        f"`nox -s zoo` wrote this page: it made {len(made)} networks with random weights, converted them, and "
        f"compared their results with torch. {count['right']} are right, "
        f"{count['wrong']} are wrong, mpscnn refused {count['refused']} with the reason that the table gives, and "
        f"{count['slow']} were stopped at the limit of time. "
        "[torch.compile](torch_compile.md) runs refused networks as well: torch computes the operators that mpscnn "
        "does not support.",
        "",
        "A network's number is its time over that of torch (lower is better): the minimum "
        f"of {_RUNS} runs of at least {_SECONDS_OF_A_RUN} processor seconds on one thread, which alternate with those "
        "of torch. A time is missing where it was last measured in another way. "
        "An error is the largest difference, relative to the largest magnitude of a result. It is not given for "
        "detectors whose boxes mpscnn decodes itself: `from_torch` compared them. The conversion is in processor "
        "seconds, with the comparison that `from_torch` makes: it runs the module on 11 images and the network on 4. "
        "A machine that does other work changes both.",
        "",
    ]
    lines += [f"- {machine}: {', '.join(packages)}" for machine, packages in _machines(made).items()]
    for package in dict.fromkeys(name.partition("/")[0] for name in made):
        own = {name.partition("/")[2]: one for name, one in made.items() if name.startswith(f"{package}/")}
        lines += ["", f"## {package}", *_of_package(own)]
    if left := {name: one for name, one in outcomes.items() if one.kind == "left out"}:
        lines += ["", "## Left out", f"These {len(left)} networks were not converted.", ""]
        lines += _reasons({name: _shortened(one.reason) for name, one in left.items()})
    return "\n".join([*lines, ""])


def _of_package(outcomes: dict[str, Outcome]) -> list[str]:
    """Return the lines of a package: the right networks with their times, and a table of the others."""
    right = {name: one for name, one in outcomes.items() if one.kind == "right"}
    lines = []
    if right:
        facts = [f"{len(right)} networks are right"]
        if errors := {name: one.error for name, one in right.items() if one.error is not None}:
            worst = max(errors, key=lambda name: errors[name])
            facts.append(f"with errors of at most {errors[worst]:.0e} ({worst})")
        text = " ".join(facts)
        if seconds := sorted(one.seconds for one in right.values() if one.seconds):
            middle = seconds[len(seconds) // 2]
            text += f". Conversions take {seconds[0]:.1f} to {seconds[-1]:.1f} s (median {middle:.1f} s)"
        names = (f"{name} {_ratio(one)}".strip() for name, one in right.items())
        lines += [f"{text}:", "", f"{', '.join(names)}."]
    others = {name: _result(one) for name, one in outcomes.items() if one.kind != "right"}
    return lines + (["", *_reasons(others)] if others else [])


def _reasons(given: dict[str, str]) -> list[str]:
    """Return the lines of a table of networks by their reasons."""
    lines = ["| networks | reason |", "|---|---|"]
    for reason in dict.fromkeys(given.values()):
        lines.append(f"| {', '.join(name for name in given if given[name] == reason)} | {reason} |")
    return lines


def _machines(outcomes: dict[str, Outcome]) -> dict[str, list[str]]:
    """Return the packages whose times were measured on each machine."""
    found: dict[str, list[str]] = {}
    for name, outcome in outcomes.items():
        package = name.partition("/")[0]
        if outcome.machine and package not in found.setdefault(outcome.machine, []):
            found[outcome.machine].append(package)
    return found


def _result(outcome: Outcome) -> str:
    error = "" if outcome.error is None else f" ({outcome.error:.0e})"
    return f"{outcome.kind}{error}" + (f": {_escaped(outcome.reason)}" if outcome.reason else "")


def _shortened(reason: str) -> str:
    """Return the beginning of the reason why a network was left out, which may be a long message of its package."""
    return _escaped(textwrap.shorten(reason, _MAX_REASON, placeholder=" ..."))


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;")


def _ratio(outcome: Outcome) -> str:
    return "" if outcome.ratio is None else f"{outcome.ratio:.2f}"


def kept() -> dict[str, Outcome]:
    """Return the outcomes of earlier runs."""
    if not KEPT.exists():
        return {}
    return {name: Outcome(**one) for name, one in json.loads(KEPT.read_text("utf-8")).items()}


def _is_of(outcome: Outcome, kind: str) -> bool:
    """Return True for outcomes of a kind. "untimed" are right ones that another version of this program has timed."""
    return outcome.kind == kind or (kind == "untimed" and outcome.kind == "right" and not outcome.seconds)


def keep(outcomes: dict[str, Outcome]) -> None:
    """Write the outcomes for later runs."""
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps({name: asdict(one) for name, one in outcomes.items()}, indent=1), "utf-8")


def main() -> int:
    """Run the program. The exit status is 1 if a network is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"one of {', '.join(PACKAGES)}")
    parser.add_argument("--only", default="", help="try only networks whose name contains this")
    parser.add_argument(
        "--again", default="", metavar="KIND", help="try networks again that were refused, slow, untimed, ..."
    )
    parser.add_argument(
        "--limit", type=int, default=60, help="processor seconds for each network (default: 60)"
    )
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    outcomes = kept()
    try:
        for package in given.packages or PACKAGES:
            if find_spec(package) is None:
                print(f"{package} is not installed", file=sys.stderr)
                continue
            for entry in PACKAGES[package]():
                name = f"{entry.package}/{entry.name}"
                if given.only in name and (name not in outcomes or _is_of(outcomes[name], given.again)):
                    made = confined(entry, given.limit)
                    print(name, made, flush=True)
                    if made.kind != "slow" or given.again != "untimed":
                        outcomes[name] = made
                    keep(outcomes)
    finally:
        order = list(PACKAGES)
        names = sorted(outcomes, key=lambda name: order.index(name.partition("/")[0]))
        PAGE.write_text(page({name: outcomes[name] for name in names}), "utf-8")
    return 1 if any(one.kind == "wrong" for one in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
