"""Try a Linux wheel in a system without a compiler: Debian or, for musl, a small system with busybox. Must run as root.

    python .ci/try_wheel.py WHEEL ROOTS

ROOTS is a folder for the systems, which debootstrap and musl_system.py create. For musl, the environment must have
ziglang. A system for another processor runs through binfmt_misc and qemu-user-static; the script registers the emulator
if nothing has done so since the machine started. The script installs and imports the wheel, classifies a photo and
verifies the CPU engine. It ends with the error of the first step that fails, and with 3 if this machine cannot run the
wheel.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from musl_system import make_musl_system

ROOT = Path(__file__).resolve().parents[1]
SUITE = "bookworm"
#: Debian's name for the processor in the name of a wheel.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
COMPILERS = ("cc", "c++", "gcc", "g++", "clang")
FORMATS = Path("/proc/sys/fs/binfmt_misc")
PROGRAM = (
    "import time; start = time.perf_counter(); import mpscnn; print('import', time.perf_counter() - start)"
)


def not_tried(reason: str) -> None:
    """Exit with 3, which means neither success nor failure."""
    print(f"not tried: {reason}")
    sys.exit(3)


def runs_here(processor: str) -> bool:
    """Return true if the kernel runs programs for a processor, by itself or through qemu's static emulator."""
    if processor == platform.machine() or (FORMATS / f"qemu-{processor}").exists():
        return True
    registration = Path(f"/usr/lib/binfmt.d/qemu-{processor}.conf")
    if not registration.exists():
        return False
    if not (FORMATS / "register").exists():
        mount = ("mount", "-t", "binfmt_misc", "binfmt_misc", str(FORMATS))
        if subprocess.run(mount, check=False).returncode != 0:
            return False
    (FORMATS / "register").write_bytes(registration.read_bytes().strip())
    return True


def system(processor: str, roots: Path) -> Path:
    """Return a Debian system for a processor, with Python and without a compiler."""
    root = roots / f"{SUITE}-{ARCHITECTURES[processor]}"
    if not (root / "ready").exists():
        shutil.rmtree(root, ignore_errors=True)
        options = (
            "--variant=minbase",
            "--include=python3,python3-venv",
            f"--arch={ARCHITECTURES[processor]}",
        )
        subprocess.run(["debootstrap", *options, SUITE, str(root)], check=True)
        (root / "ready").touch()
    found = [name for name in COMPILERS if (root / "usr" / "bin" / name).exists()]
    if found:
        sys.exit(f"{root} has a compiler: {', '.join(found)}")
    return root


def musl_system(processor: str, debian: Path, roots: Path) -> Path:
    """Return a system with musl for a processor, made with parts of a Debian system."""
    root = roots / f"musl-{processor}"
    if not (root / "ready").exists():
        shutil.rmtree(root, ignore_errors=True)
        make_musl_system(processor, ARCHITECTURES[processor], debian, root)
        (root / "ready").touch()
    return root


def run(root: Path, *command: str) -> None:
    """Run a program in the system."""
    print("$", *command, flush=True)
    # pip's settings in the environment have paths of this machine.
    environment = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    subprocess.run(["chroot", str(root), *command], check=True, env=environment)


def main(wheel: Path, roots: Path) -> None:
    """Install and use the wheel."""
    python, _, tag = wheel.stem.split("-")[-3:]
    processor = next(name for name in ARCHITECTURES if tag.endswith(name))
    if os.geteuid() != 0:
        not_tried("only root can make and enter another system")
    if not runs_here(processor):
        not_tried(f"this machine runs no programs for {processor}: install qemu-user-static with binfmt_misc")
    root = system(processor, roots)
    version = f"{python[2]}.{python[3:]}"
    if not (root / "usr" / "bin" / f"python{version}").exists():
        not_tried(f"Debian {SUITE} has no Python {version}")
    musl = "musllinux" in tag
    if musl:
        root = musl_system(processor, root, roots)
    place = root / "try"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    # This machine downloads the wheel's dependencies, because the other system has no network.
    download = (
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--only-binary",
        ":all:",
        "--python-version",
        version,
    )
    # pip does not know that a platform runs the wheels of older ones.
    older = (
        [f"musllinux_1_{minor}_{processor}" for minor in (1, 2)]
        if musl
        else [f"manylinux_2_{minor}_{processor}" for minor in range(17, 29)] + [f"manylinux2014_{processor}"]
    )
    platforms = [f"--platform={name}" for name in sorted({*tag.split("."), *older})]
    subprocess.run([*download, *platforms, "-d", str(place), f"{wheel}[cli]"], check=True)
    shutil.copy(ROOT / "python" / "mpscnn" / "samples" / "photos" / "cat.jpg", place)
    run(root, "python3", "-m", "venv", "/try/venv")
    install = ("/try/venv/bin/pip", "install", "-q", "--no-index", "--find-links", "/try")
    run(root, *install, f"/try/{wheel.name}[cli]")
    run(root, "/try/venv/bin/python", "-c", PROGRAM)
    run(root, "/try/venv/bin/mpscnn", "classify", "/try/cat.jpg")
    run(root, "/try/venv/bin/mpscnn", "verify", "--device", "cpu")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
