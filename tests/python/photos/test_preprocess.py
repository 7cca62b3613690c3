"""Photos in memory of every kind become a network's input, compared with the definition in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import preprocess as reference

import mpscnn
from mpscnn import ImageError, ParameterError, YuvImage, open_photo
from mpscnn.vision.visualize import upright_picture

#: The error of sums of some 40 float32 products per axis of values up to 255, each rounded to half an epsilon. The
#: matrix of YUV triples the error.
TOLERANCE = 255 * 80 * float(np.finfo(np.float32).eps) / 2

ORDERS = {  # channels of uint8 arrays -> the positions of red, green, blue and alpha
    "gray": [0],
    "gray_alpha": [0, 1],
    "rgb": [0, 1, 2],
    "rgba": [0, 1, 2, 3],
    "bgr": [2, 1, 0],
    "bgra": [2, 1, 0, 3],
    "rgbx": [0, 1, 2],
    "bgrx": [2, 1, 0],
}
CHANNELS = {"gray_alpha": 2, "rgba": 4, "bgra": 4, "rgbx": 4, "bgrx": 4, "gray": 1}


FILTERS = ["bilinear_antialias", "bilinear", "nearest", "bicubic_antialias", "bicubic"]


@st.composite
def settings_of(draw: st.DrawFn) -> dict[str, Any]:
    whole = draw(st.booleans())
    order = draw(st.sampled_from(["rgb", "bgr", "gray"]))
    return {
        "fit": draw(st.sampled_from(["stretch", "center_crop", "letterbox"])),
        "filter": draw(st.sampled_from(FILTERS)),
        "crop_fraction": draw(st.sampled_from([1.0, 0.875, 0.3, *([1.15] if whole else [])])),
        "whole_pixels": whole,
        "order": order,
        "letterbox_value": draw(st.sampled_from([114.0] if order == "gray" else [114.0, [10.0, 20.0, 30.0]])),
        "letterbox_position": "center" if whole else draw(st.sampled_from(["center", "top_left"])),
    }


sides = st.integers(1, 40)
orientations = st.integers(1, 8)
seeds = st.integers(0, 2**32 - 1)


def prepared(photo: Any, size: tuple[int, int], options: dict[str, Any]) -> Any:
    channels = 1 if options["order"] == "gray" else 3
    described = {**options, "mean": [0.0] * channels, "scale": [1.0] * channels}
    return mpscnn.preprocess(photo, size, described, channels=channels)[0]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(list(ORDERS)),
    st.sampled_from([np.uint8, np.uint16, np.float16, np.float32]),
    st.tuples(sides, sides) | st.just((23, 3001)),  # long rows take several blocks of columns
    st.tuples(sides, sides),
    orientations,
    settings_of(),
    seeds,
)
def test_arrays(
    order: str,
    dtype: Any,
    shape: tuple[int, int],
    size: tuple[int, int],
    orientation: int,
    options: dict[str, Any],
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    samples = random.random((*shape, CHANNELS.get(order, 3)))
    # Opaque rows are computed by other code than transparent ones.
    if order.endswith("a"):
        samples[random.random(shape[0]) < 0.5, :, -1] = 1
    if order not in ("gray", "rgb", "rgba"):
        dtype = np.uint8
    whole = np.dtype(dtype).kind == "u"
    array = np.rint(samples * np.iinfo(dtype).max).astype(dtype) if whole else samples.astype(dtype)
    photo = open_photo(array, channel_order=order, orientation=orientation)
    expected = reference.preprocess(array[..., ORDERS[order]], *size, orientation=orientation, **options)
    np.testing.assert_allclose(prepared(photo, size, options), expected, rtol=0, atol=TOLERANCE)


def planes(random: np.random.Generator, height: int, width: int) -> list[Any]:
    half = (height + 1) // 2, (width + 1) // 2
    return [random.integers(0, 256, shape, np.uint8) for shape in ((height, width), half, half)]


@settings(max_examples=150, deadline=None)
@given(
    st.booleans(),
    st.sampled_from(["bt601", "bt709"]),
    st.sampled_from(["video", "full"]),
    st.sampled_from(["left", "center"]),
    st.tuples(sides, sides),
    st.tuples(sides, sides),
    orientations,
    settings_of(),
    seeds,
)
def test_yuv(
    pairs: bool,
    matrix: str,
    range_: str,
    siting: str,
    shape: tuple[int, int],
    size: tuple[int, int],
    orientation: int,
    options: dict[str, Any],
    seed: int,
) -> None:
    y, u, v = planes(np.random.default_rng(seed), *shape)
    given_planes = (y, np.stack([u, v], axis=-1)) if pairs else (y, u, v)
    photo = YuvImage(*given_planes, matrix=matrix, range=range_, siting=siting, orientation=orientation)
    expected = reference.preprocess_yuv(
        *(y, u, v, *size),
        matrix=matrix,
        video=range_ == "video",
        left=siting == "left",
        orientation=orientation,
        **options,
    )
    np.testing.assert_allclose(prepared(photo, size, options), expected, rtol=0, atol=3 * TOLERANCE)


def test_known_colours() -> None:
    """The colours are those of ITU-R BT.601: white, black, gray, and 100% red (luma 81, chroma 90 and 240)."""
    for (y, u, v), rgb in {
        (235, 128, 128): (255, 255, 255),
        (16, 128, 128): (0, 0, 0),
        (81, 90, 240): (255, 0, 0),
    }.items():
        frame = YuvImage(
            np.full((4, 6), y, np.uint8), np.full((2, 3), u, np.uint8), np.full((2, 3), v, np.uint8)
        )
        np.testing.assert_allclose(
            mpscnn.preprocess(frame, (2, 2), "none"), np.broadcast_to(rgb, (1, 2, 2, 3)), atol=1
        )


def test_planes_are_read_where_they_lie() -> None:
    y, u, v = planes(np.random.default_rng(1), 10, 14)
    expected = mpscnn.preprocess(YuvImage(y, u, v), (5, 5))
    buffer = np.zeros((15, 32), np.uint8)  # like a decoder's frame: padded rows, and chroma after luma
    buffer[:10, :14] = y
    buffer[10:, :14] = np.stack([u, v], axis=-1).reshape(5, 14)
    frame = YuvImage(buffer[:10, :14], buffer[10:, :14])
    assert np.shares_memory(frame.y, buffer)
    assert np.shares_memory(frame.u, buffer)
    np.testing.assert_array_equal(mpscnn.preprocess(frame, (5, 5)), expected)
    reversed_rows = YuvImage(y[::-1], u[::-1], v[::-1], orientation=4)
    np.testing.assert_array_equal(mpscnn.preprocess(reversed_rows, (5, 5)), expected)
    strided = YuvImage(np.repeat(y, 2, axis=1)[:, ::2], u, np.repeat(v, 2, axis=1)[:, ::2])
    np.testing.assert_array_equal(mpscnn.preprocess(strided, (5, 5)), expected)


def test_yuv_frames_are_photos() -> None:
    y, u, v = planes(np.random.default_rng(2), 32, 48)
    model = mpscnn.load("cifar10_mobilenet_v2")
    assert model.preprocess is not None
    frame = YuvImage(y, u, v, orientation=6)
    height, width = (int(extent or 0) for extent in next(iter(model.program.inputs.values()))[1:3])
    scores = model.program.session().run(mpscnn.preprocess(frame, (height, width), model.preprocess))
    assert model.classify(frame).top(1)[0].index == np.argmax(scores)
    with mpscnn.Runner(model) as runner:
        assert runner.submit(frame).result().top(3) == model.classify(frame).top(3)
    seen = np.rint(mpscnn.preprocess(frame, (48, 32), "none")[0])
    np.testing.assert_array_equal(np.asarray(upright_picture(frame)), seen)
    assert open_photo(frame).size == (32, 48)


def test_pictures_of_other_orders_have_their_colours() -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (4, 5, 3), np.uint8)
    for array, order in ((rgb[..., ::-1], "bgr"), (np.dstack([rgb[..., ::-1], rgb[..., :1]]), "bgrx")):
        np.testing.assert_array_equal(
            np.asarray(upright_picture(open_photo(array, channel_order=order))), rgb
        )


Y, HALF = np.zeros((6, 8), np.uint8), np.zeros((3, 4), np.uint8)


@pytest.mark.parametrize(
    ("planes", "options", "message"),
    [
        ((Y, HALF[:2], HALF), {}, r"u: \(3, 4\) pixels go with y \(6, 8\), got \(2, 4\)"),
        ((Y, HALF, HALF[:, :3]), {}, r"v: \(3, 4\) pixels go with y"),
        ((Y, np.zeros((3, 5, 2), np.uint8)), {}, r"uv: \(3, 4\) pixels go with y \(6, 8\), got \(3, 5, 2\)"),
        ((Y, np.zeros((3, 7), np.uint8)), {}, r"uv: NV12 needs the shape \(height, width, 2\), got \(3, 7\)"),
        ((np.zeros((6, 8, 3), np.uint8), HALF, HALF), {}, r"y: 8-bit needs the shape"),
        ((Y.astype(np.float32), HALF, HALF), {}, r"y must be uint8 of 2 axes.* got \(6, 8\) float32"),
        ((Y[:0], HALF, HALF), {}, r"y must be uint8 of 2 axes.* got \(0, 8\) uint8"),
        ((Y, HALF, HALF), {"matrix": "bt2020"}, "unknown YUV matrix 'bt2020'; known are bt601, bt709"),
        ((Y, HALF, HALF), {"range": "limited"}, "unknown YUV range 'limited'; known are video, full"),
        ((Y, HALF, HALF), {"siting": "top"}, "unknown chroma siting 'top'; known are left, center"),
    ],
)
def test_wrong_planes_are_named(planes: Any, options: dict[str, str], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        YuvImage(*planes, **options)


def test_threads_that_share_a_photo_change_no_bit(tmp_path: Path) -> None:
    network = mpscnn.Network(input=(150, 90, 3))
    network.output(network.softmax(network.dense(network.input, 7)))
    network.initialize_weights(1)
    network.save(tmp_path / "model.safetensors", dtype="float32", preprocess="torch")
    pixels = np.random.default_rng(3).integers(0, 256, (301, 211, 3), np.uint8)
    expected = network.compile(device="cpu").session().run(mpscnn.preprocess(pixels, (150, 90), "torch"))[0]
    for threads in 1, 2, 4:
        found = mpscnn.load(tmp_path / "model.safetensors", device="cpu", threads=threads).predict(pixels)
        assert {p.index: p.probability for p in found} == dict(enumerate(expected.tolist()))


def test_wrong_orders_and_orientations_are_named() -> None:
    array = np.zeros((4, 5, 3), np.uint8)
    with pytest.raises(ParameterError, match="'bgra' does not go with 3 channels; allowed are rgb, bgr"):
        open_photo(array, channel_order="bgra")
    with pytest.raises(ParameterError, match="channel_order is for arrays, the photo is a bytes"):
        open_photo(b"x", channel_order="bgr")
    with pytest.raises(ImageError, match="channel_order 'bgr' is for uint8"):
        open_photo(array.astype(np.uint16), channel_order="bgr")
    with pytest.raises(ParameterError, match="orientation must be 1 to 8"):
        open_photo(array, orientation=9)
    with pytest.raises(ParameterError, match="orientation must be 1 to 8"):
        open_photo(array, orientation=2.0)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="orientation is 9, EXIF defines 1 to 8"):
        YuvImage(Y, HALF, HALF, orientation=9)
    with pytest.raises(ImageError, match=r"orientation is 2\.0, EXIF defines 1 to 8"):
        YuvImage(Y, HALF, HALF, orientation=2.0)  # type: ignore[arg-type]
