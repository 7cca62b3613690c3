"""The project's checks. `nox -s tests` is the test suite, `nox -l` lists the others, `nox -s full` runs all.

What a session needs from the system it installs itself on Debian and Ubuntu; elsewhere it says what it needs.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "tests"]

ROOT = Path(__file__).parent
BUILD = ROOT / "build"
JOBS = str(os.cpu_count() or 1)

# Files are compiled many at once, as for wheels: in a third of the time.
AT_ONCE = "-DCMAKE_UNITY_BUILD=ON"
ALONE = "-DCMAKE_UNITY_BUILD=OFF"
LLVM = "16"
# The formatter's versions disagree, so every machine uses this one.
CLANG_FORMAT = "clang-format==16.0.6"
OLDEST_CMAKE = (3, 21)
LIBCXX = (f"clang-{LLVM}", f"libc++-{LLVM}-dev", f"libc++abi-{LLVM}-dev")
SANITIZERS = (f"clang-{LLVM}", f"libclang-rt-{LLVM}-dev")
# Tests only compare with it; pinned, since it is large and some versions bring what GPUs need as well.
TORCH = "torch==2.13.0", "torchvision==0.28.0", "timm==1.0.31"
EMULATORS = ("qemu-user", "g++-aarch64-linux-gnu")
# Reads what the Metal engine uses of Apple's API; of the compiler's version.
LIBCLANG = "libclang==16.0.6"
# libFuzzer for Python; not every version of Python has a wheel.
ATHERIS = "atheris==3.0.0"
# Foundation and the Objective-C runtime for the emulation of Metal.
GNUSTEP = (f"clang-{LLVM}", "libgnustep-base-dev", "gobjc")

# A file's tests stay together, since they share what they set up; in the order of collection, which begins with the
# slow builds of tests/consumer.
ON_ALL_CORES = ("-n", JOBS, "--dist=loadfile", "--no-loadscope-reorder")

EVERYTHING = (
    "lint",
    "libcxx",
    "tidy",
    "isa",
    "emulated",
    "sanitize",
    "fuzz",
    "instructions",
    "oracles",
    "metal",
    "metal_sanitize",
    "tests",
)


@nox.session
def tests(session: nox.Session) -> None:
    """Build the package and the C++ tests, run both suites. Arguments go to pytest."""
    install_system_packages(session, "g++", "ccache", *LIBCXX, required=False)
    install_package(session)
    build_cpp(session, "tests", "-DMPSCNN_BUILD_TESTS=ON")
    every_position = {"MPSCNN_TEST_EVERY_POSITION": "1"} if "--full" in session.posargs else {}
    run_ctest(session, "tests", **every_position)
    # The session "metal" runs those, since they need its system packages.
    session.run("pytest", "--ignore=tests/metal_sources", *ON_ALL_CORES, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting, style and types."""
    session.install("ruff", "mypy", CLANG_FORMAT, "numpy", "pillow", "typer", "rich", "nox")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy", "--strict", "python/mpscnn", "noxfile.py")
    session.run("clang-format", "--dry-run", "-Werror", *tracked_files("*.h", "*.hpp", "*.cpp", "*.c"))
    session.run("bash", "-n", ".ci/run", external=True)


@nox.session
def libcxx(session: nox.Session) -> None:
    """Compile cpp/ as on macOS, with clang and libc++, and run the C++ tests. A warning is an error.

    Each file by itself, so that it includes what it uses.
    """
    install_system_packages(session, "ccache", *LIBCXX)
    install_build_tools(session)
    build_cpp(session, "libcxx", ALONE, "-DMPSCNN_BUILD_TESTS=ON", *clang("-stdlib=libc++", "-Werror"))
    run_ctest(session, "libcxx")


@nox.session
def tidy(session: nox.Session) -> None:
    """clang-tidy on the core, the operations, the raw kernels and the engine, with the checks of .clang-tidy."""
    install_system_packages(session, f"clang-tidy-{LLVM}")
    install_build_tools(session)
    configure_cpp(session, "tidy", "-DMPSCNN_BUILD_TESTS=ON", *clang())
    sources = tracked_files(*(f"cpp/{part}/*.cpp" for part in ("core", "ops", "kernels", "engine", "vision")))
    command = ["xargs", "-P", JOBS, "-n", "1", f"clang-tidy-{LLVM}", "--quiet", "-p", str(BUILD / "tidy")]
    session.log(f"clang-tidy-{LLVM} on {len(sources)} files")
    checked = subprocess.run(command, input="\n".join(sources), text=True, check=False)
    if checked.returncode != 0:
        session.error("clang-tidy has findings")


@nox.session
def isa(session: nox.Session) -> None:
    """The suites with each instruction set that this machine has, and what these share in the objects."""
    install_system_packages(session, "binutils", "ccache", "g++")
    install_package(session)
    for name in instruction_sets(session):
        session.log(f"instruction set {name}")
        session.run(
            "pytest",
            "tests/ops",
            "tests/kernels",
            "tests/models",
            *ON_ALL_CORES,
            *session.posargs,
            env={"MPSCNN_CPU": name},
        )
    build_cpp(session, "tests", "-DMPSCNN_BUILD_TESTS=ON")
    objects = sorted((BUILD / "tests").glob("CMakeFiles/mpscnn_kernels_*.dir/**/*.o"))
    session.run("python", "tests/cpp/check_isa_symbols.py", *map(str, objects))


@nox.session
def oracles(session: nox.Session) -> None:
    """Single operations beside torch, onnxruntime and scipy. Arguments go to pytest."""
    install_system_packages(session, "ccache", "g++")
    install_package(session)
    session.install(*TORCH)
    session.run("pytest", "tests/oracles", *session.posargs)


@nox.session
def instructions(session: nox.Session) -> None:
    """The instructions of one inference of each network, beside those expected. `--record` makes them expected."""
    install_system_packages(session, "ccache", "g++", "valgrind")
    install_build_tools(session)
    install_package(session)
    session.run("python", "benchmarks/instructions/instructions.py", *session.posargs)


@nox.session
def emulated(session: nox.Session) -> None:
    """The suites on emulated processors: x86-64 with SSE4 and nothing newer, and arm64."""
    install_system_packages(session, "ccache", "g++", *EMULATORS)
    install_package(session)
    compiler = "aarch64-linux-gnu"
    emulated_tests(
        session,
        "neon",
        "qemu-aarch64",
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        f"-DCMAKE_C_COMPILER={compiler}-gcc",
        f"-DCMAKE_CXX_COMPILER={compiler}-g++",
        "-DCMAKE_EXE_LINKER_FLAGS=-static",
    )
    if platform.machine() == "x86_64":
        old_processor = "qemu-x86_64", "-cpu", "Nehalem"
        emulated_tests(session, "nehalem", ";".join(old_processor))
        python = str(Path(session.bin) / "python")
        session.run(
            *old_processor,
            python,
            "-m",
            "pytest",
            "tests/ops",
            "--hypothesis-profile=quick",
            external=True,
            env={"MPSCNN_CPU": "", "OPENBLAS_NUM_THREADS": "1"},
        )


@nox.session
def sanitize(session: nox.Session) -> None:
    """The C++ tests with AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer."""
    install_system_packages(session, *SANITIZERS)
    install_build_tools(session)
    # Compiling instrumented kernels takes long, so none are that cannot run here; threads share the same things in all.
    here = kernels_of_this_machine()
    for name, sanitizers, kernels in (("asan", "address,undefined", here), ("tsan", "thread", here[:1])):
        build_cpp(
            session,
            name,
            "-DMPSCNN_BUILD_TESTS=ON",
            f"-DMPSCNN_SANITIZE={sanitizers}",
            f"-DMPSCNN_INSTRUCTION_SETS={';'.join(kernels)}",
            *clang(),
        )
        # Some tests start threads in a child of a process that has threads, which ThreadSanitizer would refuse.
        run_ctest(session, name, TSAN_OPTIONS="die_after_fork=0")


@nox.session
def metal(session: nox.Session) -> None:
    """The Metal engine on an emulation of Metal (Linux on x86-64): shaders, rules, networks. Arguments go to pytest."""
    build = build_emulation(session, "metal-emulation")
    environment = emulation_environment(build)
    session.run(
        "pytest", "tests/metal", "tests/metal_sources", *ON_ALL_CORES, *session.posargs, env=environment
    )
    # Few examples of each: the emulation is slow, and the CPU engine has many.
    for directory in ("tests/ops", "tests/kernels"):
        quick = "--device=metal", "--hypothesis-profile=quick", *ON_ALL_CORES
        session.run("pytest", directory, *quick, *session.posargs, env=environment)


@nox.session
def metal_sanitize(session: nox.Session) -> None:
    """The Metal engine, the emulation and the shaders with the sanitizers of `sanitize`. Arguments go to pytest."""
    install_system_packages(session, *SANITIZERS)
    # Python and GNUstep keep much until they end; what the engine leaves behind is counted by the emulation.
    # Its runtime's classes are made under two locks in either order, once, which is not a deadlock in practice.
    settings = {"ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": "die_after_fork=0 detect_deadlocks=0"}
    for name, sanitizers in (("asan", "address,undefined"), ("tsan", "thread")):
        runtime = sanitizer_runtime(session, name)
        # Python is not instrumented, so the runtime is a library of its own, which it loads before all others.
        linked = f"-shared-libsan -Wl,-rpath,{runtime.parent}"
        kinds = ("EXE", "SHARED", "MODULE")
        build = build_emulation(
            session,
            f"metal-{name}",
            f"-DMPSCNN_SANITIZE={sanitizers}",
            *(f"-DCMAKE_{kind}_LINKER_FLAGS={linked}" for kind in kinds),
            **settings,
        )
        environment = emulation_environment(build) | settings | {"LD_PRELOAD": str(runtime)}
        session.run("pytest", "tests/metal", *ON_ALL_CORES, *session.posargs, env=environment)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Each fuzzer for 60 seconds, or for as many as given."""
    install_system_packages(session, *SANITIZERS)
    install_build_tools(session)
    seconds = session.posargs[0] if session.posargs else "60"
    instrumented = clang("-fsanitize=fuzzer-no-link")
    build_cpp(
        session,
        "fuzz",
        "-DMPSCNN_BUILD_FUZZERS=ON",
        "-DMPSCNN_SANITIZE=address,undefined",
        f"-DMPSCNN_INSTRUCTION_SETS={kernels_of_this_machine()[0]}",
        *instrumented,
    )
    session.run("python", "tests/fuzz/seeds.py", str(BUILD / "corpus"))
    for source in tracked_files("tests/fuzz/*.cpp"):
        name = Path(source).stem
        corpus = BUILD / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        session.run(
            str(BUILD / "fuzz" / name),
            f"-max_total_time={seconds}",
            "-timeout=60",  # a time budget for each input's size is in the fuzzers
            "-max_len=1000000",
            "-print_final_stats=1",
            "-verbosity=0",
            f"-artifact_prefix={corpus.parent}/",
            "-dict=tests/fuzz/model_file.dict",
            str(corpus),
            external=True,
        )
    install_package(session)
    # Guided by coverage where this Python has a wheel of it.
    session.run("python", "-m", "pip", "install", "-q", ATHERIS, success_codes=(0, 1), silent=True)
    guided = python_has(session, "atheris")
    if not guided:
        session.warn(
            "this Python has no wheel of atheris: its fuzzers change files without looking at coverage"
        )
    for target in tracked_files("tests/fuzz/*_target.py"):
        name = Path(target).stem.removesuffix("_target")
        artifacts = BUILD / "corpus"
        command = ("tests/fuzz/file_fuzzer.py", name, f"--seconds={seconds}", f"--artifacts={artifacts}")
        session.run("python", *command)
        if guided:
            session.run("python", *command, "--atheris")


@nox.session(venv_backend="none")
def full(session: nox.Session) -> None:
    """Everything, the slow checks included."""
    for name in EVERYTHING:
        thorough = ["--full", "--hypothesis-profile=full"]
        session.notify(name, posargs=thorough if name in ("isa", "oracles", "tests") else [])


# ---- Steps ------------------------------------------------------------------------------------------------


def install_system_packages(session: nox.Session, *packages: str, required: bool = True) -> None:
    """Debian packages that are missing, where that is how packages are installed."""
    if shutil.which("dpkg-query") is None:
        wanted = ", ".join(packages)
        if required:
            session.warn(
                f"this session needs what Debian calls {wanted}: install it if a step below does not find it"
            )
        else:
            session.warn(f"tests that need {wanted} (Debian's names) are skipped where that is not installed")
        return
    missing = [package for package in packages if not is_installed(package)]
    if not missing:
        return
    become_root = [] if os.geteuid() == 0 else ["sudo"]
    if become_root and shutil.which("sudo") is None:
        session.error(f"as root, run first: apt-get install {' '.join(missing)}")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    for command in (["apt-get", "update", "-qq"], install):
        session.run(*become_root, *command, external=True, env=environment, silent=True)


def is_installed(package: str) -> bool:
    """Whether a Debian package is there."""
    query = ["dpkg-query", "-W", "-f=${Status}", package]
    found = subprocess.run(query, capture_output=True, text=True, check=False)
    return found.returncode == 0 and found.stdout.endswith("installed")


def install_build_tools(session: nox.Session) -> None:
    """CMake and Ninja where the system lacks them.

    `pip install .` takes the system's, too: of the same CMake all commands are the same, so that ccache finds what was
    compiled before.
    """
    missing = []
    if version_of("cmake") < OLDEST_CMAKE:
        missing.append(f"cmake>={'.'.join(map(str, OLDEST_CMAKE))}")
    if not version_of("ninja"):
        missing.append("ninja")
    if missing:
        session.install(*missing)


def version_of(program: str) -> tuple[int, ...]:
    """Of a program of the system; nothing for one that is not there."""
    if shutil.which(program) is None:
        return ()
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", answer.stdout)
    return tuple(map(int, found[0].split("."))) if found else ()


def python_has(session: nox.Session, module: str) -> bool:
    """Whether the session's Python can import it."""
    command = [str(Path(session.bin) / "python"), "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def install_package(session: nox.Session) -> None:
    """The package as a user installs it, with what its tests use."""
    install_build_tools(session)
    session.install(f"{built_wheel(session)}[test]")


def built_wheel(session: nox.Session) -> Path:
    """The wheel of the sources as they are, built by whichever session needs it first: linking takes minutes."""
    directory = BUILD / "wheels" / digest_of_sources()
    if not list(directory.glob("*.whl")):
        command = [str(Path(session.bin) / "python"), "-m", "pip", "wheel", "--no-deps"]
        # Not by session.run, which would let pip find the session's CMake, not that of `pip install .`: with the same
        # one, ccache knows what was compiled then.
        session.log(f"building {directory}")
        built = subprocess.run(
            [*command, "--wheel-dir", str(directory), "."],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode != 0:
            session.error(f"no wheel:\n{built.stdout}\n{built.stderr}")
    (wheel,) = directory.glob("*.whl")
    return wheel


def digest_of_sources() -> str:
    """Of the interpreter, what is asked of compilers, and all that wheels are made from."""
    asked = (os.environ.get(name, "") for name in ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CMAKE_ARGS"))
    digest = hashlib.sha256("\0".join((sys.version, *asked)).encode())
    for part in (
        "CMakeLists.txt",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "cmake",
        "cpp",
        "python",
        "shaders",
    ):
        for path in sorted(file for file in (ROOT / part, *(ROOT / part).rglob("*")) if file.is_file()):
            if path.suffix != ".pyc":
                digest.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def build_emulation(session: nox.Session, name: str, *options: str, **environment: str) -> Path:
    """Builds the Metal engine with the emulation in build/<name> and runs the emulation's own tests."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        session.skip("the emulation of Metal runs on Linux on x86-64 only")
    install_system_packages(session, "ccache", *GNUSTEP)
    package = "numpy", "pillow", "rich", "typer"
    needed = "pybind11>=3.0", *package, "pytest", "pytest-xdist", "hypothesis", LIBCLANG
    install_build_tools(session)
    session.install(*needed)
    found = session.run("python", "-m", "pybind11", "--cmakedir", silent=True)
    assert isinstance(found, str)
    build = BUILD / name
    general = ("-G", "Ninja", AT_ONCE, "-DMPSCNN_BUILD_PYTHON=ON", f"-Dpybind11_DIR={found.strip()}")
    preset = ("cmake", "--preset", "metal-emulation", "-B", str(build))
    session.run(*preset, *general, *options, external=True, silent=True)
    targets = "_core", "tests/metal_emulation/all"
    session.run("cmake", "--build", str(build), "-j", JOBS, "--target", *targets, external=True)
    run_ctest(session, f"{name}/tests/metal_emulation", **environment)
    link_package(build / "package" / "mpscnn", sorted(build.glob("_core*")))
    return build


def emulation_environment(build: Path) -> dict[str, str]:
    """What lets Python find the package of that build."""
    return {"PYTHONPATH": str(build / "package"), "MPSCNN_CACHE": str(build / "cache")}


def sanitizer_runtime(session: nox.Session, name: str) -> Path:
    """The library of clang's that instrumented code calls: "asan" or "tsan"."""
    file = f"libclang_rt.{name}-{platform.machine()}.so"
    found = session.run(f"clang++-{LLVM}", f"-print-file-name={file}", external=True, silent=True)
    assert isinstance(found, str)
    return Path(found.strip())


def link_package(package: Path, extension: list[Path]) -> None:
    """A package of links to the sources and to the extension module of a build: the emulation is never installed."""
    package.mkdir(parents=True, exist_ok=True)
    sources = (path for path in (ROOT / "python" / "mpscnn").iterdir() if path.name != "__pycache__")
    for target in [*sources, *extension]:
        link = package / target.name
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def clang(*flags: str) -> list[str]:
    """CMake's options for clang with these flags."""
    return [
        f"-DCMAKE_C_COMPILER=clang-{LLVM}",
        f"-DCMAKE_CXX_COMPILER=clang++-{LLVM}",
        f"-DCMAKE_CXX_FLAGS={' '.join(flags)}",
    ]


def configure_cpp(session: nox.Session, name: str, *options: str) -> None:
    """Lets CMake prepare build/<name>."""
    command = ("cmake", "-S", ".", "-B", str(BUILD / name), "-G", "Ninja", *options)
    session.run(*command, external=True, silent=True)


def build_cpp(session: nox.Session, name: str, *options: str) -> None:
    """Builds in build/<name>."""
    configure_cpp(session, name, AT_ONCE, *options)
    session.run("cmake", "--build", str(BUILD / name), "-j", JOBS, external=True)


def run_ctest(session: nox.Session, name: str, **environment: str) -> None:
    """Runs the C++ tests of build/<name>."""
    command = ("ctest", "--test-dir", str(BUILD / name), "--output-on-failure", "--no-tests=error")
    session.run(*command, env=environment, external=True)


def emulated_tests(session: nox.Session, name: str, emulator: str, *options: str) -> None:
    """The C++ tests on an emulated processor."""
    build_cpp(
        session,
        name,
        "-DMPSCNN_BUILD_TESTS=ON",
        "-DCMAKE_SYSTEM_NAME=Linux",  # CMake heeds the emulator when the target system is named
        f"-DCMAKE_CROSSCOMPILING_EMULATOR={emulator}",
        *options,
    )
    run_ctest(session, name, MPSCNN_EMULATED="1")


def kernels_of_this_machine() -> list[str]:
    """The instruction sets that kernels can be built for and that run here, the one that all processors have first."""
    if platform.machine() in ("aarch64", "arm64"):
        return ["neon"]
    processor = Path("/proc/cpuinfo")
    flags = processor.read_text().split() if processor.exists() else []
    newer = {"avx2": "avx2", "avx512": "avx512vl"}
    return ["baseline", *(name for name, flag in newer.items() if flag in flags)]


def instruction_sets(session: nox.Session) -> list[str]:
    """Those of this machine that the package is built for."""
    known = "baseline", "avx2", "avx512", "neon"
    program = "import mpscnn; print(mpscnn.build_config()['instruction_set'])"
    usable = []
    for name in known:
        environment = {**os.environ, "MPSCNN_CPU": name}
        command = [str(Path(session.bin) / "python"), "-c", program]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if answer.returncode == 0 and answer.stdout.strip() == name:
            usable.append(name)
    if not usable:
        session.error("the package runs with no instruction set of this machine")
    return usable


def tracked_files(*patterns: str) -> list[str]:
    """Files of the repository whose names fit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return sorted(filter(None, listed.stdout.split("\0")))


if __name__ == "__main__":
    sys.exit("run this file with nox: nox -s tests")
