"""Random networks, written to each format, give their results in the format's own runtimes, with every optimisation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from generators.programs import Program, Step, drawn, reduced
from generators.ways import WRITTEN, finding
from tiers import with_full

import mpscnn

NEEDED = {"tflite": "ai_edge_litert", "onnx": "onnxruntime", "coreml": "coremltools"}

#: Networks in which several reshapes follow each other, or read one tensor, and in which a layer is not needed.
RESHAPES = {
    "two outputs": Program(
        0,
        (4, 4, 3),
        (
            Step("activation", (0,), ("relu",)),
            Step("reshape", (1,), ((4, 12),)),
            Step("reshape", (2,), ((16, 3),)),
            Step("softmax", (3,)),
            Step("reshape", (4,), ((4, 4, 3),)),
            Step("reshape", (2,), ((4, 4, 3),)),
        ),
    ),
    "one output": Program(
        0,
        (4, 4, 3),
        (
            Step("activation", (0,), ("relu",)),
            Step("reshape", (1,), ((4, 12),)),
            Step("reshape", (2,), ((16, 3),)),
            Step("softmax", (3,)),
            Step("reshape", (4,), ((4, 4, 3),)),
            Step("reshape", (2,), ((4, 4, 3),)),
            Step("multiply", (5, 6)),
        ),
    ),
    "a reshape to the same shape as an output": Program(
        0, (4, 4, 4), (Step("multiply", (0, 0)), Step("reshape", (1,), ((4, 4, 4),))), (1,)
    ),
    "a softmax of a reshape of what is computed in place and read later": Program(
        0,
        (4, 6, 4),
        (
            Step("activation", (0,), ("swish",)),
            Step("reshape", (1,), ((2, 2, 24),)),
            Step("softmax", (2,)),
            Step("multiply", (3, 3)),
            Step("dense", (1,), (4,)),
        ),
        (4,),
    ),
    "a transposition of such a reshape": Program(
        0,
        (6, 6, 6),
        (
            Step("maximum", (0, 0)),
            Step("multiply", (1, 0)),
            Step("reshape", (2,), ((36, 6),)),
            Step("reshape", (2,), ((216,),)),
            Step("softmax", (4,)),
            Step("multiply", (5, 5)),
            Step("transpose", (3,), ((2, 1),)),
        ),
        (6,),
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WRITTEN)
@pytest.mark.parametrize("name", RESHAPES)
def test_reshapes_of_reshapes(way: str, name: str, tmp_path: Path) -> None:
    pytest.importorskip(NEEDED[way], reason=f"{NEEDED[way]} is not installed")
    assert finding(WRITTEN[way], RESHAPES[name], tmp_path) == ""


@pytest.mark.filterwarnings("ignore")
def test_layers_that_no_output_needs_are_not_written(tmp_path: Path) -> None:
    """LiteRT may overwrite what is read after a result that nothing reads."""
    pytest.importorskip("ai_edge_litert", reason="ai_edge_litert is not installed")
    from generators.ways import compare, litert_runs

    network = mpscnn.Network(input=(4, 4, 3), name="unneeded")
    first = network.softmax(network.activation(network.input, "relu"))
    parts = [network.reshape(first, shape) for shape in ((4, 12), (16, 3), (48,), (12, 4))]
    network.softmax(parts[1])
    network.output(network.softmax(first))
    x = np.random.default_rng(0).normal(0, 1, (1, 4, 4, 3)).astype(np.float32)
    network.save(tmp_path / "m.tflite")
    for where, found in litert_runs(tmp_path / "m.tflite", x):
        compare(where, found, [network.predict(x)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WRITTEN)
@pytest.mark.parametrize("seed", with_full(range(12), range(12, 200)))
def test_random_networks(way: str, seed: int, tmp_path: Path) -> None:
    pytest.importorskip(NEEDED[way], reason=f"{NEEDED[way]} is not installed")
    program = drawn(seed)
    found = finding(WRITTEN[way], program, tmp_path)
    assert not found or found.startswith("refused: "), f"{program}\n{found}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("axes", [(2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 2)])
@pytest.mark.parametrize("function", ["atan", "reciprocal", "sqrt"])
@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_functions_of_many_axes_are_read_back(
    axes: tuple[int, ...], function: str, suffix: str, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.rand(1, *axes) + 0.1
    network = mpscnn.from_torch(lambda x: getattr(torch, function)(x) * 2, x)
    network.save(tmp_path / f"m{suffix}")
    read = mpscnn.converters.read_network(tmp_path / f"m{suffix}")
    given = np.random.default_rng(0).random(
        (1, *[extent or 1 for extent in read.input.shape[1:]]), np.float32
    )
    np.testing.assert_allclose(read.predict(given + 0.1), network.predict(given + 0.1), rtol=2e-6)


def test_the_delta_debugger_keeps_only_the_steps_that_fail() -> None:
    """A check that fails for a softmax of a transposition is reduced to these two steps."""

    def fails(program: Program) -> bool:
        moved = {place for place, step in enumerate(program.steps, 1) if step.operation == "transpose"}
        return any(step.operation == "softmax" and step.operands[0] in moved for step in program.steps)

    failing = next(program for program in map(drawn, range(1000)) if fails(program))
    small = reduced(failing, fails)
    assert sorted(step.operation for step in small.steps) == ["softmax", "transpose"]
    assert fails(small)
