"""Kernels of the user's own between others."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation
from numpy.typing import NDArray

import mpscnn
from mpscnn import kernels

PREFIX = "#include <metal_stdlib>\nusing namespace metal;\n"

BLUR = (
    PREFIX
    + """
constant int radius [[function_constant(0)]];

kernel void blur(texture2d<float, access::read> source [[texture(0)]],
                 texture2d<float, access::write> result [[texture(1)]],
                 uint2 position [[thread_position_in_grid]]) {
    if (position.x >= result.get_width() || position.y >= result.get_height()) return;
    float4 sum = float4(0.0f);
    for (int i = -radius; i <= radius; ++i) {
        int x = clamp(int(position.x) + i, 0, int(source.get_width()) - 1);
        sum += source.read(uint2(uint(x), position.y));
    }
    result.write(sum / float(2 * radius + 1), position);
}
"""
)

SCALE = (
    PREFIX
    + """
struct Range { float lowest, highest; };

kernel void scale(const device float *values [[buffer(0)]], device float *results [[buffer(2)]],
                  constant float &factor [[buffer(3)]], constant Range &range [[buffer(4)]],
                  uint position [[thread_position_in_grid]]) {
    if (position >= 10u) return;
    results[position] = clamp(values[position] * factor, range.lowest, range.highest);
}
"""
)

SLICES = (
    PREFIX
    + """
kernel void shift(texture2d_array<half, access::read> source [[texture(0)]],
                  texture2d_array<half, access::write> result [[texture(1)]],
                  const device half4 *shifts [[buffer(0)]], uint3 position [[thread_position_in_grid]]) {
    if (position.x >= result.get_width() || position.y >= result.get_height() ||
        position.z >= result.get_array_size()) return;
    result.write(source.read(position.xy, position.z) + shifts[position.z], position.xy, position.z);
}
"""
)

CONSTANTS = (
    PREFIX
    + """
constant bool flag [[function_constant(0)]];
constant int whole [[function_constant(1)]];
constant uint large [[function_constant(2)]];
constant short small [[function_constant(3)]];
constant ushort tiny [[function_constant(4)]];
constant half rough [[function_constant(5)]];
constant float fine [[function_constant(6)]];
constant float4 four [[function_constant(7)]];
constant half3 three [[function_constant(8)]];
constant uchar2 two [[function_constant(9)]];

kernel void tell(device float *results [[buffer(0)]], uint position [[thread_position_in_grid]]) {
    if (position > 0u) return;
    results[0] = flag ? 1.0f : 0.0f;
    results[1] = float(whole);
    results[2] = float(large);
    results[3] = float(small);
    results[4] = float(tiny);
    results[5] = float(rough);
    results[6] = fine;
    results[7] = four.w;
    results[8] = float(three.z);
    results[9] = float(two.y);
}
"""
)
VALUES: dict[str, Any] = {
    "flag": True,
    "whole": -5,
    "large": 4_000_000_000,
    "small": np.int16(-300),
    "tiny": 65535,
    "rough": 0.5,
    "fine": np.float32(1.25),
    "four": (1, 2, 3, 4),
    "three": np.array([1, 2, 3], np.float16),
    "two": [7, 8],
}

COUNT_UP = (
    PREFIX
    + """
kernel void count_up(device int *value [[buffer(0)]], uint position [[thread_position_in_grid]]) {
    if (position == 0u) value[0] += 1;
}
"""
)


def blurred(array: NDArray[Any], radius: int) -> NDArray[np.float32]:
    """The mean of each pixel's row from `radius` before to `radius` behind, clamped."""
    columns = np.clip(
        np.arange(array.shape[1])[:, None] + np.arange(-radius, radius + 1), 0, array.shape[1] - 1
    )
    return np.asarray(array[:, columns].astype(np.float64).mean(2), np.float32)


def photo(height: int, width: int, channels: int) -> NDArray[np.float32]:
    return np.random.default_rng(height + width).random((height, width, channels), np.float32)


def test_blurs_an_image() -> None:
    queue = mpscnn.CommandQueue("metal")
    array = photo(5, 37, 3)
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 2})
    source, result = mpscnn.Image.from_numpy(array), mpscnn.Image(37, 5, 3)
    with queue.command_buffer() as commands:
        blur.encode(commands, source, result)
    np.testing.assert_allclose(result.numpy(), blurred(array, 2), atol=1e-6)


@pytest.mark.parametrize("format", ["float16", "unorm8", "unorm16"])
def test_images_have_any_format(format: str) -> None:
    queue = mpscnn.CommandQueue("metal")
    dtype = {"float16": np.float16, "unorm8": np.uint8, "unorm16": np.uint16}[format]
    top = 1 if format == "float16" else np.iinfo(dtype).max
    array = (photo(4, 6, 2) * top).astype(dtype)
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1})
    source, result = mpscnn.Image.from_numpy(array), mpscnn.Image(6, 4, 2, format=format)
    with queue.command_buffer() as commands:
        blur.encode(commands, source, result)
    np.testing.assert_allclose(result.numpy().astype(float), blurred(array, 1), atol=1e-3 if top == 1 else 1)


def test_lies_between_other_kernels_and_a_network(emulation: Emulation) -> None:
    queue = mpscnn.CommandQueue("metal")
    array = photo(8, 8, 3)
    net = mpscnn.Network(input=(4, 4, 3))
    net.output(net.add(net.input, net.input))
    session = net.compile(device="metal").session()
    pool = kernels.PoolingAverage(2, 2, stride_x=2, stride_y=2, offset=(1, 1, 0))
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1})
    source, small = mpscnn.Image.from_numpy(array), mpscnn.Image(4, 4, 3)
    with queue.command_buffer() as commands:
        pool.encode(commands, source, small)
        middle = kernels.allocate_temporary_image(commands, small.descriptor)
        blur.encode(commands, small, middle)
        made = emulation.get("buffers_made")
        result = session.encode(commands, middle)
    assert isinstance(result, mpscnn.Image)
    expected = 2 * blurred(array.reshape(4, 2, 4, 2, 3).mean((1, 3)), 1)
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-6)
    assert emulation.get("buffers_made") == made, "nothing is copied between host and GPU"


@pytest.mark.parametrize("device", ["cpu", "metal:0x100000def"])
def test_a_session_of_another_device_takes_its_turn(emulation: Emulation, device: str) -> None:
    queue = mpscnn.CommandQueue("metal")
    emulation.set("devices", 2)
    array = photo(4, 4, 3)
    net = mpscnn.Network(input=(4, 4, 3))
    net.output(net.add(net.input, net.input))
    session = net.compile(device=device).session()
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1})
    before, after = mpscnn.Image(4, 4, 3), mpscnn.Image(4, 4, 3)
    with queue.command_buffer() as commands:
        blur.encode(commands, mpscnn.Image.from_numpy(array), before)
        result = session.encode(commands, before)
        assert isinstance(result, mpscnn.Image)
        blur.encode(commands, result, after)
    np.testing.assert_allclose(after.numpy(), blurred(2 * blurred(array, 1), 1), atol=1e-6)


def test_one_command_buffer_and_no_copy(emulation: Emulation) -> None:
    """Nothing but the pages of images and of an array of mpscnn.empty takes part."""
    queue = mpscnn.CommandQueue("metal")
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 1})
    source, middle, result = (mpscnn.Image(6, 6, 4) for _ in range(3))
    made = emulation.get("buffers_made")
    shared = emulation.get("no_copy_buffers_made")
    with queue.command_buffer() as commands:
        blur.encode(commands, source, middle)
        blur.encode(commands, middle, result)
    assert emulation.get("buffers_made") == made
    assert emulation.get("no_copy_buffers_made") == shared + 3


def test_arrays_and_numbers() -> None:
    queue = mpscnn.CommandQueue("metal")
    kernel = kernels.MetalKernel(SCALE, "scale")
    values = np.arange(10, dtype=np.float32)
    limits = np.array([(2, 9)], dtype=[("lowest", np.float32), ("highest", np.float32)])
    results = np.zeros(10, np.float32)
    with queue.command_buffer() as commands:
        kernel.encode(commands, values, results, 1.5, limits, grid=10)
    np.testing.assert_array_equal(results, np.clip(values * 1.5, 2, 9).astype(np.float32))
    by_name = mpscnn.empty((10,), np.float32)
    with queue.command_buffer() as commands:
        kernel.encode(
            commands, range=limits, factor=np.float32(2), results=by_name, values=values, grid=(10,)
        )
    np.testing.assert_array_equal(by_name, np.clip(values * 2, 2, 9))


def test_mixed_arguments() -> None:
    """Those without a name take the parameters that none is named for."""
    queue = mpscnn.CommandQueue("metal")
    kernel = kernels.MetalKernel(SCALE, "scale")
    values, results = np.arange(10, dtype=np.float32), np.zeros(10, np.float32)
    with queue.command_buffer() as commands:
        kernel.encode(
            commands, results, 3, np.float32([-100, 100]), values=values, grid=(4, 1, 1), threadgroup=4
        )
    np.testing.assert_array_equal(results, [0, 3, 6, 9, 0, 0, 0, 0, 0, 0])


def test_several_images_and_channels_are_slices() -> None:
    queue = mpscnn.CommandQueue("metal")
    array = np.arange(2 * 3 * 2 * 6).reshape(2, 3, 2, 6).astype(np.float16)
    shifts = np.arange(16, dtype=np.float16).reshape(4, 4)
    result = mpscnn.Image(2, 3, 6, 2, format="float16")
    with queue.command_buffer() as commands:
        kernels.MetalKernel(SLICES, "shift").encode(
            commands, mpscnn.Image.from_numpy(array), result, shifts.reshape(-1)
        )
    channels = shifts.reshape(2, 8)[:, :6]
    np.testing.assert_array_equal(result.numpy(), array + channels[:, None, None, :])


def test_what_is_not_written_stays() -> None:
    queue = mpscnn.CommandQueue("metal")
    result = mpscnn.Image.from_numpy(np.full((4, 4, 1), 7, np.float32))
    blur = kernels.MetalKernel(BLUR, "blur", constants={"radius": 0})
    with queue.command_buffer() as commands:
        blur.encode(
            commands,
            mpscnn.Image.from_numpy(np.ones((4, 4, 1), np.float32)),
            result,
            grid=(2, 3),
            threadgroup=(2, 3),
        )
    expected = np.full((4, 4), 7)
    expected[:3, :2] = 1
    np.testing.assert_array_equal(result.numpy()[..., 0], expected)


@pytest.mark.parametrize("array", ["numpy", "pages", "part of pages"])
def test_commands_see_what_those_before_them_wrote(array: str) -> None:
    queue = mpscnn.CommandQueue("metal")
    value = np.zeros(1, np.int32)
    if array != "numpy":
        whole = mpscnn.empty((2,), np.float32).view(np.int32)
        whole[:] = 0
        value = whole[1:] if array == "part of pages" else whole[:1]
    kernel = kernels.MetalKernel(COUNT_UP, "count_up")
    with queue.command_buffer() as commands:
        for _ in range(3):
            kernel.encode(commands, value, grid=1)
    assert value[0] == 3


def test_overlapping_arrays_of_two_commands() -> None:
    queue = mpscnn.CommandQueue("metal")
    values = np.zeros(2, np.int32)
    kernel = kernels.MetalKernel(COUNT_UP, "count_up")
    with queue.command_buffer() as commands:
        kernel.encode(commands, values, grid=1)
        kernel.encode(commands, values[:1], grid=1)
    np.testing.assert_array_equal(values, [2, 0])


def test_arrays_live_until_the_end(emulation: Emulation) -> None:
    queue = mpscnn.CommandQueue("metal")
    emulation.set("worker_delay_ms", 50)
    kernel = kernels.MetalKernel(SCALE, "scale")
    results = np.zeros(10, np.float32)
    commands = queue.command_buffer()
    kernel.encode(commands, np.ones(10, np.float32), results, 2, np.float32([0, 9]), grid=10)
    commands.commit()
    del commands, kernel
    queue.wait()
    np.testing.assert_array_equal(results, np.full(10, 2))


def test_typed_constants() -> None:
    queue = mpscnn.CommandQueue("metal")
    results = np.zeros(10, np.float32)
    with queue.command_buffer() as commands:
        kernels.MetalKernel(CONSTANTS, "tell", constants=VALUES).encode(commands, results, grid=1)
    np.testing.assert_array_equal(results, [1, -5, 4e9, -300, 65535, 0.5, 1.25, 4, 3, 8])


def test_describes_itself() -> None:
    kernel = kernels.MetalKernel(SLICES, "shift")
    assert kernel.function == "shift"
    assert repr(kernel) == "<MetalKernel 'shift'>"
    assert kernel.parameters == (
        kernels.MetalParameter("image", "source", 0, False, True, "", 0),
        kernels.MetalParameter("image", "result", 1, True, True, "", 0),
        kernels.MetalParameter("buffer", "shifts", 0, False, False, "half", 8),
    )
    assert kernel.max_total_threads_per_threadgroup == 1024
    assert kernel.thread_execution_width == 32


def test_is_compiled_once(emulation: Emulation) -> None:
    first = kernels.MetalKernel(BLUR, "blur", constants={"radius": 3})
    emulation.set("fail_libraries", 1)
    second = kernels.MetalKernel(BLUR, "blur", constants={"radius": 3})
    assert first.parameters == second.parameters
    with pytest.raises(mpscnn.DeviceError, match="kernel 'blur': Metal makes no library: a failure that was"):
        kernels.MetalKernel(BLUR, "blur", constants={"radius": 4})


def test_the_example_of_the_documentation(project: Path) -> None:
    text = (project / "docs" / "metal.md").read_text("utf-8")
    example = re.search(r"## Writing a custom kernel\n.*?```python\n(.*?)```", text, re.DOTALL)
    assert example is not None
    names: dict[str, Any] = {}
    exec(example[1], names)
    array = names["photo"].numpy()
    soft = array + np.float32(0.8) * (blurred(array, 2) - array)
    np.testing.assert_allclose(names["soft"].numpy(), soft, atol=1e-6)
    expected = soft.reshape(32, 2, 24, 2, 3).max((1, 3))
    np.testing.assert_allclose(names["small"].numpy(), expected, atol=1e-6)


# ---- Errors --------------------------------------------------------------------------------------------------


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
        ("blur\ud800", "is no valid text"),
    ],
)
def test_what_is_no_text(argument: str, value: Any, message: str) -> None:
    given: dict[str, Any] = {"source": BLUR, "function": "blur", "device": "metal", argument: value}
    with pytest.raises(mpscnn.ParameterError, match=f"MetalKernel: {argument} {message}"):
        kernels.MetalKernel(given["source"], given["function"], device=given["device"])


def test_others_run_python_while_a_kernel_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where the emulation looks for what it has compiled before
    arguments = {"source": BLUR, "function": "blur", "constants": {"radius": 11}}
    compiling = threading.Thread(target=kernels.MetalKernel, kwargs=arguments)
    begin = last = time.monotonic()
    longest = 0.0
    compiling.start()
    while compiling.is_alive():
        time.sleep(0.001)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    assert longest < (last - begin) / 2


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
    """Encodes a kernel and runs it."""
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
    with pytest.raises(mpscnn.ParameterError, match=r"1\.5 is no int"):
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
