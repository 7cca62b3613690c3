"""The project's checks. `nox -s tests` runs the tests, `nox -l` lists all sessions, `nox -s full` runs all of them.

On Debian and Ubuntu, a session installs the system packages that it needs. On other systems it lists them.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent / ".ci"))
import session_packages as packages
from session_steps import (
    BUILD,
    FOR_WORKERS,
    JOBS,
    THREAD_SANITIZER,
    build_cpp,
    build_emulation,
    built_wheel,
    check_github_files,
    clang,
    configure_cpp,
    emulated_options,
    emulation_environment,
    hashed,
    install_build_tools,
    install_package,
    install_system_packages,
    install_wheel,
    instruction_sets,
    kernels_of_this_machine,
    link_package,
    pybind11_options,
    reports_of_sanitizers,
    run_ctest,
    sanitizer_runtime,
    tests_that_want,
    tracked_files,
    without_network,
)

nox.needs_version = ">=2025.10.14"
nox.options.sessions = ["lint", "tests"]
# uv fills an environment in a second of processor time; pip needs a minute. No session downloads another Python.
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
# uv does not read pip's settings, which may name a build of torch for CPUs: the one that uv takes has 3 GB.
PIP = "virtualenv"

ALONE = "-DCMAKE_UNITY_BUILD=OFF"
# One worker runs all tests of a file, since they share fixtures. Files keep the order of collection, which begins with
# the slow builds of tests/consumer.
ON_ALL_CORES = ("-n", JOBS, "--dist=loadfile", "--no-loadscope-reorder")
# Tests of services, streams, signals and hanging devices mostly wait, so there is one more worker than cores.
WITH_WAITING = (*ON_ALL_CORES, "-n", str(int(JOBS) + 1))
# The command that runs the Python tests. The session `metal` runs those that need the emulation of Metal.
PYTHON_TESTS = ("pytest", "--ignore=tests/metal_sources")

# Comparisons of integers with onnxruntime, whose fast kernels saturate on processors with AVX2 and without VNNI.
WITHOUT_VNNI = (
    "tests/test_exact_engines.py",
    "tests/converters/onnx/test_onnx_quantized.py",
    "tests/converters/onnx/test_onnx_ranges.py",
)

# The tests that run on every engine. The Metal engine gets few examples, since the emulation is slow and the CPU
# engine's tests have many.
SINGLE_OPERATIONS = ("tests/operations", "tests/ops", "tests/kernels")
ON_METAL = (*SINGLE_OPERATIONS, "--device=metal", "--hypothesis-profile=quick", *ON_ALL_CORES)

CROSS_TARGETS = tuple(
    f"{system}_{machine}"
    for system in ("manylinux_2_28", "musllinux_1_2")
    for machine in ("x86_64", "aarch64")
)
EVERYTHING = (
    *("lint", "portable", "libcxx", "tidy", "isa", "emulated", "sanitize", "fuzz", "instructions", "oracles"),
    *("generators", "zoo"),
    *(
        "metal",
        "metal_sanitize",
        "python_sanitize",
        "cuda",
        "free_threading",
        "ray",
        "docs",
        "release",
        "tensorflow",
    ),
    *("more_tests", "environments", "oldest_packages", "tests"),
)


@nox.session
def tests(session: nox.Session) -> None:
    """Build the package and the C++ tests for this machine, and test this installation. Arguments go to pytest."""
    full = "--full" in session.posargs
    more = packages.MORE_PROGRAMS if full else ()
    install_system_packages(session, "g++", "ccache", *more, required=False)
    install_package(session)
    build_cpp(session, "tests", "-DMPSCNN_BUILD_TESTS=ON", "-DMPSCNN_INSTRUCTION_SETS=native")
    everything = {"MPSCNN_TEST_EVERY_POSITION": "1", "MPSCNN_TEST_EVERY_SUM": "1"}
    run_ctest(session, "tests", **(everything if full else {}))
    session.run(*PYTHON_TESTS, *ON_ALL_CORES, *session.posargs, env=FOR_WORKERS)


@nox.session(venv_backend=PIP)
def more_tests(session: nox.Session) -> None:
    """Run the tests that the session `tests` leaves out and `.ci/run` runs. Arguments go to pytest.

    They test the kernels of all instruction sets, the sources, builds of programs that use the library, and the package
    beside a browser, a proxy and other engines: onnxruntime, scipy, torch, Keras and coremltools.
    """
    install_system_packages(session, "g++", "ccache", *packages.MORE_PROGRAMS, required=False)
    install_package(session, "all", *packages.OTHER_ENGINES)
    session.run("python", ".ci/check_wheel.py", "--not-optimised", str(built_wheel(session, "all")))
    build_cpp(session, "all-tests", "-DMPSCNN_BUILD_TESTS=ON", "-DMPSCNN_BUILD_BENCHMARKS=ON")
    run_ctest(session, "all-tests")
    # The session `tests` skips tests that need these engines.
    beside = f"--with={','.join(packages.MODULES_OF_ENGINES)}"
    session.run(*PYTHON_TESTS, "--ci", beside, *WITH_WAITING, *session.posargs, env=FOR_WORKERS)


@nox.session
def environments(session: nox.Session) -> None:
    """Run the tests of the session `tests` as by other users and on other machines (.ci/environments.py).

    Arguments: names of environments, and after them options of pytest that begin with "-". No name: all environments.
    """
    install_system_packages(session, "g++", "ccache", "locales", "iproute2", "util-linux", required=False)
    install_package(session, "all")
    names = [name for name in session.posargs if not name.startswith("-")]
    options = [option for option in session.posargs if option.startswith("-")]
    command = (*PYTHON_TESTS, *ON_ALL_CORES, *options)
    session.run("python", ".ci/environments.py", *names, "--", *command, env=FOR_WORKERS)


@nox.session(venv_backend="uv")
def oldest_packages(session: nox.Session) -> None:
    """Run the tests with the oldest packages that pyproject.toml allows and this Python has wheels of.

    Arguments go to pytest.
    """
    install_build_tools(session)
    wheel = built_wheel(session)
    session.install("--resolution=lowest-direct", "--only-binary=:all:", f"{wheel}[test]")
    session.run(*PYTHON_TESTS, *ON_ALL_CORES, *session.posargs, env=FOR_WORKERS)


@nox.session(python=["3.13t", "3.14t"])
def free_threading(session: nox.Session) -> None:
    """Test threads that share objects, in each Python without a GIL on this machine. Arguments go to pytest."""
    install_system_packages(session, "ccache", "g++")
    install_build_tools(session)
    # The newest versions of these packages have no wheels for 3.13t, and their sources need Rust.
    older = "--only-binary=hypothesis,numpy,pydantic-core"
    install_wheel(session, "cli", older, "pytest", "hypothesis")
    names = ("free_threading", "runner", "session")
    session.run("pytest", *(f"tests/python/runner/test_{name}.py" for name in names), *session.posargs)


@nox.session
def ray(session: nox.Session) -> None:
    """Test Ray with a cluster of several nodes on this machine. Arguments go to pytest.

    This is a separate session, because Ray Data's wheels have 147 MB.
    """
    install_system_packages(session, "ccache", "g++")
    install_build_tools(session)
    install_wheel(session, "test,ray")
    session.run("pytest", "tests/python/api/test_ray.py", "tests/test_docs.py", *session.posargs)


@nox.session(venv_backend=PIP)
def docs(session: nox.Session) -> None:
    """Run the tutorials, and build the site in build/site. A link that leads nowhere is an error.

    `-- --without-notebooks` builds the site with the tutorials as they are in the repository.
    """
    install_system_packages(session, "ccache", "g++")
    install_build_tools(session)
    environment = {"NO_MKDOCS_2_WARNING": "1"}
    if "--without-notebooks" in session.posargs:
        install_wheel(session, "cli,serve", *packages.SITE)
    else:
        engines = (packages.TORCH[0], packages.TORCH[3], "coremltools>=9")
        install_wheel(session, "cli,serve,coreml,torch", *engines, *packages.SITE)
        place = str(BUILD / "notebooks")
        session.run("python", ".ci/run_notebooks.py", place, env={"CMAKE_GENERATOR": "Ninja"})
        environment["MPSCNN_NOTEBOOKS"] = place
    session.run("mkdocs", "build", "--strict", env=environment)


@nox.session
def release(session: nox.Session) -> None:
    """Run the steps of a release: packages (built without network), ABI, metadata, bill of materials."""
    install_system_packages(session, "ccache", "g++")
    install_system_packages(session, "abigail-tools", required=False)
    session.install("pip", *hashed("release"))
    place = BUILD / "release"
    shutil.rmtree(place, ignore_errors=True)
    session.run("python", "-m", "build", "--sdist", "--outdir", str(place), silent=True)
    (source,) = place.glob("*.tar.gz")
    # scikit-build-core asks for CMake and Ninja where the system has none.
    needed = place / "needed"
    session.run("python", "-m", "pip", "download", "-q", "-d", str(needed), *hashed("build"))
    session.run(
        *without_network(session),
        str(Path(session.bin) / "python"),
        *("-m", "pip", "wheel", "--no-deps", "--no-index", "--wheel-dir", str(place), str(source)),
        external=True,
        silent=True,
        env={"PIP_FIND_LINKS": str(needed), "PIP_CONFIG_FILE": os.devnull},
    )
    (wheel,) = place.glob("*.whl")
    session.run("twine", "check", "--strict", str(source), str(wheel))
    session.run("python", ".ci/check_wheel.py", "--not-optimised", str(wheel))
    session.run("python", ".ci/release.py", "sbom", str(place / "mpscnn.cdx.json"), str(source), str(wheel))
    session.run("python", ".ci/check_bill.py", str(place / "mpscnn.cdx.json"))
    session.run("python", ".ci/compare_abi.py")


@nox.session
def pins(session: nox.Session) -> None:
    """Write the newest versions of the workflows' tools into .ci/requirements/, with the hashes of all their files."""
    session.install("uv")
    session.run("python", ".ci/write_pins.py")


@nox.session
def wheels(session: nox.Session) -> None:
    """Build released wheels for Linux with zig, check them, and try them without a compiler. Arguments: platforms."""
    install_system_packages(session, "debootstrap", "qemu-user-static", required=False)
    session.install(*packages.CROSS)
    place = BUILD / "cross_wheels"
    for target in session.posargs or CROSS_TARGETS:
        shutil.rmtree(place / target, ignore_errors=True)
        session.run("python", ".ci/cross_wheel.py", target, str(place / target))
        (wheel,) = (place / target).glob("*.whl")
        session.run("python", ".ci/check_wheel.py", str(wheel))
        session.run("twine", "check", "--strict", str(wheel))
        session.run("python", ".ci/try_wheel.py", str(wheel), str(place / "roots"), success_codes=(0, 3))


@nox.session
def portable(session: nox.Session) -> None:
    """Compile everything for other machines: arm64 Linux with GCC and clang, and macOS and iOS with clang.

    The programs for arm64 Linux run on an emulated processor. They classify a photo, and run cases of `mpscnn verify`
    and the C++ tests of integers.
    """
    install_system_packages(session, "ccache", "g++", *packages.CROSS_COMPILERS)
    install_build_tools(session)
    install_wheel(session, "cli", "pytest", "hypothesis", "pybind11>=3.0", "ziglang")
    session.run("python", ".ci/arm64.py", str(BUILD / "arm64"), "quick")
    session.run("python", ".ci/check_other_systems.py", str(BUILD), packages.LLVM)


@nox.session
def lint(session: nox.Session) -> None:
    """Check formatting, style, types, and the files that GitHub reads."""
    session.install(*packages.LINT)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", ".ci/check_types.py")
    sources = tracked_files("*.h", "*.hpp", "*.cpp", "*.c", "*.mm")
    session.run("clang-format", "--dry-run", "-Werror", *sources)
    session.run("bash", "-n", ".ci/run", external=True)
    check_github_files(session)
    # git finds the marks of an unfinished merge: 1 means none.
    session.run("git", "grep", "-nE", "^(<{7}|>{7}) ", external=True, success_codes=[1])


@nox.session
def libcxx(session: nox.Session) -> None:
    """Compile cpp/ with clang and libc++, as on macOS, and run the C++ tests. Warnings are errors.

    Each file is compiled separately, so that it must include all headers that it uses.
    """
    install_system_packages(session, "ccache", *packages.LIBCXX)
    install_build_tools(session)
    build_cpp(session, "libcxx", ALONE, "-DMPSCNN_BUILD_TESTS=ON", *clang("-stdlib=libc++", "-Werror"))
    run_ctest(session, "libcxx")


@nox.session
def tidy(session: nox.Session) -> None:
    """Run clang-tidy on the core, the operations, the raw kernels, the engine and the vision code (see .clang-tidy)."""
    program = f"clang-tidy-{packages.LLVM}"
    install_system_packages(session, program)
    install_build_tools(session)
    configure_cpp(session, "tidy", "-DMPSCNN_BUILD_TESTS=ON", *clang())
    sources = tracked_files(*(f"cpp/{part}/*.cpp" for part in ("core", "ops", "kernels", "engine", "vision")))
    session.log(f"{program} on {len(sources)} files")
    command = ["xargs", "-P", JOBS, "-n", "1", program, "--quiet", "-p", str(BUILD / "tidy")]
    checked = subprocess.run(command, input="\n".join(sources), text=True, check=False)
    if checked.returncode != 0:
        session.error("clang-tidy has findings")


@nox.session
def isa(session: nox.Session) -> None:
    """Run the suites with each instruction set of this machine, and check that their objects share no function."""
    install_system_packages(session, "binutils", "ccache", "g++")
    install_package(session, "all")
    command = ("pytest", *SINGLE_OPERATIONS, "tests/models", *ON_ALL_CORES, *session.posargs)
    for name in instruction_sets(session):
        session.log(f"instruction set {name}")
        session.run(*command, env={"MPSCNN_CPU": name} | FOR_WORKERS)
    build_cpp(session, "tests", "-DMPSCNN_BUILD_TESTS=ON")
    objects = sorted((BUILD / "tests").glob("CMakeFiles/mpscnn_kernels_*.dir/**/*.o"))
    session.run("python", "tests/cpp/check_isa_symbols.py", *map(str, objects))


@nox.session(venv_backend=PIP)
def oracles(session: nox.Session) -> None:
    """Compare operations and converted models with torch, Keras, onnxruntime and scipy. Arguments go to pytest."""
    install_system_packages(session, "ccache", "g++")
    install_package(session, "native", *packages.OTHER_ENGINES)
    files = tests_that_want(*packages.MODULES_OF_ENGINES)
    session.run("pytest", "tests/oracles", *files, *ON_ALL_CORES, *session.posargs, env=FOR_WORKERS)
    session.run("pytest", "tests/operations", "-k", "torchs", *ON_ALL_CORES, *session.posargs)


@nox.session(venv_backend=PIP)
def generators(session: nox.Session) -> None:
    """Try random networks on all ways in and out, judged by the runtime of each format (tests/generators).

    Without arguments, 5,000 networks. Arguments go to tests/generators/run.py, such as `-- --count 200`.
    """
    install_system_packages(session, "ccache", "g++")
    install_package(session, "native", *packages.OTHER_ENGINES, packages.OPERATOR_SAMPLES)
    arguments = session.posargs or ["--count", "5000"]
    session.run("python", "tests/generators/run.py", *arguments)


@nox.session(venv_backend=PIP)
def zoo(session: nox.Session) -> None:
    """Write docs/zoo.md: convert and run networks of torchvision, timm and other packages with random weights.

    Arguments are the names of packages; without one, all are tried.
    """
    install_system_packages(session, "ccache", "g++")
    install_package(session, "native", *packages.ZOO)
    session.run("python", "tests/generators/zoo.py", *session.posargs)


@nox.session
def tensorflow(session: nox.Session) -> None:
    """Compare graphs that TensorFlow writes with its own results. Arguments go to pytest.

    This is a separate session, because TensorFlow needs other versions of some packages than torch, which the session
    `oracles` installs.
    """
    install_system_packages(session, "ccache", "g++")
    install_package(session, "native", packages.TENSORFLOW)
    settings = "tests/converters/several_formats/test_settings.py"
    session.run("pytest", "tests/oracles/test_tensorflow.py", settings, "-k", "not Keras", *session.posargs)


@nox.session
def instructions(session: nox.Session) -> None:
    """Compare the instruction counts of one inference of each network with the record. `--record` renews it."""
    install_system_packages(session, "ccache", "g++", "valgrind")
    install_build_tools(session)
    # valgrind does not support all instructions of new processors.
    install_wheel(session, "cli", sets="all")
    session.run("python", "benchmarks/instructions/instructions.py", *session.posargs)


@nox.session
def emulated(session: nox.Session) -> None:
    """Run the suites on emulated processors: x86-64 with SSE4 only and with AVX2 but no VNNI, and arm64."""
    install_system_packages(session, "ccache", "g++", *packages.EMULATORS)
    install_package(session, "all", "pybind11>=3.0")
    session.run("python", ".ci/arm64.py", str(BUILD / "arm64"))
    if platform.machine() != "x86_64":
        return
    build_cpp(session, "nehalem", *emulated_options("qemu-x86_64;-cpu;Nehalem"))
    run_ctest(session, "nehalem", MPSCNN_EMULATED="1")
    python = str(Path(session.bin) / "python")
    for processor, places in {"Nehalem": ("tests/operations", "tests/ops"), "Haswell": WITHOUT_VNNI}.items():
        command = ("qemu-x86_64", "-cpu", processor, python, "-m", "pytest", *places)
        # OpenBLAS, which NumPy uses, would take a Nehalem for a Haswell and use instructions that it lacks.
        environment = {"MPSCNN_CPU": "", "OPENBLAS_CORETYPE": processor, "OPENBLAS_NUM_THREADS": "1"}
        session.run(*command, "--hypothesis-profile=quick", external=True, env=environment)


@nox.session
def sanitize(session: nox.Session) -> None:
    """Run the C++ tests with AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer."""
    install_system_packages(session, *packages.SANITIZERS)
    install_build_tools(session)
    # Instrumented kernels compile slowly, so only the instruction sets of this machine are built. ThreadSanitizer needs
    # only one of them, because the threads share the same data with each of them.
    here = kernels_of_this_machine()
    for name, sanitizers, kernels in (("asan", "address,undefined", here), ("tsan", "thread", here[:1])):
        sets = f"-DMPSCNN_INSTRUCTION_SETS={';'.join(kernels)}"
        build_cpp(session, name, "-DMPSCNN_BUILD_TESTS=ON", f"-DMPSCNN_SANITIZE={sanitizers}", sets, *clang())
        run_ctest(session, name, TSAN_OPTIONS=THREAD_SANITIZER)


@nox.session
def python_sanitize(session: nox.Session) -> None:
    """Test the kernels' classes and the code for photos with AddressSanitizer and UndefinedBehaviorSanitizer.

    Arguments go to pytest.
    """
    install_system_packages(session, *packages.SANITIZERS)
    install_package(session)  # for the packages that tests need
    runtime = sanitizer_runtime(session, "asan")
    build_cpp(
        session,
        "python-asan",
        *("-DMPSCNN_BUILD_PYTHON=ON", "-DMPSCNN_SANITIZE=address,undefined"),
        f"-DMPSCNN_INSTRUCTION_SETS={kernels_of_this_machine()[0]}",
        f"-DCMAKE_MODULE_LINKER_FLAGS=-shared-libsan -Wl,-rpath,{runtime.parent}",
        *pybind11_options(session),
        *clang(),
    )
    build = BUILD / "python-asan"
    link_package(build / "package" / "mpscnn", sorted(build.glob("_core*")))
    # Python keeps memory until it ends, which would count as leaks.
    with reports_of_sanitizers(session, build / "reports", {"ASAN_OPTIONS": "detect_leaks=0"}) as settings:
        environment = emulation_environment(build) | settings | {"LD_PRELOAD": str(runtime)}
        places = ("tests/kernels", "tests/detection", "tests/python/photos")
        session.run("pytest", *places, *ON_ALL_CORES, *session.posargs, env=environment)


@nox.session
def metal(session: nox.Session) -> None:
    """Test the Metal engine on an emulation of Metal (Linux on x86-64). Arguments go to pytest."""
    build = build_emulation(session, "metal-emulation")
    environment = emulation_environment(build)
    # The longest test of all is in metal_sources, so it begins first.
    session.run(
        "pytest", "tests/metal_sources", "tests/metal", *WITH_WAITING, *session.posargs, env=environment
    )
    session.run("pytest", *ON_METAL, *session.posargs, env=environment)


@nox.session
def cuda(session: nox.Session) -> None:
    """Run the engine's shaders on an NVIDIA GPU, within the emulation of Metal. Arguments go to CMake."""
    compiler = shutil.which("nvcc")
    if compiler is None:
        session.install(*packages.CUDA)
        compiler = str(next(Path(session.virtualenv.location).rglob("bin/nvcc")))
    gpu = shutil.which("nvidia-smi") is not None
    options = [f"-DMETAL_EMULATION_CUDA_COMPILER={compiler}", *session.posargs]
    if not gpu:
        options.insert(0, "-DMETAL_EMULATION_CUDA_ARCHITECTURE=sm_90")
    build = build_emulation(session, "metal-cuda", *options, check=gpu)
    if not gpu:
        session.warn("no NVIDIA GPU is here: the shaders were compiled and not run")
        return
    environment = emulation_environment(build) | {"METAL_EMULATION_CUDA_TWICE": "1"}
    session.run("pytest", *ON_METAL, env=environment)


@nox.session
def metal_sanitize(session: nox.Session) -> None:
    """Test the Metal engine, the emulation and the shaders with sanitizers. Arguments go to pytest."""
    install_system_packages(session, *packages.SANITIZERS)
    # Leaks are not detected here, because Python and GNUstep keep memory until they end. Instead, the emulation counts
    # the objects that the engine leaks. Deadlocks are not detected, because GNUstep's runtime once takes two locks in
    # different orders, which is not a deadlock in practice.
    options = {"ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": f"{THREAD_SANITIZER} detect_deadlocks=0"}
    for name, sanitizers in (("asan", "address,undefined"), ("tsan", "thread")):
        runtime = sanitizer_runtime(session, name)
        # Python is not instrumented, so the sanitizer is a shared library that is loaded before all others.
        linked = f"-shared-libsan -Wl,-rpath,{runtime.parent}"
        flags = (f"-DCMAKE_{kind}_LINKER_FLAGS={linked}" for kind in ("EXE", "SHARED", "MODULE"))
        sanitized = (f"-DMPSCNN_SANITIZE={sanitizers}", *clang(), *flags)
        build = build_emulation(session, f"metal-{name}", *sanitized, environment=options)
        with reports_of_sanitizers(session, build / "reports", options) as settings:
            environment = emulation_environment(build) | settings | {"LD_PRELOAD": str(runtime)}
            session.run("pytest", "tests/metal", *ON_ALL_CORES, *session.posargs, env=environment)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Run each fuzzer for 60 seconds, or for the number of seconds that is given: -- SECONDS [EXECUTIONS].

    With EXECUTIONS, each fuzzer of C++ runs until it has executed so many inputs in all runs together. The full tier is
    `nox -s fuzz -- 600 10000000`, which goes on where it was ended.
    """
    install_system_packages(session, *packages.SANITIZERS)
    install_build_tools(session)
    seconds = session.posargs[0] if session.posargs else "60"
    build_cpp(
        session,
        "fuzz",
        *("-DMPSCNN_BUILD_FUZZERS=ON", "-DMPSCNN_SANITIZE=address,undefined"),
        f"-DMPSCNN_INSTRUCTION_SETS={kernels_of_this_machine()[0]}",
        *clang("-fsanitize=fuzzer-no-link"),
    )
    until = ("--until", session.posargs[1]) if session.posargs[1:] else ()
    session.run("python", ".ci/fuzz.py", str(BUILD / "fuzz"), seconds, *until)
    install_package(session)
    # Atheris chooses inputs by code coverage. Not every version of Python has a wheel of it.
    session.install(packages.ATHERIS, success_codes=(0, 1), silent=True)
    session.run("python", ".ci/fuzz.py", str(BUILD / "fuzz"), seconds, "--python")


@nox.session
def mutation(session: nox.Session) -> None:
    """Change kernels, one place at a time, and report which tests notice (half an hour on one core)."""
    install_build_tools(session)
    session.install(*packages.MUTATION)
    session.run("python", "tests/mutation/mutate.py", *session.posargs)


@nox.session(venv_backend="none")
def full(session: nox.Session) -> None:
    """Run everything, including the slow checks."""
    thorough = ["--full", "--hypothesis-profile=full"]
    # The emulation is too slow for thousands of examples.
    arguments = {"isa": thorough, "oracles": thorough, "tests": thorough, "metal": ["--full"]}
    for name in EVERYTHING:
        session.notify(name, posargs=arguments.get(name, []))


if __name__ == "__main__":
    sys.exit("run this file with nox: nox -s tests")
