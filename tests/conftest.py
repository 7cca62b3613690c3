"""Configure all tests: the profiles of hypothesis, the environment, fixtures, and data outside of the project."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import re
import runpy
import shutil
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from needed_packages import needs
from tiers import in_ci_only

import mpscnn

TESTS = Path(__file__).resolve().parent
PROJECT = TESTS.parent

# Every run on every machine draws the same examples. There is no deadline, because a busy machine is not a defect.
settings.register_profile(
    "default",
    max_examples=30,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("quick", parent=settings.get_profile("default"), max_examples=10)
settings.register_profile("full", parent=settings.get_profile("default"), max_examples=1000)
settings.load_profile("default")  # choose another one by pytest --hypothesis-profile=full


# Environment variables that would change what commands print or which models they find.
NOT_FOR_TESTS = "COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "MPSCNN_MODELS"


def pytest_configure(config: pytest.Config) -> None:
    for variable in NOT_FOR_TESTS:
        os.environ.pop(variable, None)
    # Some tests start programs in other directories, where relative paths would be wrong.
    if places := os.environ.get("PYTHONPATH"):
        os.environ["PYTHONPATH"] = os.pathsep.join(
            str(Path(place).absolute()) for place in places.split(os.pathsep) if place
        )
    # Tests leave the user's cache as it is. Workers inherit the folder from the process that starts them.
    if "MPSCNN_CACHE" not in os.environ:
        folder = tempfile.mkdtemp(prefix="mpscnn-cache-")
        os.environ["MPSCNN_CACHE"] = folder
        config.add_cleanup(functools.partial(shutil.rmtree, folder, ignore_errors=True))
    # The device that "auto" chooses in a test must not depend on the machine.
    os.environ["MPSCNN_DEVICE"] = config.getoption("--device")
    # A shell's background jobs ignore Ctrl-C. The programs that tests start and interrupt would ignore it, too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from visiting the tests themselves, which live until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


#: What a docstring says about a test that uses more than a processor second.
COSTS = re.compile(r"\btakes? (a second|seconds)\b.*\b(since|because)\b", re.DOTALL)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """With --costs, fail a test that uses more than a processor second and does not say why.

    Its ended child processes count. Seconds on the clock would depend on what else the machine does.
    """
    before = sum(os.times()[:4])
    result = yield
    spent = sum(os.times()[:4]) - before
    text = getattr(getattr(item, "function", None), "__doc__", None) or ""
    if spent > 1 and item.config.getoption("--costs") and not COSTS.search(text):
        pytest.fail(
            f"this test used {spent:.1f} processor seconds: make it cheaper, or let its docstring say "
            '"This takes a second, since ..."'
        )
    return result


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = []
    if (seed := config.getoption("--shuffle")) is not None:
        lines.append(f"the order of tests is random: --shuffle={seed}")
    backends = mpscnn.build_config()["backends"]
    if "metal" not in backends:
        lines.append(
            f"tests/metal is not collected: this build has the engines {backends}; nox -s metal builds one with Metal"
        )
    return lines


@pytest.fixture(scope="session")
def generator() -> dict[str, Any]:
    """Return the global names of docs/generate: `files`, and the modules that write files."""
    return runpy.run_path(str(PROJECT / "docs" / "generate"))


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Return true in the full tier, where a test that draws cases draws many of each kind."""
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the top directory of the source tree."""
    return PROJECT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the directory with real models, photos and data sets next to the source tree. Skip the test without it."""
    directory = PROJECT.parent / "shared"
    if not directory.is_dir():
        pytest.skip("there is no directory 'shared' with models, photos and data sets beside the source tree")
    return directory


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--ci", action="store_true", help="run the tests of the tier 'ci' instead of the default tier"
    )
    parser.addoption(
        "--with",
        dest="packages",
        metavar="PACKAGE,...",
        help="with --ci: also run the tests of the default tier that need one of these packages",
    )
    parser.addoption("--full", action="store_true", help="run the tests of all tiers")
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run files, and the tests in them, in random order"
    )
    parser.addoption(
        "--costs",
        action="store_true",
        help="fail tests that use more than a processor second, unless their docstrings say why",
    )
    parser.addoption(
        "--device", default="cpu", choices=["cpu", "metal"], help="what the tests of single operations run on"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--device") == "metal":
        for item in items:
            if mark := item.get_closest_marker("cpu"):
                item.add_marker(pytest.mark.skip(reason=mark.args[0]))
    if (seed := config.getoption("--shuffle")) is not None:
        shuffle(items, seed)
    if config.getoption("--full"):
        return
    tier = "ci" if config.getoption("--ci") else "default"
    packages = tuple(filter(None, (config.getoption("packages") or "").split(",")))
    wanted = [
        tier_of(item) == tier
        or (tier_of(item) == "ci" and is_named(item.path, config))
        or (packages and tier_of(item) == "default" and needs(item, packages))
        for item in items
    ]
    config.hook.pytest_deselected(
        items=[item for item, is_wanted in zip(items, wanted, strict=True) if not is_wanted]
    )
    items[:] = itertools.compress(items, wanted)


def shuffle(items: list[pytest.Item], seed: int) -> None:
    """Put files, and the tests in each file, in a random order. The tests of a file stay together."""
    random = Random(seed)
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    order = list(files.values())
    random.shuffle(order)
    for tests in order:
        random.shuffle(tests)
    items[:] = itertools.chain.from_iterable(order)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import the files of the tier "ci" in the default tier, unless the command line names them."""
    if config.getoption("--ci") or config.getoption("--full") or is_named(collection_path, config):
        return None
    return True if is_in_ci_only(collection_path) else None


def is_named(path: Path, config: pytest.Config) -> bool:
    """Return true if the command line names a file of tests, or its folder and the folder is in the tier "ci"."""
    named = (Path(argument.split("::")[0]).resolve() for argument in config.args)
    return any(path == place or (place in path.parents and is_in_ci_only(place)) for place in named)


def is_in_ci_only(path: Path) -> bool:
    """Return true if the tier "ci" has this file or folder."""
    return path.is_relative_to(TESTS) and in_ci_only(path.relative_to(TESTS).as_posix())


def tier_of(item: pytest.Item) -> str:
    """Return the tier of a test: "default", "ci" or "full"."""
    if item.get_closest_marker("full"):
        return "full"
    return "ci" if item.get_closest_marker("ci") or is_in_ci_only(item.path) else "default"
