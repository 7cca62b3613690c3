"""Steps of the sessions in noxfile.py: system packages, builds, and the abilities of this machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nox
from session_packages import COREMLTOOLS, GNUSTEP, LIBCLANG, LLVM

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"
JOBS = str(os.cpu_count() or 1)
FOR_WORKERS = {
    # Several workers share the cores, so torch and numpy use one thread in each. Idle threads would keep cores busy.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Many processes import the same modules, so Python must cache their bytecode, whatever the shell's setting is.
    "PYTHONDONTWRITEBYTECODE": "",
}
"""The environment of pytest with several workers."""

# Some tests start threads in a forked child, which ThreadSanitizer refuses by default. It needs the symbolizer to find
# the functions of the suppressions.
THREAD_SANITIZER = (
    f"die_after_fork=0 suppressions={ROOT}/tests/thread_sanitizer.supp "
    f"external_symbolizer_path=/usr/lib/llvm-{LLVM}/bin/llvm-symbolizer"
)

# Compile many source files as one, as the build of wheels does. This takes a third of the time.
AT_ONCE = "-DCMAKE_UNITY_BUILD=ON"
OLDEST_CMAKE = (3, 21)


def install_system_packages(session: nox.Session, *packages: str, required: bool = True) -> None:
    """Install the Debian packages that are missing, on systems with such packages.

    Packages that are not required are only installed if the system offers them.
    """
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

    def run_as_root(*command: str) -> None:
        session.run(*become_root, *command, external=True, env=environment, silent=True)

    run_as_root("apt-get", "update", "-qq")
    if not required:
        unknown = [package for package in missing if not is_offered(package)]
        if unknown:
            session.warn(f"this system offers no {', '.join(unknown)}: tests that need it are skipped")
        missing = [package for package in missing if package not in unknown]
    if missing:
        run_as_root("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)


def is_installed(package: str) -> bool:
    """Return true if a Debian package is installed."""
    query = ["dpkg-query", "-W", "-f=${Status}", package]
    found = subprocess.run(query, capture_output=True, text=True, check=False)
    return found.returncode == 0 and found.stdout.endswith(" installed")  # the space excludes "not-installed"


def is_offered(package: str) -> bool:
    """Return true if the system's archives contain a package."""
    query = ["apt-cache", "policy", package]
    found = subprocess.run(
        query, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    return "Candidate:" in found.stdout and "Candidate: (none)" not in found.stdout


def install_build_tools(session: nox.Session) -> None:
    """Install CMake and Ninja if the system lacks them.

    `pip install .` uses the system's CMake as well. The same CMake writes the same commands, so ccache finds objects
    that were compiled before.
    """
    missing = []
    if version_of("cmake") < OLDEST_CMAKE:
        missing.append(f"cmake>={'.'.join(map(str, OLDEST_CMAKE))}")
    if not version_of("ninja"):
        missing.append("ninja")
    if missing:
        session.install(*missing)


def version_of(program: str) -> tuple[int, ...]:
    """Return the version of a system program, or () if it is not installed."""
    if shutil.which(program) is None:
        return ()
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", answer.stdout)
    return tuple(map(int, found[0].split("."))) if found else ()


def hashed(use: str) -> tuple[str, ...]:
    """Return pip's arguments for the pinned tools of one use. pip refuses files with other hashes."""
    return "--require-hashes", "-r", f".ci/requirements/{use}.txt"


def install_package(session: nox.Session, sets: str = "native", *others: str) -> None:
    """Install the package as users do, with the packages that its tests need, and others."""
    install_build_tools(session)
    install_wheel(session, "test", *others, sets=sets)


def install_wheel(session: nox.Session, extras: str, *others: str, sets: str = "native") -> None:
    """Install the wheel of the current sources, with the packages of its extras, and others."""
    wheel = built_wheel(session, sets)
    # Without these options, pip would keep an older wheel of the same version in an environment that is used again.
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(f"{wheel}[{extras}]", *others)


def built_wheel(session: nox.Session, sets: str = "native") -> Path:
    """Return a wheel of the current sources. The first session that needs it builds it.

    By default its kernels are for this machine only, as in `pip install .`. For `sets="all"` it has all of them.
    """
    directory = BUILD / "wheels" / f"{digest_of_sources(session.python or sys.version)}-{sets}"
    if not list(directory.glob("*.whl")):
        build_wheel(session, directory, sets)
    (wheel,) = directory.glob("*.whl")
    return wheel


def build_wheel(session: nox.Session, directory: Path, sets: str) -> None:
    """Build the wheel into this folder."""
    session.install("pip")  # environments of uv lack it
    command = [str(Path(session.bin) / "python"), "-m", "pip", "wheel", "--no-deps"]
    # With session.run, pip would find the session's CMake instead of the one that `pip install .` uses, and ccache
    # would not find the objects of that build.
    session.log(f"building {directory}")
    built = subprocess.run(
        [*command, "--wheel-dir", str(directory), "."],
        cwd=ROOT,
        env={**os.environ, "MPSCNN_INSTRUCTION_SETS": sets},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        session.error(f"no wheel:\n{built.stdout}\n{built.stderr}")


def digest_of_sources(python: object) -> str:
    """Return a hash of the session's interpreter, the compilers' settings, and all files of which wheels are made."""
    asked = (os.environ.get(name, "") for name in ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CMAKE_ARGS"))
    digest = hashlib.sha256("\0".join((str(python), *asked)).encode())
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


def without_network(session: nox.Session) -> tuple[str, ...]:
    """Return the beginning of a command that runs without network, or nothing if the machine cannot do that."""
    command = ("unshare", "--map-root-user", "--net")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "true"], capture_output=True, check=False).returncode
    ):
        session.warn("this machine gives no network namespaces: pip is only told not to use the network")
        return ()
    return command


def build_emulation(
    session: nox.Session,
    name: str,
    *options: str,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Path:
    """Build the Metal engine with the emulation in build/<name>, and run the emulation's own tests."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        session.skip("the emulation of Metal runs on Linux on x86-64 only")
    install_system_packages(session, "ccache", *GNUSTEP)
    project = nox.project.load_toml(ROOT / "pyproject.toml")["project"]
    extras = (package for name in ("cli", "convert") for package in project["optional-dependencies"][name])
    needed = (
        "pybind11>=3.0",
        *project["dependencies"],
        *extras,
        "pytest",
        "pytest-xdist",
        "hypothesis",
        LIBCLANG,
        *COREMLTOOLS,  # it writes the programs for the emulation of Core ML
    )
    install_build_tools(session)
    session.install(*needed)
    build = BUILD / name
    general = ("-G", "Ninja", AT_ONCE, *pybind11_options(session))
    preset = ("cmake", "--preset", "metal-emulation", "-B", str(build))
    session.run(*preset, *general, *options, external=True, silent=True)
    tests = "tests/metal_emulation", "tests/cpp/metal"
    targets = "_core", *(f"{folder}/all" for folder in tests)
    session.run("cmake", "--build", str(build), "-j", JOBS, "--target", *targets, external=True)
    for folder in tests if check else ():
        run_ctest(session, f"{name}/{folder}", **(environment or {}))
    link_package(build / "package" / "mpscnn", sorted(build.glob("_core*")))
    return build


def emulation_environment(build: Path) -> dict[str, str]:
    """Return the environment in which Python finds the package of a build of the emulation."""
    found = {"PYTHONPATH": str(build / "package"), "MPSCNN_CACHE": str(build / "cache")}
    return found | FOR_WORKERS


def sanitizer_runtime(session: nox.Session, name: str) -> Path:
    """Return clang's library for a sanitizer, "asan" or "tsan"."""
    file = f"libclang_rt.{name}-{platform.machine()}.so"
    found = session.run(f"clang++-{LLVM}", f"-print-file-name={file}", external=True, silent=True)
    assert isinstance(found, str)
    return Path(found.strip())


@contextlib.contextmanager
def reports_of_sanitizers(
    session: nox.Session, folder: Path, options: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Make the folder for reports, and yield the sanitizers' options that write there. Fail if there are any.

    Reports go to files, because pytest ignores how its workers and their child processes end.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield {option: f"{values} log_path={folder}/report" for option, values in options.items()}
    reports = sorted(folder.iterdir())
    for report in reports:
        session.log(report.read_text(errors="replace"))
    if reports:
        session.error("the sanitizers have reports")


def link_package(package: Path, extension: list[Path]) -> None:
    """Make a package of links to the sources and to a build's extension module. The emulation is never installed."""
    package.mkdir(parents=True, exist_ok=True)
    sources = (path for path in (ROOT / "python" / "mpscnn").iterdir() if path.name != "__pycache__")
    for target in [*sources, *extension]:
        link = package / target.name
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def clang(*flags: str) -> list[str]:
    """Return CMake's options for clang with these flags."""
    return [
        f"-DCMAKE_C_COMPILER=clang-{LLVM}",
        f"-DCMAKE_CXX_COMPILER=clang++-{LLVM}",
        f"-DCMAKE_CXX_FLAGS={' '.join(flags)}",
    ]


def configure_cpp(session: nox.Session, name: str, *options: str) -> None:
    """Configure build/<name> with CMake."""
    command = ("cmake", "-S", ".", "-B", str(BUILD / name), "-G", "Ninja", *options)
    session.run(*command, external=True, silent=True)


def build_cpp(session: nox.Session, name: str, *options: str) -> None:
    """Build in build/<name>."""
    configure_cpp(session, name, AT_ONCE, *options)
    session.run("cmake", "--build", str(BUILD / name), "-j", JOBS, external=True)


def run_ctest(session: nox.Session, name: str, *options: str, **environment: str) -> None:
    """Run the C++ tests of build/<name>. Options go to ctest."""
    command = (
        "ctest",
        "--test-dir",
        str(BUILD / name),
        "-j",
        JOBS,
        "--output-on-failure",
        "--no-tests=error",
        *options,
    )
    session.run(*command, env=environment, external=True)


def pybind11_options(session: nox.Session) -> tuple[str, ...]:
    """Return CMake's options for a build with the extension module."""
    found = session.run("python", "-m", "pybind11", "--cmakedir", silent=True)
    assert isinstance(found, str)
    return ("-DMPSCNN_BUILD_PYTHON=ON", f"-Dpybind11_DIR={found.strip()}")


def emulated_options(emulator: str) -> tuple[str, ...]:
    """Return CMake's options for C++ tests that run on an emulated processor."""
    # CMake uses the emulator only if the system's name is set.
    system = "-DCMAKE_SYSTEM_NAME=Linux"
    return ("-DMPSCNN_BUILD_TESTS=ON", system, f"-DCMAKE_CROSSCOMPILING_EMULATOR={emulator}")


def kernels_of_this_machine() -> list[str]:
    """Return the instruction sets of this machine for which kernels can be built; the baseline comes first."""
    if platform.machine() in ("aarch64", "arm64"):
        return ["neon"]
    processor = Path("/proc/cpuinfo")
    flags = processor.read_text().split() if processor.exists() else []
    newer = {"avx2": "avx2", "avx512": "avx512vl"}
    return ["baseline", *(name for name, flag in newer.items() if flag in flags)]


def instruction_sets(session: nox.Session) -> list[str]:
    """Return the instruction sets of this machine for which the package was built."""
    known = "baseline", "avx2", "avx512", "amx", "neon"
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


def check_github_files(session: nox.Session) -> None:
    """Check workflows, issue forms, updates and the citation against their schemas, which check-jsonschema contains."""
    forms = tracked_files(".github/ISSUE_TEMPLATE/*.yml")
    files = {
        "citation-file-format": ["CITATION.cff"],
        "dependabot": [".github/dependabot.yml"],
        "github-issue-config": [name for name in forms if name.endswith("/config.yml")],
        "github-issue-forms": [name for name in forms if not name.endswith("/config.yml")],
        "github-workflows": tracked_files(".github/workflows/*.yml"),
    }
    for schema, names in files.items():
        session.run("check-jsonschema", "-q", "--builtin-schema", f"vendor.{schema}", *names)


def tracked_files(*patterns: str) -> list[str]:
    """Return the tracked files whose names match a pattern."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return sorted(filter(None, listed.stdout.split("\0")))


def tests_that_want(*modules: str) -> list[str]:
    """Return the test files outside tests/oracles that skip tests where one of these modules is missing."""
    asked = re.compile(rf'importorskip\("({"|".join(modules)})\b')
    files = (name for name in tracked_files("tests/*test_*.py") if not name.startswith("tests/oracles/"))
    return [name for name in files if asked.search((ROOT / name).read_text(encoding="utf-8"))]
