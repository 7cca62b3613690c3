"""Test the C and C++ package in programs that use it: installed by CMake, from the wheel, and as a subdirectory."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from readme import build_cpp_program

import mpscnn
from mpscnn.apps.cli.package import cmake_directory

ROOT = Path(__file__).resolve().parents[2]
CONSUMERS = Path(__file__).resolve().parent
JOBS = str(os.cpu_count() or 1)

COMPILERS = {
    "gcc": ["-DCMAKE_C_COMPILER=gcc", "-DCMAKE_CXX_COMPILER=g++"],
    "clang-libc++": [
        "-DCMAKE_C_COMPILER=clang-16",
        "-DCMAKE_CXX_COMPILER=clang++-16",
        "-DCMAKE_CXX_FLAGS=-stdlib=libc++",
    ],
}


def run(*command: str | Path) -> str:
    """Return the output of a command, which must succeed."""
    finished = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


def configure_and_build(source: Path, build: Path, *options: str) -> None:
    """Build with CMake. Debug builds take less time, and they are enough for programs that call the library."""
    run("cmake", "-S", source, "-B", build, "-DCMAKE_BUILD_TYPE=Debug", *options)
    run("cmake", "--build", build, "-j", JOBS)


def few_kernels() -> list[str]:
    """Return options for a build with few kernels, which compiles fast and computes slowly."""
    arm64 = platform.machine().lower() in ("arm64", "aarch64")
    return [f"-DMPSCNN_INSTRUCTION_SETS={'neon' if arm64 else 'baseline'}"]


@pytest.fixture(scope="module", autouse=True)
def _cmake() -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")


def cpp_command(options: list[str]) -> list[str]:
    """Return the C++ compiler and the flags that CMake would use with these options."""
    return [option.partition("=")[2] for option in options[1:]]


@pytest.fixture(params=["gcc", pytest.param("clang-libc++", marks=pytest.mark.full)])
def compiler(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Return the options that choose a compiler.

    clang with libc++ belongs to the full tier. In the default tier, only test_wheel_with_another_standard_library uses
    it.
    """
    return working(request.param, tmp_path)


def working(name: str, tmp_path: Path) -> list[str]:
    """Return the options that choose this compiler. Skip the test if the machine lacks it."""
    options = COMPILERS[name]
    probe = tmp_path / "probe.cpp"
    probe.write_text("#include <string>\nint main() { return static_cast<int>(std::string().size()); }\n")
    command = cpp_command(options)
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    built = subprocess.run([*command, probe, "-o", tmp_path / "probe"], capture_output=True, check=False)
    if built.returncode != 0:
        pytest.skip(f"{' '.join(command)} does not work on this machine (libc++ is missing?)")
    return options


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an installation by `cmake --install`, which was moved after the installation."""
    build = ROOT / "build" / "consumer"
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DMPSCNN_BUILD_STATIC=ON", "-DCMAKE_UNITY_BUILD=ON"]
    configure_and_build(ROOT, build, *options, *few_kernels())
    place = tmp_path_factory.mktemp("installed")
    run("cmake", "--install", build, "--prefix", place / "first")
    return (place / "first").rename(place / "moved")


@pytest.fixture
def wheel() -> str:
    """Return the directory that `mpscnn --cmake-dir` prints."""
    directory = cmake_directory()
    if directory is None:
        pytest.skip("mpscnn is not installed with its C++ package here")
    return str(directory)


def check_consumer(source: Path, build: Path, *options: str) -> None:
    configure_and_build(source, build, *options)
    assert run(build / "consumer") == f"mpscnn {mpscnn.__version__} works\n"


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_installed_package(language: str, prefix: Path, compiler: list[str], tmp_path: Path) -> None:
    check_consumer(CONSUMERS / language, tmp_path / "build", *compiler, f"-DCMAKE_PREFIX_PATH={prefix}")


def test_static_library(prefix: Path, tmp_path: Path) -> None:
    options = ["-DCONSUMER_MODE=static", f"-DCMAKE_PREFIX_PATH={prefix}", *COMPILERS["gcc"]]
    check_consumer(CONSUMERS / "cpp", tmp_path / "build", *options)
    assert "libmpscnn" not in run("ldd", tmp_path / "build" / "consumer")


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_wheel(language: str, wheel: str, compiler: list[str], tmp_path: Path) -> None:
    check_consumer(CONSUMERS / language, tmp_path / "build", *compiler, f"-DCMAKE_PREFIX_PATH={wheel}")


def test_wheel_with_another_standard_library(wheel: str, tmp_path: Path) -> None:
    compiler = working("clang-libc++", tmp_path)
    check_consumer(CONSUMERS / "cpp", tmp_path / "build", *compiler, f"-DCMAKE_PREFIX_PATH={wheel}")


def as_subdirectory(compiler: list[str]) -> list[str]:
    return [
        "-DCMAKE_BUILD_TYPE=Release",
        "-DCONSUMER_MODE=subdirectory",
        f"-DCONSUMER_MPSCNN_SOURCE={ROOT}",
        *few_kernels(),
        *compiler,
    ]


def test_subdirectory_is_configured(compiler: list[str], tmp_path: Path) -> None:
    run("cmake", "-S", CONSUMERS / "cpp", "-B", tmp_path, *as_subdirectory(compiler))
    targets = run("cmake", "--build", tmp_path, "--target", "help")
    assert "mpscnn" in targets
    assert "_test" not in targets  # the parent project does not build the tests of mpscnn


@pytest.mark.full  # because it compiles everything again
def test_subdirectory(compiler: list[str], tmp_path: Path) -> None:
    check_consumer(CONSUMERS / "cpp", tmp_path / "build", *as_subdirectory(compiler))
    run("cmake", "--install", tmp_path / "build", "--prefix", tmp_path / "prefix")
    assert not (tmp_path / "prefix" / "include").exists()  # the parent project decides what it installs


def test_shared_library_exports_the_c_interface_alone(prefix: Path) -> None:
    library = next(prefix.glob("lib*/**/libmpscnn.so"))
    symbols = run("nm", "-D", "--defined-only", library).split("\n")
    names = {line.split()[-1] for line in symbols if line}
    headers = "".join(header.read_text() for header in (prefix / "include" / "mpscnn").glob("*.h"))
    declared = {name for name in names if f" {name}(" in headers or f"*{name}(" in headers}
    assert names
    assert names == declared


def abi_of(include: Path) -> str:
    """Return the ABI number that the header states."""
    found = re.search(
        r"^#define MPSCNN_ABI_VERSION (\d+)$", (include / "mpscnn" / "mpscnn.h").read_text(), re.M
    )
    assert found is not None
    return found[1]


def test_library_is_named_with_the_number_of_its_abi(prefix: Path) -> None:
    found = {path.name: path for path in prefix.glob("lib*/**/libmpscnn.so*")}
    name = f"libmpscnn.so.{abi_of(prefix / 'include')}"
    assert found.keys() == {"libmpscnn.so", name}
    assert found["libmpscnn.so"].readlink() == Path(name)
    assert f"soname: [{name}]" in run("readelf", "-d", found[name])


def test_wheel_has_the_library_once(wheel: str) -> None:
    package = Path(wheel).parents[2]
    name = f"libmpscnn.so.{abi_of(package / 'include')}"
    found = {path.name: path for path in (package / "lib").glob("libmpscnn*.so*")}
    assert found.keys() == {name, "libmpscnn.so"}
    assert not any(path.is_symlink() for path in found.values())
    assert found["libmpscnn.so"].read_text() == f"INPUT({name})\n"


def test_the_wheels_library_is_linked_by_its_name(wheel: str, tmp_path: Path) -> None:
    package, source, app = Path(wheel).parents[2], tmp_path / "main.c", tmp_path / "app"
    source.write_text(
        "#include <mpscnn/mpscnn.h>\n#include <stdio.h>\nint main(void) { return puts(mpscnn_version()) < 0; }\n"
    )
    place = ("-L", package / "lib", "-lmpscnn", f"-Wl,-rpath,{package / 'lib'}")
    run("cc", "-I", package / "include", source, "-o", app, *place)
    assert run(app).strip() == mpscnn.__version__


@pytest.fixture(scope="module")
def model_and_photo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, np.ndarray]:
    """Return a small classifier with random weights, and a photo as a PPM file and as an array."""
    directory = tmp_path_factory.mktemp("example")
    random = np.random.default_rng(7)
    network = mpscnn.Network(input=(32, 32, 3), name="random")
    x = network.conv2d(network.input, 8, 3, strides=2, padding="same", activation="relu6", name="conv")
    logits = network.dense(x, 12, name="logits")
    network.output(network.softmax(logits))
    network.load_weights(
        {
            "conv.weight": random.normal(size=(8, 3, 3, 3)).astype(np.float32),
            "conv.bias": np.zeros(8, np.float32),
            "logits.weight": random.normal(size=(12, 16, 16, 8), scale=0.02).astype(np.float32),
            "logits.bias": np.zeros(12, np.float32),
        },
        layout="OHWI",
    )
    model = directory / "random.safetensors"
    network.save(model, labels=[f"label {i}" for i in range(12)], preprocess="tensorflow")
    photo = random.integers(0, 256, (45, 60, 3), dtype=np.uint8)
    ppm = directory / "photo.ppm"
    ppm.write_bytes(b"P6\n# a comment\n# another\n60 45\n255\n" + photo.tobytes())
    return model, ppm, photo


@pytest.fixture(scope="module")
def built(prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that builds the examples of a language with a compiler, once, and returns their folder."""

    @cache
    def build(language: str, *compiler: str) -> Path:
        folder = tmp_path_factory.mktemp(f"examples_{language}")
        configure_and_build(ROOT / "examples" / language, folder, *compiler, f"-DCMAKE_PREFIX_PATH={prefix}")
        return folder

    return build


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_example_prints_what_python_finds(
    language: str,
    built: Callable[..., Path],
    compiler: list[str],
    model_and_photo: tuple[Path, Path, np.ndarray],
    tmp_path: Path,
) -> None:
    model, ppm, photo = model_and_photo
    program = built(language, *compiler) / "classify"
    predictions = mpscnn.load(str(model), device="cpu").predict(photo).top(5)
    expected = "".join(f"{100 * p.probability:6.2f} %  {p.label}\n" for p in predictions)
    assert run(program, model, ppm) == expected

    cut = tmp_path / "cut.ppm"
    cut.write_bytes(ppm.read_bytes()[:-1])
    for arguments, code, message in (
        ([], 2, "usage"),
        ([model, tmp_path / "none.ppm"], 1, "none.ppm: cannot open it"),
        ([model, model], 1, "expected " if language == "c" else "P6"),
        ([model, cut], 1, "ends within the pixels"),
        ([ppm, ppm], 1, "photo.ppm"),
        ([model, ppm, "4x"], *((2, "usage") if language == "c" else (1, "THREADS must be a whole number"))),
    ):
        finished = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        assert finished.returncode == code
        assert message in finished.stderr


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_c_example_reads_photos_of_each_kind_or_says_why_not(
    suffix: str,
    built: Callable[..., Path],
    compiler: list[str],
    model_and_photo: tuple[Path, Path, np.ndarray],
    tmp_path: Path,
) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    model, _, photo = model_and_photo
    smooth = np.asarray(image.fromarray(photo).resize((6, 5)).resize((60, 45)))
    path = tmp_path / f"photo.{suffix}"
    image.fromarray(smooth).save(path)
    program = built("c", *compiler) / "classify"
    usage = subprocess.run([program], capture_output=True, text=True, check=False).stderr
    if {"jpg": "JPEG", "png": "PNG"}[suffix] in usage.partition("of the kind")[2].partition("(")[0]:
        label = mpscnn.load(str(model), device="cpu").predict(str(path))[0].label
        assert run(program, model, path).splitlines()[0].endswith(f"%  {label}")
        path.write_bytes(path.read_bytes()[:-40])
        message = "photo."
    else:
        message = "CMake found n"
    refused = subprocess.run([program, model, path], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert message in refused.stderr


def test_c_example_without_libraries_of_photos_says_so(
    built: Callable[..., Path], model_and_photo: tuple[Path, Path, np.ndarray], tmp_path: Path
) -> None:
    without = (f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in ("JPEG", "PNG"))
    program = built("c", *without) / "classify"
    model, ppm, _ = model_and_photo
    assert run(program, model, ppm)
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n")
    refused = subprocess.run(
        [program, model, tmp_path / "photo.png"], capture_output=True, text=True, check=False
    )
    assert "expected PPM (CMake found neither libjpeg nor libpng)" in refused.stderr


def test_example_runs_a_video(
    built: Callable[..., Path], compiler: list[str], model_and_photo: tuple[Path, Path, np.ndarray]
) -> None:
    program = built("cpp", *compiler) / "video"
    model_file = model_and_photo[0]
    random = np.random.default_rng(4)
    frames = [
        [random.integers(0, 256, size, np.uint8) for size in ((48, 64), (24, 32), (24, 32))] for _ in range(7)
    ]
    head = b"YUV4MPEG2 W64 H48 F10:1 Ip A1:1 C420mpeg2\n"
    clip = head + b"".join(b"FRAME\n" + b"".join(map(bytes, planes)) for planes in frames)
    model = mpscnn.load(str(model_file), device="cpu")
    best = [model.predict(mpscnn.YuvImage(*planes)).top(1)[0] for planes in frames]
    expected = "".join(
        f"{i / 10:.3f} s  {100 * one.probability:6.2f} %  {one.label}\n" for i, one in enumerate(best)
    )
    for inflight in ("1", "3"):
        finished = subprocess.run(
            [program, model_file, inflight], input=clip, capture_output=True, check=True
        )
        assert finished.stdout.decode() == expected

    for content, message in (
        (clip[:-1], "ends within a frame"),
        (clip + b"x", "expected FRAME"),
        (b"P6", "not YUV4MPEG2"),
        (head.replace(b"C420mpeg2", b"C444"), "got 444"),
        (head.replace(b"W64", b"W0"), "width and height"),
    ):
        finished = subprocess.run([program, model_file], input=content, capture_output=True, check=False)
        assert finished.returncode == 1
        assert message in finished.stderr.decode()


def write_digits(folder: Path, count: int, *, part: str) -> None:
    """Write IDX files of digits. Each digit is a bright row at its own height, with noise."""
    random = np.random.default_rng(count)
    labels = random.integers(0, 10, count).astype(np.uint8)
    images = random.integers(0, 60, (count, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 + 2 * label : 6 + 2 * label, 4:24] += 150
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = np.array([0x800 + array.ndim, *array.shape], ">u4").tobytes()
        (folder / f"{part}-{name}-ubyte").write_bytes(header + array.tobytes())


def test_example_trains_digits(built: Callable[..., Path], compiler: list[str], tmp_path: Path) -> None:
    program = built("cpp", *compiler) / "train_digits"
    write_digits(tmp_path, 640, part="train")
    write_digits(tmp_path, 130, part="t10k")
    answers = [run(program, tmp_path, "4", threads).splitlines() for threads in ("1", "3")]
    assert answers[0] == answers[1]
    *epochs, last = answers[0]
    losses = [float(line.removeprefix(f"epoch {i + 1}: loss ")) for i, line in enumerate(epochs)]
    assert losses == sorted(losses, reverse=True)
    right, all_images = (int(word) for word in last.split() if word.isdigit())
    assert all_images == 130
    assert right > 110

    images = tmp_path / "train-images-idx3-ubyte"
    content = images.read_bytes()
    for changed, message in ((content[:-1], "the file ends within the images"), (b"P6", "not an IDX file")):
        images.write_bytes(changed)
        finished = subprocess.run([program, tmp_path, "1"], capture_output=True, text=True, check=False)
        assert finished.returncode == 1
        assert f"{images.name}: {message}" in finished.stderr


def test_readme_program_in_a_project_that_has_nothing_else(
    prefix: Path, compiler: list[str], model_and_photo: tuple[Path, Path, np.ndarray], tmp_path: Path
) -> None:
    program = build_cpp_program(tmp_path, *compiler, f"-DCMAKE_PREFIX_PATH={prefix}")
    lines = run(program, model_and_photo[0]).splitlines()
    assert len(lines) == 5
    assert all(line.startswith("label ") for line in lines)


def test_headers_say_which_standard_they_need(compiler: list[str], tmp_path: Path) -> None:
    include = ROOT / "cpp" / "include"
    old = [*cpp_command(compiler), "-std=c++17", "-Wfatal-errors", "-fsyntax-only", f"-I{include}"]
    for header in sorted(include.glob("mpscnn/*.hpp")):
        source = tmp_path / "old.cpp"
        source.write_text(f"#include <mpscnn/{header.name}>\n")
        refused = subprocess.run([*old, source], capture_output=True, text=True, check=False)
        assert refused.returncode != 0
        first = next(line for line in refused.stderr.splitlines() if "error:" in line)
        assert "mpscnn.hpp needs C++20" in first
