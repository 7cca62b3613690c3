"""Compare anchors and box coding with the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from reference import detection as reference

import mpscnn

ULTRAFACE_SIZES = [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]]

sides = st.integers(1, 400)
ratios = st.floats(0.2, 5.0)


@st.composite
def scale_rules(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "strides": draw(st.lists(st.integers(30, 200), min_size=1, max_size=4)),
        "min_scale": draw(st.floats(0.05, 0.5)),
        "max_scale": draw(st.floats(0.5, 1.0)),
        "aspect_ratios": draw(st.lists(ratios, min_size=1, max_size=5)),
        "reduce_lowest": draw(st.booleans()),
        "interpolated_ratio": draw(st.just(0.0) | ratios),
    }


@given(st.tuples(sides, sides), scale_rules())
def test_tensorflows_rule(size: tuple[int, int], rule: dict[str, Any]) -> None:
    detector = mpscnn.Detector({"version": 1, "anchors": {"rule": "scales", **rule}}, size)
    np.testing.assert_allclose(detector.anchors, reference.scale_anchors(size, **rule), rtol=1e-6)


@given(st.tuples(sides, sides), st.data(), st.sampled_from(["stride", "grid"]), st.booleans())
def test_sizes_in_pixels(size: tuple[int, int], data: st.DataObject, centers: str, clip: bool) -> None:
    strides = data.draw(st.lists(st.integers(20, 200), min_size=1, max_size=3))
    pixels = st.floats(1.0, 500.0)
    sizes = [data.draw(st.lists(st.tuples(pixels, pixels), min_size=1, max_size=3)) for _ in strides]
    rule = {"strides": strides, "sizes": sizes, "centers": centers, "clip": clip}
    detector = mpscnn.Detector({"version": 1, "anchors": {"rule": "sizes", **rule}}, size)
    expected = reference.size_anchors(size, **rule)  # type: ignore[arg-type]
    np.testing.assert_allclose(detector.anchors, expected, rtol=1e-6)


def test_ssd_has_its_1917_anchors() -> None:
    """Compare the first anchors, and those of the last map, with those of TensorFlow's SSD MobileNet for 300 x 300."""
    anchors = mpscnn.Detector({"version": 1, "anchors": {"rule": "scales"}}, (300, 300)).anchors
    assert anchors.shape == (1917, 4)
    first = [
        (1 / 38, 1 / 38, 0.1, 0.1),
        (1 / 38, 1 / 38, 0.2828427, 0.1414214),
        (1 / 38, 1 / 38, 0.1414214, 0.2828427),
        (3 / 38, 1 / 38, 0.1, 0.1),
    ]
    np.testing.assert_allclose(anchors[:4], first, rtol=1e-6)
    np.testing.assert_allclose(anchors[-1], (0.5, 0.5, 0.9746794, 0.9746794), rtol=1e-6)
    np.testing.assert_allclose(anchors[-5], (0.5, 0.5, 1.3435029, 0.6717514), rtol=1e-6)


def test_a_side_that_is_no_multiple_of_the_stride() -> None:
    sizes = [[(10, 10)]]
    by_stride, by_grid = (
        mpscnn.Detector(
            {
                "version": 1,
                "anchors": {"rule": "sizes", "strides": [64], "sizes": sizes, "centers": centers},
            },
            (240, 320),
        ).anchors
        for centers in ("stride", "grid")
    )
    assert len(by_stride) == len(by_grid) == 4 * 5
    assert by_stride[-1, 1] == pytest.approx(3.5 * 64 / 240)
    assert by_grid[-1, 1] == pytest.approx(3.5 / 4)


def test_ultraface_has_its_4420_anchors() -> None:
    sizes = [[(side, side) for side in row] for row in ULTRAFACE_SIZES]
    rule = {"rule": "sizes", "strides": [8, 16, 32, 64], "sizes": sizes, "centers": "grid", "clip": True}
    anchors = mpscnn.Detector({"version": 1, "anchors": rule}, (240, 320)).anchors
    assert anchors.shape == (4420, 4)
    assert anchors.min() > 0.0
    assert anchors.max() == 1.0


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 37),
    st.sampled_from(["yx", "xy"]),
    st.sampled_from([40.0, 0.25]),
    st.booleans(),
)
def test_decoding(seed: int, count: int, order: str, max_log_size: float, clip: bool) -> None:
    generator = np.random.default_rng(seed)
    anchors = generator.uniform(0.05, 1.0, (count, 4)).astype(np.float32)
    codes = (generator.standard_normal((count, 4)) * 5.0).astype(np.float32)
    variances = generator.uniform(0.05, 0.3, 4).astype(np.float32).tolist()
    detector = mpscnn.Detector(
        {
            "version": 1,
            "anchors": {"rule": "stored"},
            "boxes": {"order": order, "variances": variances, "max_log_size": max_log_size, "clip": clip},
        },
        (300, 300),
        anchors=anchors,
    )
    np.testing.assert_array_equal(detector.anchors, anchors)
    expected = reference.decode(
        codes.astype(np.float64), anchors.astype(np.float64), variances, order, max_log_size
    )
    expected = np.clip(expected, 0.0, 1.0) if clip else expected
    np.testing.assert_allclose(detector.decode(codes), expected, rtol=1e-5, atol=1e-5)


def test_immense_sizes_stay_finite() -> None:
    detector = mpscnn.Detector(
        {"version": 1, "anchors": {"rule": "stored"}}, (300, 300), anchors=[[0.5, 0.5, 1.0, 1.0]]
    )
    box = detector.decode([[0.0, 0.0, 1e6, -1e6]])[0]
    assert np.isfinite(box).all()
    assert box[2] - box[0] < 1e-17  # the last code is that of the width in the order "yx"
    assert box[3] - box[1] > 1e17


@pytest.mark.parametrize(("order", "edges"), [("xy", (1, 2, 3, 4)), ("yx", (2, 1, 4, 3))])
def test_edges_that_the_network_gives(order: str, edges: tuple[float, ...]) -> None:
    detector = mpscnn.Detector(
        {"version": 1, "anchors": {"rule": "none"}, "boxes": {"order": order}}, (300, 300)
    )
    assert detector.anchors.shape == (0, 4)
    np.testing.assert_array_equal(detector.decode([(1, 2, 3, 4)] * 3), [edges] * 3)
