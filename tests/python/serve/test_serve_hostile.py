"""Hostile clients and bodies, up to 20 MB each: other clients get their answers soon, and the memory is bounded.

The attacks are scripts next to the source tree. Each prints a line with the longest delay of a health request. A delay
of 0.2 s is judged, so these tests need a machine that is idle. They are in the full tier.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Service, require_packages, serving
from systems import needs_proc

from mpscnn._private.processors import available_processors

require_packages()

# The scripts read the memory of the service from /proc.
pytestmark = [pytest.mark.full, needs_proc]

#: The longest delay of a health request in seconds.
DELAY = 0.2
#: MB that the service may need in addition while it is attacked, but not for photos.
MEMORY = 500
#: An attack is judged by the best of so many attempts. Noise of the machine passes, a defect does not.
ATTEMPTS = 3
TOKEN = "tok"
MODEL = "cifar10_mobilenet_v2"
LINE = re.compile(r"max=([\d.]+)s fails=(\d+) rss (\d+)->\d+ peak (\d+)MB")

#: The arguments of the script `serve.py`. Its bodies are attacked by name.
BODIES = (
    "lists nested nested450 dicts objs keys inputs params outputs floats floats_ok floats_uint8 floats_long exp "
    "escapes texts ws zeros string id bigint unknown bytes_empty bytes_ones binary_ok binary_wide uint8_large "
    "form_many form_empty form_cd form_dashes form_crlf form_cr-- form_hdr form_hdrs form_val form_quote form_pre "
    "form_sp form_xx form_1b form_long_b photo_junk photo_zero opt_keys"
)


@pytest.fixture(scope="module")
def hostile(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the scripts, with the places that they leave open."""
    source = shared / "cases" / "hostile"
    if not source.is_dir():
        pytest.skip("there are no scripts of attacks beside the source tree")
    copy = tmp_path_factory.mktemp("hostile")
    (copy / "w").mkdir()
    for path in (*sorted(source.glob("serve*/*.py")), source / "serve.py"):
        text = (
            path.read_text("utf-8").replace("SCRATCH", str(copy)).replace("HERE/svc.py", f"{copy}/serve.py")
        )
        target = copy / path.relative_to(source)
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, "utf-8")
    return copy


@pytest.fixture
def idle() -> None:
    cores, load = available_processors(), os.getloadavg()[0]
    if load > 2 * cores:
        pytest.skip(f"seconds are judged, and the machine is busy: its load is {load:.1f} on {cores} cores")


@pytest.fixture(scope="module")
def running(hostile: Path) -> Iterator[Service]:
    with serving(MODEL, "--device", "cpu", "--token", TOKEN) as started:
        (hostile / "w" / f"srv{started.place[1]}.pid").write_text(str(started.process.pid))
        yield started


@pytest.fixture
def service(idle: None, running: Service) -> Service:
    return running


def run(script: Path, *arguments: str, text: str = "") -> list[str]:
    """Return the lines that a script prints."""
    done = subprocess.run(
        [sys.executable, script.name, *arguments],
        cwd=script.parent,
        input=text,
        env={**os.environ, "TOK": TOKEN, "MODEL": MODEL},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout.splitlines()


def is_harmless(line: str, memory: int) -> bool:
    found = LINE.search(line)
    assert found is not None
    delay, failed, before, peak = map(float, found.groups())
    return delay < DELAY and not failed and peak - before < memory


def attack(service: Service, script: Path, *arguments: str, memory: int = MEMORY) -> None:
    """Run a script until each of its attacks was harmless once, at most `ATTEMPTS` times."""
    harmful: dict[int, str] = {}
    for attempt in range(ATTEMPTS):
        lines = [line for line in run(script, str(service.place[1]), *arguments) if LINE.search(line)]
        assert lines, "the script has printed no delay"
        harmful = {
            number: line
            for number, line in enumerate(lines)
            if not is_harmless(line, memory) and (not attempt or number in harmful)
        }
        if not harmful:
            return
    raise AssertionError("\n".join(harmful.values()))


@pytest.mark.parametrize("body", BODIES.split())
def test_bodies(service: Service, hostile: Path, body: str) -> None:
    attack(service, hostile / "serve.py", "bodies", body)


def test_all_bodies_of_the_script_are_walked(hostile: Path) -> None:
    text = (hostile / "serve.py").read_text("utf-8").partition("def imgs")[0]
    found = set(re.findall(r"B\['([^']+)'\]", text)) | set(re.findall(r"\('(bytes_\w+)'", text))
    assert found == set(BODIES.split())


def test_connections(service: Service, hostile: Path) -> None:
    attack(service, hostile / "serve.py", "conn")


def test_large_photos(service: Service, hostile: Path) -> None:
    attack(service, hostile / "serve.py", "images", memory=5_000)


@pytest.mark.parametrize("kind", ["head", "pipe"])
def test_clients_without_a_token(service: Service, hostile: Path, kind: str) -> None:
    attack(service, hostile / "serve_header_memory" / "heads.py", kind)


def test_threads_while_numbers_are_read(idle: None, hostile: Path) -> None:
    """No step of the parser holds Python's global lock for long."""
    bodies = "floats floats_ok floats_uint8 floats_long exp texts bigint unknown"
    script = hostile / "serve_json_numbers" / "gil.py"
    gaps: dict[str, float] = {}
    for _ in range(ATTEMPTS):
        for line in run(script, text=bodies):
            found = re.fullmatch(r"(\w+) .* longest gap ([\d.]+)s", line)
            assert found is not None, line
            gaps[found[1]] = min(gaps.get(found[1], math.inf), float(found[2]))
    assert sorted(gaps) == sorted(bodies.split())
    assert max(gaps.values()) < DELAY, gaps
