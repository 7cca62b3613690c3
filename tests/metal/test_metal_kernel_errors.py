"""Tests of errors for users' Metal kernels: sources that do not compile, and wrong arguments."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation
from metal.metal_kernel_sources import BLUR, CONSTANTS, PREFIX, SCALE, SLICES, VALUES
from numpy.typing import NDArray

import mpscnn
from mpscnn import kernels


def test_source_that_does_not_compile() -> None:
    with pytest.raises(
        mpscnn.ParameterError,
        match=r"(?s)kernel 'run': the source does not compile.*:5:\d+: error: .*missing",
    ):
        kernels.MetalKernel(
            PREFIX + "kernel void run(device int *a [[buffer(0)]]) {\n\n    a[0] = missing;\n}\n", "run"
        )


@pytest.mark.parametrize("argument", ["source", "function", "device"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (123, "must be text, got int"),
        (None, "must be text, got NoneType"),
        (b"blur", "must be text, got bytes"),
        ("blur\0", "contains a zero character"),
        ("blur\ud800", "is not valid text"),
    ],
)
def test_what_is_no_text(argument: str, value: Any, message: str) -> None:
    given: dict[str, Any] = {"source": BLUR, "function": "blur", "device": "metal", argument: value}
    with pytest.raises(mpscnn.ParameterError, match=f"MetalKernel: {argument} {message}"):
        kernels.MetalKernel(given["source"], given["function"], device=given["device"])


def test_others_run_python_while_a_kernel_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An empty folder, so that the emulation must compile the source.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    arguments = {"source": BLUR, "function": "blur", "constants": {"radius": 11}}
    compiling = threading.Thread(target=kernels.MetalKernel, kwargs=arguments)
    turns = 0
    compiling.start()
    while compiling.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 2  # if compiling held Python's GIL, there would be only one turn before and one after


def test_unknown_function() -> None:
    with pytest.raises(
        mpscnn.ParameterError, match="kernel 'blurr': no such function in the source, which has blur"
    ):
        kernels.MetalKernel(BLUR, "blurr", constants={"radius": 1})


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({}, "the function constant 'radius' is missing"),
        ({"radius": 1, "width": 2}, "no function constant 'width'; it has radius"),
        ({"radius": 1.5}, "'radius' is declared as int, but is given as a number"),
        ({"radius": True}, "'radius' is declared as int, but is given as a boolean"),
        ({"radius": np.float32(1)}, "'radius' is declared as int, but is given as float"),
        ({"radius": 2**31}, "'radius' is declared as int, but is given as 2147483648, beyond -2147483648 to"),
        ({"radius": [1, 2]}, "'radius' is declared as int, but is given as an array"),
        ({"radius": float("nan")}, "function constant 'radius': must be finite"),
        ({"radius": "2"}, "function constant 'radius': expected numbers or booleans, got '2'"),
        ({"radius": [[1], [2, 3]]}, "function constant 'radius': expected numbers or booleans"),
        ({1: 2}, "MetalKernel: name of a constant must be text, got int"),
        ([("radius", 1)], "MetalKernel: constants must be a mapping of names to values"),
    ],
)
def test_wrong_constants(constants: Any, message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        kernels.MetalKernel(BLUR, "blur", constants=constants)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("flag", 1, "'flag' is declared as bool, but is given as an integer"),
        ("tiny", -1, "'tiny' is declared as ushort, but is given as -1, beyond 0 to 65535"),
        ("rough", 1e5, "'rough' is declared as half, but is given a number beyond its largest"),
        ("rough", False, "'rough' is declared as half, but is given as a boolean"),
        ("four", (1, 2), "'four' is declared as float4, but is given as 2 values"),
        ("four", 1, "'four' is declared as float4, but is given as an integer"),
        ("three", np.zeros(3, np.float32), "'three' is declared as half3, but is given as float3"),
    ],
)
def test_mistyped_constants(name: str, value: Any, message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        kernels.MetalKernel(CONSTANTS, "tell", constants={**VALUES, name: value})


def test_parameters_that_cannot_be_given() -> None:
    source = (
        PREFIX
        + "kernel void run(threadgroup float *a [[threadgroup(0)]], uint i [[thread_position_in_grid]]) {}\n"
    )
    with pytest.raises(mpscnn.UnsupportedError, match="parameter 'a' is neither a buffer nor a texture"):
        kernels.MetalKernel(source, "run")


def encode(*arguments: Any, code: str = BLUR, function: str = "blur", **options: Any) -> None:
    """Encode a kernel and run it."""
    kernel = kernels.MetalKernel(code, function, constants={"radius": 1} if code is BLUR else {})
    with mpscnn.CommandQueue("metal").command_buffer() as commands:
        kernel.encode(commands, *arguments, **options)


IMAGE, OTHER = mpscnn.Image(4, 4, 3, label="in"), mpscnn.Image(4, 4, 3, label="out")
TEN = np.zeros(10, np.float32)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((IMAGE,), {}, "kernel 'blur': no image is given for texture 1 'result'"),
        (
            (IMAGE, OTHER, IMAGE),
            {},
            "kernel 'blur': too many images; its parameters are texture 0 'source', texture 1",
        ),
        ((IMAGE, OTHER, TEN), {}, "kernel 'blur': too many arrays"),
        ((IMAGE, OTHER), {"source": IMAGE}, "too many images"),
        ((IMAGE,), {"sauce": IMAGE}, "no parameter 'sauce'; it has texture 0 'source'"),
        ((IMAGE,), {"result": TEN}, "texture 1 'result' takes an image, got an array"),
        ((IMAGE, IMAGE), {}, "image 'in' .* is source and destination"),
        ((IMAGE, "out"), {}, "expected an Image, a numpy array or a number, got str"),
        ((IMAGE, OTHER), {"grid": (0, 4)}, "grid must be 1 x 1 x 1 to .*, got 0 x 4 x 1"),
        (
            (IMAGE, OTHER),
            {"grid": (1, 2, 3, 4)},
            r"grid must be \(width, height, depth\), got \(1, 2, 3, 4\)",
        ),
        ((IMAGE, OTHER), {"grid": 1.5}, "grid must be whole numbers, got 1.5"),
        ((IMAGE, OTHER), {"grid": 2**70}, "grid must be at most 2147483647"),
        (
            (IMAGE, OTHER),
            {"threadgroup": (64, 32)},
            "threadgroup must have at most 1024 threads, got 64 x 32 x 1",
        ),
        ((IMAGE, OTHER), {"threadgroup": (2000,)}, "threadgroup must be 1 x 1 x 1 to .*, got 2000 x 1 x 1"),
    ],
)
def test_mismatched_arguments(arguments: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        encode(*arguments, **options)


def read_only() -> NDArray[np.float32]:
    array = np.zeros(10, np.float32)
    array.flags.writeable = False
    return array


PAIR = np.zeros(2, np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TEN.astype(np.float16), TEN, 1, PAIR), "buffer 0 'values' has elements of float, got half"),
        ((TEN.astype(np.float64), TEN, 1, PAIR), "buffer 0 'values' has elements of float, got float64"),
        ((TEN, TEN.astype(np.int64), 1, PAIR), "buffer 2 'results' has elements of float, got int64"),
        ((TEN.astype(complex), TEN, 1, PAIR), "buffer 0 'values' has elements of float, got complex128"),
        ((TEN.astype(object), TEN, 1, PAIR), "buffer 0 'values' has elements of float, got object"),
        (
            (TEN, TEN.copy(), 1, PAIR.astype(np.float64)),
            "buffer 4 'range' is a struct, and .* has no float64",
        ),
        (
            (TEN, TEN.copy(), 1, np.zeros(1, [("both", [("bound", np.float64)])])),
            "buffer 4 'range' is a struct, and the shading language has no float64",
        ),
        (
            (TEN, read_only(), 1, PAIR),
            "buffer 2 'results' is written by the kernel, but the array is read-only",
        ),
        ((TEN, TEN.copy(), 1, PAIR[:1]), "buffer 4 'range' takes 8 bytes or a multiple of that, got 4"),
        (
            (TEN, TEN, 1, PAIR),
            "buffer 0 'values' and buffer 2 'results': the arrays overlap, and one is written",
        ),
        ((TEN[::2], TEN, 1, PAIR), "arrays must be C-contiguous"),
        ((TEN[:0], TEN, 1, PAIR), "buffer 0 'values' takes 4 bytes or a multiple of that, got 0"),
        ((TEN, TEN.copy(), 1, 2.5), "2.5 has no type here; pass a numpy scalar or array"),
    ],
)
def test_mismatched_arrays(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        encode(*arguments, code=SCALE, function="scale", grid=10)


def test_number_that_does_not_fit() -> None:
    source = (
        PREFIX + "kernel void run(constant int &n [[buffer(0)]], device int *a [[buffer(1)]]) { a[0] = n; }\n"
    )
    with pytest.raises(mpscnn.ParameterError, match=r"1\.5 is not of type int"):
        encode(1.5, np.zeros(1, np.int32), code=source, function="run", grid=1)


def test_no_grid_without_a_written_image() -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"kernel 'scale': it writes no image .*; give grid"):
        encode(TEN, TEN.copy(), 1, PAIR, code=SCALE, function="scale")


def test_other_kind_of_texture() -> None:
    many = mpscnn.Image(4, 4, 5)
    with pytest.raises(
        mpscnn.ShapeError, match=r"texture 1 'result' is declared as texture2d, but .* more than one slice"
    ):
        encode(IMAGE, many)
    with pytest.raises(
        mpscnn.ShapeError, match=r"declared as texture2d_array, but .* is a texture2d: one image"
    ):
        encode(IMAGE, many, np.zeros(8, np.float16), code=SLICES, function="shift")


def test_image_larger_than_textures() -> None:
    with pytest.raises(
        mpscnn.UnsupportedError, match="texture 1 'result': a texture has at most 16384 x 16384 x 2048"
    ):
        encode(IMAGE, mpscnn.Image(20000, 1, 1))


def test_queue_of_the_cpu() -> None:
    kernel = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1})
    commands = mpscnn.CommandQueue("cpu").command_buffer()
    with pytest.raises(
        mpscnn.UnsupportedError, match="kernel 'blur' runs on a queue of 'metal' only, this queue is of 'cpu'"
    ):
        kernel.encode(commands, IMAGE, OTHER)
    with pytest.raises(mpscnn.UnsupportedError, match="custom kernels run on Metal only, not on 'cpu'"):
        kernels.MetalKernel(BLUR, "blur", constants={"radius": 1}, device="cpu")


def test_queue_of_another_device(emulation: Emulation) -> None:
    emulation.set("devices", 2)
    kernel = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1}, device="metal")
    other = mpscnn.CommandQueue("metal:0x100000def")
    with pytest.raises(
        mpscnn.DeviceError, match="kernel 'blur' was compiled for another device than this queue's"
    ):
        kernel.encode(other.command_buffer(), IMAGE, OTHER)


def test_temporary_image_is_read_once() -> None:
    queue = mpscnn.CommandQueue("metal")
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1})
    commands = queue.command_buffer()
    temporary = mpscnn.TemporaryImage(commands, 4, 4, 3)
    blur.encode(commands, IMAGE, temporary)
    blur.encode(commands, temporary, OTHER)
    with pytest.raises(mpscnn.StateError, match="read_count of 0"):
        blur.encode(commands, temporary, OTHER)


def test_committed_command_buffer() -> None:
    queue = mpscnn.CommandQueue("metal")
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1})
    commands = queue.command_buffer()
    commands.commit()
    with pytest.raises(mpscnn.StateError, match="has been committed already"):
        blur.encode(commands, IMAGE, OTHER)


@pytest.mark.parametrize(
    "switch", ["fail_textures", "fail_command_buffers", "fail_encoders", "command_buffer_error"]
)
def test_failures_leave_the_queue_usable(emulation: Emulation, switch: str) -> None:
    queue = mpscnn.CommandQueue("metal")
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1})
    commands = queue.command_buffer()
    blur.encode(commands, IMAGE, OTHER)
    emulation.set(switch, 1)
    commands.commit()
    with pytest.raises(mpscnn.DeviceError):
        commands.wait()
    again = queue.command_buffer()
    blur.encode(again, IMAGE, OTHER)
    again.commit()
    again.wait()


def test_pipeline_that_cannot_be_made(emulation: Emulation) -> None:
    emulation.set("fail_pipelines", 1)
    with pytest.raises(mpscnn.DeviceError, match="kernel 'blur': Metal cannot prepare it"):
        kernels.MetalKernel(BLUR, "blur", constants={"radius": 9})
