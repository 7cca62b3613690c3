"""Make a small system with musl, in which wheels are tried. It has busybox, musl and Python, but no compiler.

Debian has musl and busybox, but no Python for musl. So zig compiles the sources of Debian's Python, and of zlib, which
pip needs to unpack wheels.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cross_wheel import write_tools

#: Source packages of the suite of the Debian system. Debian's files contain the archives of the original sources.
PYTHON, ZLIB = "python3.11", "zlib"
#: The suite that musl and busybox are from. NumPy's wheels contain relative relocations (DT_RELR), which musl reads
#: from version 1.2.4 on. Older versions crash when they load such a library.
NEWER_SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PROGRAMS = ("sh", "ls", "cat", "env", "mkdir", "rm")
#: Answers that configure cannot find, since it does not run programs for another C library.
ANSWERS = ("ac_cv_file__dev_ptmx=yes", "ac_cv_file__dev_ptc=no", "ac_cv_buggy_getaddrinfo=no")


def make_musl_system(processor: str, architecture: str, debian: Path, root: Path) -> None:
    """Make a system for a processor in the folder `root`.

    `debian` is a Debian system, whose mirror is used. `architecture` is Debian's name for the processor. The work takes
    some four minutes of processor time.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        mirror, suite = (debian / "etc" / "apt" / "sources.list").read_text("utf-8").split()[1:3]
        packages = download(mirror, suite, architecture, folder / "apt")
        unpacked = {}
        for package in packages.glob("*.deb"):
            unpacked[package.name.split("_")[0]] = folder / package.stem
            subprocess.run(["dpkg-deb", "--extract", str(package), str(folder / package.stem)], check=True)
        install_base(processor, unpacked["musl"], unpacked["busybox-static"], root)
        tools = write_tools(folder, f"{processor}-linux-musl")
        zlib = unpack(packages, ZLIB, folder / "zlib")
        sources = [str(file) for file in zlib.glob("*.c")]
        library = zlib / "libz.so"
        options = ("-shared", "-fPIC", "-O2", "-w", "-DHAVE_UNISTD_H", "-Wl,-soname,libz.so.1")
        subprocess.run([str(tools["cc"]), *options, "-o", str(library), *sources], check=True)
        shutil.copy(library, root / "lib" / "libz.so.1")  # Pillow's wheels need it, too
        python = unpack(packages, PYTHON, folder / "python")
        install_python(processor, python, zlib, tools, root)


def download(mirror: str, suite: str, architecture: str, folder: Path) -> Path:
    """Download the packages of musl and busybox and the sources of Python and zlib, and return their folder."""
    packages = folder / "packages"
    for path in (folder / "lists" / "partial", folder / "cache" / "archives" / "partial", packages):
        path.mkdir(parents=True)
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    lines = f"deb {signed}{mirror} {NEWER_SUITE} main\ndeb-src {signed}{mirror} {suite} main\n"
    (folder / "sources.list").write_text(lines, "utf-8")
    (folder / "status").touch()
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": os.devnull,
        "Dir::State::Lists": folder / "lists",
        "Dir::State::status": folder / "status",
    }
    apt = ("apt-get", "-q", *(f"-o{name}={value}" for name, value in settings.items()))
    steps = (("update",), ("download", "musl", "busybox-static"), ("source", "--download-only", PYTHON, ZLIB))
    for step in steps:
        subprocess.run([*apt, *step], cwd=packages, check=True)
    return packages


def unpack(packages: Path, name: str, folder: Path) -> Path:
    """Unpack the original archive of a source package, and return the folder of its sources."""
    (archive,) = packages.glob(f"{name}_*.orig.tar.*[!c]")  # not the signature, .asc
    folder.mkdir()
    subprocess.run(["tar", "-xf", str(archive), "-C", str(folder)], check=True)
    (source,) = folder.iterdir()
    return source


def install_base(processor: str, musl: Path, busybox: Path, root: Path) -> None:
    """Install the C library and the programs of busybox in `root`, from the unpacked packages."""
    for name in ("bin", "lib", "usr/bin", "usr/lib", "tmp", "dev", "etc"):
        (root / name).mkdir(parents=True)
    (program,) = (path for path in busybox.rglob("bin/busybox") if path.is_file())
    shutil.copy(program, root / "bin")
    for name in PROGRAMS:
        (root / "bin" / name).symlink_to("busybox")
    # The C library and the loader of programs are the same file.
    (library,) = (path for path in musl.rglob("libc.so") if path.is_file() and not path.is_symlink())
    shutil.copy(library, root / "lib" / f"ld-musl-{processor}.so.1")
    (root / "lib" / f"libc.musl-{processor}.so.1").symlink_to(f"ld-musl-{processor}.so.1")


def install_python(processor: str, source: Path, zlib: Path, tools: dict[str, Path], root: Path) -> None:
    """Compile Python with zig's tools and install it in `root`. `zlib` is the folder of zlib's headers and library."""
    # setup.py would search this machine's folders for headers and libraries, which are not the target's.
    setup = source / "setup.py"
    text = setup.read_text("utf-8")
    for function in ("add_cross_compiling_paths", "add_multiarch_paths"):
        text = text.replace(f"def {function}(self):\n", f"def {function}(self):\n        return\n")
    setup.write_text(text, "utf-8")
    build = source.parent / "build"
    (build / "Modules").mkdir(parents=True)
    modules = ("*shared*", f"zlib zlibmodule.c -I{zlib} -L{zlib} -lz", "binascii binascii.c", "")
    (build / "Modules" / "Setup.local").write_text("\n".join(modules), "utf-8")
    options = (
        # Python names its extension modules after the C library of the building machine.
        f"--build={platform.machine()}-pc-linux-musl",
        f"--host={processor}-linux-musl",
        f"--with-build-python={sys.executable}",
        "--prefix=/usr",
        "--disable-test-modules",
        "--without-doc-strings",
        "--with-ensurepip=no",
        *ANSWERS,
        f"CC={tools['cc']} -Wno-date-time",
        f"CXX={tools['c++']}",
        f"AR={tools['ar']}",
        f"RANLIB={tools['ranlib']}",
        f"READELF={shutil.which('readelf')}",
        "PKG_CONFIG=false",  # pkg-config would find this machine's libraries
        "CFLAGS=-O1",
    )
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count()))
    steps = (
        [str(source / "configure"), "-q", *options],
        ["make", "-s", f"-j{jobs}"],
        ["make", "-s", "install", f"DESTDIR={root}"],
    )
    for step in steps:
        print("$", *step, flush=True)
        made = subprocess.run(step, cwd=build, capture_output=True, text=True, errors="replace", check=False)
        if made.returncode != 0:
            sys.exit(f"Python was not built:\n{made.stdout[-3000:]}\n{made.stderr[-3000:]}")
