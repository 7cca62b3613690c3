"""Compare Einsum with onnxruntime, and test equations that are refused."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("onnx", reason="needs onnx")

from converters.onnx_files import assert_like_onnxruntime, model, node, read, weights

import mpscnn

CHANNELS = {"x": (2, 3, 5, 4)}


@pytest.mark.parametrize(
    ("equation", "shape"),
    [
        ("bchw,oc->bohw", (7, 3)),
        ("bchw,co->bhwo", (3, 7)),
        ("bchw,wk->bchk", (4, 6)),
        ("bchw,hwk->bck", (5, 4, 6)),
        ("bchw,cef->bhewf", (3, 2, 3)),
        ("bchw,whc", (4, 5, 3)),
        ("bchw , chwo -> b o", (3, 5, 4, 7)),
        ("...w,wk->...k", (4, 6)),
        ("bc...,co->b...o", (3, 7)),
        ("b...w,wk->b...k", (4, 6)),
        ("bchw...,...wk->bchk", (4, 6)),
        ("...w,wk", (4, 6)),
    ],
)
@pytest.mark.parametrize("constant_first", [False, True])
def test_with_a_constant(equation: str, shape: tuple[int, ...], constant_first: bool) -> None:
    operands = ["x", "w"]
    if constant_first:
        terms, arrow, target = equation.partition("->")
        operands, equation = operands[::-1], ",".join(reversed(terms.split(","))) + arrow + target
    given = model([node("Einsum", operands, equation=equation)], CHANNELS, {"w": weights(*shape)})
    assert_like_onnxruntime(given)


@pytest.mark.parametrize(
    ("equation", "first", "second"),
    [
        ("bij,bjk->bik", (2, 3, 5), (2, 5, 4)),
        ("bci,bcj->bij", (2, 3, 5), (2, 3, 4)),
        ("bhid,bhjd->bhij", (2, 2, 5, 3), (2, 2, 4, 3)),
        ("bhij,bhjd->bihd", (2, 2, 5, 4), (2, 2, 4, 3)),
        ("bnhd,bmhd->bhnm", (2, 5, 2, 3), (2, 4, 2, 3)),
        ("bijc,bjkc->bikc", (2, 3, 5, 2), (2, 5, 4, 2)),
        ("b...c,bkc->b...k", (2, 3, 5, 2), (2, 4, 2)),
    ],
)
def test_of_two_computed_tensors(equation: str, first: Any, second: Any) -> None:
    given = model([node("Einsum", ["x", "z"], "y", equation=equation)], {"x": first, "z": second})
    assert_like_onnxruntime(given)


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
