"""Test equations of Einsum that are refused. `test_onnx_several_layers.py` draws those that are read."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="needs onnx")

from converters.onnx_files import model, node, read, weights

import mpscnn

CHANNELS = {"x": (2, 3, 5, 4)}


@pytest.mark.parametrize(
    ("equation", "shape", "reason"),
    [
        ("bcii,ck->bki", (3, 4), "an axis of each operand may be named once"),
        ("...w,...w->...w", (1, 4), "repeats an axis of extent 1"),
    ],
)
def test_what_is_refused(equation: str, shape: tuple[int, ...], reason: str) -> None:
    with pytest.raises(mpscnn.UnsupportedError, match=rf"Einsum\).*{reason}"):
        read(model([node("Einsum", ["x", "w"], equation=equation)], CHANNELS, {"w": weights(*shape)}))


@pytest.mark.parametrize("equation", ["bchw,cw", "bchw->bchz", "b..w,w->b", "bc,w->b", "bchwz,w->b"])
def test_damaged_equations(equation: str) -> None:
    operands = ["x", "w"][: equation.count(",") + 1]
    with pytest.raises((mpscnn.WeightsError, mpscnn.UnsupportedError), match="Einsum"):
        read(model([node("Einsum", operands, equation=equation)], CHANNELS, {"w": weights(7)}))
