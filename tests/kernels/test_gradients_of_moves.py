"""Compare gradients of borders, reshapes and Gram matrices with central differences of references in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import index_rule
from kernels.index_rule import normal
from kernels.test_gradients import run
from reference.differences import numeric_gradient
from reference.padding import padding

import mpscnn
from mpscnn import kernels

pytestmark = pytest.mark.usefixtures("operations_of_training")
Image = mpscnn.Image
MODES = ["zero", "clamp", "mirror", "mirror_with_edge", "constant"]


def padded(x: Any, before: tuple[int, int, int], after: tuple[int, int, int], mode: str) -> Any:
    own = {"zero": "constant"}.get(mode, mode)
    left, top, front = before
    right, bottom, back = after
    return padding(
        x,
        {
            "mode": own,
            "left": left,
            "top": top,
            "front": front,
            "right": right,
            "bottom": bottom,
            "back": back,
            "value": 0.5 if mode == "constant" else 0.0,
        },
    )


@pytest.mark.parametrize("mode", MODES)
def test_borders(mode: str) -> None:
    """Gradients of repeated pixels are summed, and those of constants dropped, also for wide borders."""
    before, after = (1, 4, 2), (5, 0, 3)
    x = normal(0, (2, 3, 4, 3))
    forward = kernels.Pad(before, after, edge_mode=mode, fill_value=0.5)
    result, got, gradient = run(forward, kernels.PadGradient(), x)
    np.testing.assert_allclose(result, padded(x, before, after, mode), atol=1e-6)
    expected = numeric_gradient(lambda own: padded(own, before, after, mode), x, gradient)
    np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("mode", MODES)
def test_a_border_that_the_offset_made(mode: str) -> None:
    """The border follows from the forward kernel's offset and destination. Pixels that were cropped get 0."""
    x = normal(0, (2, 3, 4, 7))
    forward = kernels.Pad(
        (0, 0, 1),
        (0, 0, 1),
        offset=(-2, 1, 1),
        source_feature_channel_offset=3,
        source_feature_channel_max_count=3,
        edge_mode=mode,
        fill_value=0.5,
    )
    source, written = Image.from_numpy(x), Image(5, 4, 5, 1)
    state = forward.result_state(source)
    back, destination = kernels.PadGradient(), Image.from_numpy(np.full((1, 3, 4, 3), 9, np.float32))
    gradient = normal(1, (1, 4, 5, 5))
    with index_rule.QUEUE.command_buffer() as commands:
        forward.encode(commands, source, written, destination_state=state)
        back.encode(commands, Image.from_numpy(gradient), source, state, destination)
    assert (back.kernel_offset_x, back.kernel_offset_y) == (2, -1)
    sizes = (2, -1, 1), (-1, 2, 1)
    own = x[1:, ..., 3:6]
    np.testing.assert_allclose(written.read(), padded(own, *sizes, mode), atol=1e-6)
    expected = numeric_gradient(lambda values: padded(values, *sizes, mode), own, gradient)
    np.testing.assert_allclose(destination.read(), expected, atol=2e-5)


def test_a_border_by_properties() -> None:
    """Without a state, properties describe the border, as in C programs."""
    x, gradient = normal(0, (2, 3, 4, 4)), normal(1, (2, 5, 7, 6))
    back = kernels.PadGradient(
        padding_size_before=(2, 1, 1),
        padding_size_after=(1, 1, 1),
        kernel_offset_x=2,
        kernel_offset_y=1,
        secondary_edge_mode="mirror",
    )
    got = index_rule.encode(back, gradient, x)
    expected = numeric_gradient(lambda own: padded(own, (2, 1, 1), (1, 1, 1), "mirror"), x, gradient)
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_borders_that_are_refused() -> None:
    forward, back = kernels.Pad((1, 1, 2), edge_mode="clamp"), kernels.PadGradient()
    source = Image.from_numpy(normal(0, (3, 4, 4)))
    state = forward.result_state(source)
    commands = index_rule.QUEUE.command_buffer()
    forward.encode(commands, source, destination_state=state)
    with pytest.raises(mpscnn.ShapeError, match="must have 6 feature channels behind its offset, got 4"):
        back.encode(commands, source, source, state)
    with pytest.raises(mpscnn.ParameterError, match="unknown property 'fill_value'"):
        kernels.PadGradient(fill_value=1.0)  # type: ignore[call-arg]
    with pytest.raises(mpscnn.ParameterError, match="padding_size_before must be 0 to"):
        back.padding_size_before = (0, -1, 0)


def test_reshapes() -> None:
    """A reshape keeps all elements. With a channel range, only the channels that were read get gradients."""
    x = normal(0, (3, 3, 4, 6))
    result, got, gradient = run(kernels.Reshape(2, 12, 3), kernels.ReshapeGradient(), x)
    np.testing.assert_array_equal(result.reshape(x.shape), x)
    np.testing.assert_array_equal(got, gradient.reshape(x.shape))
    part = kernels.Reshape(6, 4, 1, source_feature_channel_offset=4, offset=(0, 0, 1))
    source, destination = Image.from_numpy(x), Image.from_numpy(np.full((2, 3, 4, 2), 9, np.float32))
    state = part.result_state(source)
    with index_rule.QUEUE.command_buffer() as commands:
        made = part.encode(commands, source, destination_state=state)
        twice = kernels.Add().encode(commands, made, made)
        kernels.ReshapeGradient().encode(commands, twice, source, state, destination)
    np.testing.assert_array_equal(destination.read(), 2 * x[1:, ..., 4:])


def test_a_reshape_by_its_images_alone() -> None:
    """Without a state, a range of a gradient's channels is reshaped to the size of the source image."""
    x, gradient = normal(0, (2, 3, 4, 2)), normal(1, (2, 2, 3, 12))
    back = kernels.ReshapeGradient(
        primary_source_feature_channel_offset=4, primary_source_feature_channel_max_count=4
    )
    got = index_rule.encode(back, gradient, x)
    np.testing.assert_array_equal(got, gradient[..., 4:8].reshape(x.shape))


def test_reshapes_that_are_refused() -> None:
    source, back = Image.from_numpy(normal(0, (3, 4, 4))), kernels.ReshapeGradient()
    forward = kernels.Reshape(2, 6, 4)
    state = forward.result_state(source)
    commands = index_rule.QUEUE.command_buffer()
    forward.encode(commands, source, destination_state=state)
    turned = Image.from_numpy(normal(0, (2, 6, 4)))
    with pytest.raises(mpscnn.ShapeError, match=r"must be 2 x 6 with 4 feature channels .* got 6 x 2 with 4"):
        back.encode(commands, turned, source, state)
    small = Image.from_numpy(normal(0, (2, 6, 3)))
    with pytest.raises(mpscnn.ShapeError, match=r"48 elements per image, which do not fit shape \[2, 6, 3\]"):
        back.encode(commands, small, source)
    with pytest.raises(mpscnn.ParameterError, match="primary_offset, secondary_offset and kernel offsets"):
        kernels.ReshapeGradient(primary_offset=(1, 0)).encode(commands, turned, source)
    with pytest.raises(mpscnn.ParameterError, match="unknown property 'reshaped_width'"):
        kernels.ReshapeGradient(reshaped_width=3)  # type: ignore[call-arg]


def gram(x: Any, alpha: float) -> Any:
    return alpha * np.einsum("nyxf,nyxc->nfc", x, x)[:, None]


@pytest.mark.parametrize("alpha", [1.0, 0.25])
def test_gram_matrices(alpha: float) -> None:
    """Both factors of each product come from the source, so each element gets two terms."""
    x = normal(0, (2, 3, 4, 5))
    forward, back = kernels.GramMatrixCalculation(alpha), kernels.GramMatrixCalculationGradient()
    result, got, gradient = run(forward, back, x)
    np.testing.assert_allclose(result, gram(x.astype(np.float64), alpha), atol=1e-4)
    expected = numeric_gradient(lambda own: gram(own, alpha), x, gradient)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)
    assert back.alpha == np.float32(alpha)
    both = gradient[:, 0].astype(np.float64) + gradient[:, 0].transpose(0, 2, 1)
    np.testing.assert_allclose(got, alpha * np.einsum("nfc,nyxf->nyxc", both, x), rtol=1e-5, atol=1e-4)


def test_a_gram_matrix_of_some_channels() -> None:
    """Channels are read from an offset on. Other channels of the destination do not change."""
    x, gradient = normal(0, (2, 3, 4, 8)), normal(1, (2, 1, 3, 3))
    back = kernels.GramMatrixCalculationGradient(
        2.0,
        secondary_source_feature_channel_offset=4,
        secondary_source_feature_channel_max_count=3,
        destination_feature_channel_offset=4,
        clip_rect=(1, 0, 2, 3),
    )
    before = normal(2, (2, 3, 4, 8))
    destination = Image.from_numpy(before)
    with index_rule.QUEUE.command_buffer() as commands:
        back.encode(commands, Image.from_numpy(gradient), Image.from_numpy(x), None, destination)
    own = numeric_gradient(lambda values: gram(values, 2.0), x[..., 4:7], gradient)
    expected = before.astype(np.float64)
    # The first pixel of the clip rectangle gets the gradient of the source pixel at the offset, (0, 0).
    expected[:, :, 1:3, 4:7] = own[:, :, :2]
    np.testing.assert_allclose(destination.read(), expected, rtol=1e-5, atol=1e-4)


def test_gram_matrices_that_are_refused() -> None:
    source, back = Image.from_numpy(normal(0, (3, 4, 5))), kernels.GramMatrixCalculationGradient()
    commands = index_rule.QUEUE.command_buffer()
    wrong = Image.from_numpy(normal(0, (2, 5, 5)))
    with pytest.raises(mpscnn.ShapeError, match="is written whole: 5 x 1; its gradient has 5 x 2"):
        back.encode(commands, wrong, source)
    with pytest.raises(mpscnn.ParameterError, match="primary_offset, secondary_offset and kernel offsets"):
        kernels.GramMatrixCalculationGradient(kernel_offset_x=1).encode(commands, wrong, source)
    with pytest.raises(mpscnn.ParameterError, match="alpha must be a finite number"):
        kernels.GramMatrixCalculationGradient(float("nan"))
