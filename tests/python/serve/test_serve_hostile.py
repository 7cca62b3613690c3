"""Hostile clients and bodies, up to 20 MB each: other clients get their answers soon, and the memory is bounded.

The attacks are scripts next to the source tree. Each script attacks a service of its own, all at the same time.
Processor seconds are judged, which a busy machine does not change: how long the event loop works in one turn, and how
long another thread keeps Python's global lock. The attacks need 25 processor seconds, so they are in the full tier.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from serving import require_packages, serving
from systems import needs_proc

require_packages()

# The scripts read the memory of the service from /proc.
pytestmark = [pytest.mark.full, needs_proc]

#: The longest stretch of a thread in processor seconds. A client may wait 0.2 s for an answer to a request for health.
LONGEST = 0.1
#: MB that the service may need in addition while it is attacked.
MEMORY = 500
#: The same for photos of 20 million pixels.
PHOTO_MEMORY = 2_000
#: An attack is judged by the best of so many attempts. Noise of the machine passes, a defect does not.
ATTEMPTS = 3
TOKEN = "tok"
MODEL = "cifar10_mobilenet_v2"
LINE = re.compile(r"fails=(\d+) rss (\d+)->\d+ peak (\d+)MB")
#: The code that the service runs first. uvloop has no method for one turn, so Python's own event loop takes its place.
RECORD = "import sys; sys.path.append({folder!r}); sys.modules['uvloop'] = None; import longest_stretches; "
RECORD += "longest_stretches.record({log!r})"
#: The changes of the scripts, which save processor time. Connections are held for a second, and health is asked less
#: often. Of the bodies of each kind (JSON, forms, photos), one is sent by four clients. Photos have 20 million pixels,
#: two clients send the same WebP, and only a JPEG photo is drawn on.
SHORTER = {
    "time.sleep(.01)\n    def __exit__": "time.sleep(.03)\n    def __exit__",
    "time.time()-t<secs": "time.time()-t<min(secs,1.2)",
    "time.time()-t<8": "time.time()-t<0.6",
    "if which=='pipe'": "if which",
    "*10000000,b": "*1000000,b",
    "*1000000,b'',8,6": "*200000,b'',8,6",
    "attack(f'{k}',4,": "attack(k,4 if k in ('floats','form_many','photo_zero') else 1,",
    "[790,64,64,3]": "[79,64,64,3]",
    "9707519": "970751",
    "406": "100",
    "*1500000,b'',4,20": "*200000,b'',4,20",
    "n=320;": "n=100;",
    "attack(f'320 images {len(data)/1e6:.1f}MB',1,lambda: post(INF,j+data,"
    "b'Inference-Header-Content-Length: %d\\r\\n'%len(j))); ": "",
    "7000,7000": "4500,4500",
    "attack(f'{nm} {len(b)//1000}kB',1,lambda: post(b'/v1/classify',b)); attack(nm,4,": "attack(nm,1+(nm=='webp7000'),",
    "attack(nm+' drawn',4,": "nm=='jpeg7000' and attack(nm+' drawn',1,",
}


@dataclass(frozen=True)
class Group:
    """One run of a script, and the limits of its attacks."""

    script: str
    kind: str
    memory: int = MEMORY
    options: tuple[str, ...] = ()


GROUPS = {
    "bodies": Group("serve.py", "bodies"),
    "photos": Group("serve.py", "images", PHOTO_MEMORY),
    "connections": Group("serve.py", "conn", options=("--deadline", "1")),
    "heads and pipelines": Group("serve_header_memory/heads.py", "head"),
}


@dataclass(frozen=True)
class Attack:
    """The line that a script prints for an attack, and the stretches of the service's threads meanwhile."""

    line: str
    stretches: list[str]

    def is_harmless(self, group: Group) -> bool:
        """Return True if the attack neither delays health requests nor takes much memory."""
        found = LINE.search(self.line)
        assert found is not None
        failed, before, peak = map(int, found.groups())
        longest = max((float(text.rpartition(" ")[2]) for text in self.stretches), default=0.0)
        return not failed and peak - before < group.memory and longest < LONGEST


@pytest.fixture(scope="module")
def hostile(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the scripts, with the places that they leave open, and with shorter attacks."""
    source = shared / "cases" / "hostile"
    if not source.is_dir():
        pytest.skip("there are no scripts of attacks beside the source tree")
    copy = tmp_path_factory.mktemp("hostile")
    (copy / "w").mkdir()
    shortened = set()
    for path in (*sorted(source.glob("serve*/*.py")), source / "serve.py"):
        text = path.read_text("utf-8").replace("SCRATCH", str(copy))
        for longer, shorter in SHORTER.items():
            shortened.update({longer} if longer in text else ())
            text = text.replace(longer, shorter)
        target = copy / path.relative_to(source)
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, "utf-8")
    assert shortened == set(SHORTER)
    return copy


def attacks(hostile: Path, name: str) -> list[Attack]:
    """Run a group of attacks on a new service."""
    group, log = GROUPS[name], hostile / f"{name}.log"
    log.touch()
    folder = Path(__file__).parents[1]
    patch = RECORD.format(folder=str(folder), log=str(log))
    script = hostile / group.script
    made: list[Attack] = []
    with ExitStack() as ending:
        service = ending.enter_context(
            serving(MODEL, "--device", "cpu", "--token", TOKEN, *group.options, patch=patch)
        )
        port = service.place[1]
        (hostile / "w" / f"srv{port}.pid").write_text(str(service.process.pid))
        process = ending.enter_context(
            subprocess.Popen(
                [sys.executable, script.name, str(port), group.kind],
                cwd=script.parent,
                env={**os.environ, "TOK": TOKEN, "MODEL": MODEL},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stretches = ending.enter_context(log.open(encoding="utf-8"))
        stretches.read()  # the service starts
        assert process.stdout is not None
        made += [Attack(line.rstrip(), stretches.readlines()) for line in process.stdout if LINE.search(line)]
        assert process.wait() == 0
    assert made, "the script has printed no attack"
    return made


@pytest.fixture(scope="module")
def first_attempts(hostile: Path) -> Iterator[dict[str, Future[list[Attack]]]]:
    with ThreadPoolExecutor(len(GROUPS)) as pool:
        yield {name: pool.submit(attacks, hostile, name) for name in GROUPS}


@pytest.mark.parametrize("name", GROUPS)
def test_attacks(first_attempts: dict[str, Future[list[Attack]]], hostile: Path, name: str) -> None:
    made = first_attempts[name].result()
    harmful: dict[int, Attack] = dict(enumerate(made))
    for attempt in range(ATTEMPTS):
        tried = made if attempt == 0 else attacks(hostile, name)
        harmful = {number: tried[number] for number in harmful if not tried[number].is_harmless(GROUPS[name])}
        if not harmful:
            return
    raise AssertionError("\n".join(f"{one.line}\n{''.join(one.stretches)}" for one in harmful.values()))


def test_a_stretch_of_each_kind_is_recorded(tmp_path: Path) -> None:
    """A turn of the event loop and a thread that keeps Python's global lock are seen, and waiting is not."""
    log = tmp_path / "log"
    program = f"""
import sys; sys.path.append({str(Path(__file__).parents[1])!r})
import asyncio, hashlib, threading, time
import longest_stretches
longest_stretches.record({str(log)!r})
def work():
    begun = time.thread_time()
    while time.thread_time() < begun + 0.3: pass
def keep():
    time.sleep(0.3)
    sorted(range(3_000_000), key=(0).__rsub__)
async def main():
    await asyncio.sleep(0.3)
    thread = threading.Thread(target=keep); thread.start()
    await asyncio.to_thread(thread.join)
    work()
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    found: dict[str, float] = {}
    for line in log.read_text("utf-8").splitlines():
        thread, _, seconds = line.rpartition(": ")
        found[thread] = max(found.get(thread, 0.0), float(seconds))
    assert found["a thread"] > 0.1
    assert 0.3 <= found["event loop"] < 0.6
