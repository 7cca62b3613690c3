"""Graphs that would break a careless backend of torch.compile: each gives torch's own result, or torch's own error.

They take much memory, change their inputs, have effects, depend on values, or have many or empty parts. The
default tier runs every tenth of them.
"""

from __future__ import annotations

import io
import subprocess
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from oracles.compiled_modules import Compiled, assert_equal
from systems import peak_bytes
from tiers import with_full

torch = pytest.importorskip("torch", reason="torch is not installed")

nn = torch.nn
functional = torch.nn.functional
Graph = Callable[..., Any]

SECONDS, BYTES = 20.0, 1 << 30
KEPT: list[Any] = []
WEIGHT = torch.linspace(-1, 1, 6 * 3 * 9).reshape(6, 3, 3, 3)
PHOTO = torch.linspace(-1, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)


def conv(x: Any) -> Any:
    return functional.conv2d(x, WEIGHT, padding=1)


class Doubled(torch.autograd.Function):  # type: ignore[misc, name-defined]
    """A function with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return gradient * 2


def memory_of_a_view(x: Any) -> Any:
    """Read a view of 2^40 numbers at one place."""
    return conv(x) + x.reshape(-1)[:1].expand(1 << 40)[7]


def slices_of_a_view(x: Any) -> Any:
    return conv(x) + x.mean().expand(1 << 20, 1 << 20)[:1, :1]


def chain(x: Any) -> Any:
    for _ in range(300):
        x = torch.sin(x) + 0.1
    return x


def wide(x: Any) -> Any:
    return torch.cat([conv(x) * number for number in range(200)], 1).sum(1)


def deep(x: Any) -> Any:
    def again(x: Any, depth: int) -> Any:
        return torch.tanh(x) if depth == 0 else again(x, depth - 1) * 0.5 + x

    return again(conv(x), 30)


def writes_its_input(x: Any) -> Any:
    x.mul_(2)
    return conv(x)


def writes_a_view(x: Any) -> Any:
    x[:, 1:].add_(3)
    return conv(x) + x.mean()


def writes_overlapping_memory(x: Any) -> Any:
    y = x.reshape(-1).as_strided((4, 4), (0, 1)).contiguous()
    y[0] += 1
    return conv(x).sum() + y


def swaps(x: Any) -> Any:
    first, second = x.clone(), conv(x)[:, :3]
    first, second = second, first
    first.add_(second)
    return first


def changes_a_weight(x: Any) -> Any:
    weight = WEIGHT.clone()
    weight.zero_()
    weight[0, 0, 1, 1] = 1
    return functional.conv2d(x, weight, padding=1)


def resizes(x: Any) -> Any:
    return torch.empty(0).resize_(2, 2).fill_(3) + conv(x).mean()


def prints(x: Any) -> Any:
    print("printed")
    return conv(x)


def keeps(x: Any) -> Any:
    KEPT.append(x.sum())
    return conv(x)


def writes_a_file(x: Any) -> Any:
    Path("/dev/null").write_text("x")
    return conv(x)


def starts_a_program(x: Any) -> Any:
    subprocess.run(["true"], check=True)
    return conv(x)


def waits(x: Any) -> Any:
    time.sleep(0.01)
    return conv(x)


def depends_on_values(x: Any) -> Any:
    return conv(x) if x.sum() > 0 else conv(-x)


def as_many_as_it_says(x: Any) -> Any:
    return conv(x).sum() + torch.ones(int(x.abs().sum().item()) % 7 + 1)


def places(x: Any) -> Any:
    return torch.nonzero(conv(x) > 0).float()


def nothing(x: Any) -> Any:
    return conv(x)[:, :0].sum(1) + conv(x[:0]).sum() + 1


def infinite(x: Any) -> Any:
    return torch.nan_to_num(conv(x / 0.0)) + torch.log(-conv(x).abs()).isnan()


def complex_numbers(x: Any) -> Any:
    return torch.fft.fft2(conv(x)).abs()


def whole_numbers(x: Any) -> Any:
    return (conv(x) * 1e6).to(torch.int64) // 7 + (1 << 40)


def doubles(x: Any) -> Any:
    return conv(x).double() + 1e-12


def draws(x: Any) -> Any:
    generator = torch.Generator().manual_seed(3)
    return conv(x) + torch.rand(16, generator=generator)


def own_gradient(x: Any) -> Any:
    return Doubled.apply(conv(x))


def aliases(x: Any) -> Any:
    y = conv(x)
    return y + y.transpose(2, 3).transpose(2, 3).detach() + y.view(-1).view_as(y)


def out_of_range(x: Any) -> Any:
    return conv(x)[:, torch.tensor([99])]


def wrong_shapes(x: Any) -> Any:
    return conv(x) + torch.ones(5, 7)


def fails(x: Any) -> Any:
    raise ValueError("its own error")


GRAPHS: list[Graph] = [
    memory_of_a_view,
    slices_of_a_view,
    chain,
    wide,
    deep,
    writes_its_input,
    writes_a_view,
    writes_overlapping_memory,
    swaps,
    changes_a_weight,
    resizes,
    prints,
    keeps,
    writes_a_file,
    starts_a_program,
    waits,
    depends_on_values,
    as_many_as_it_says,
    places,
    nothing,
    infinite,
    complex_numbers,
    whole_numbers,
    doubles,
    draws,
    own_gradient,
    aliases,
    out_of_range,
    wrong_shapes,
    fails,
]


def outcome(graph: Graph) -> tuple[Any, Any, str]:
    """Return the result or the error, the input afterwards, and what was printed."""
    x = PHOTO.clone()
    with redirect_stdout(io.StringIO()) as said, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dynamo warns of functions that it leaves to Python
        try:
            result = graph(x)
        except (RuntimeError, IndexError, ValueError) as error:
            result = error
    return result, x, said.getvalue()


def test_there_are_enough() -> None:
    assert len(GRAPHS) == 30


@pytest.mark.parametrize("graph", with_full(GRAPHS[::10], [one for one in GRAPHS if one not in GRAPHS[::10]]))
def test_graph(graph: Graph) -> None:
    """The result, the error, the input afterwards and what is printed are torch's."""
    torch._dynamo.reset()
    expected = outcome(graph)
    begin, peak = time.process_time(), peak_bytes()
    found = outcome(Compiled(graph))
    assert time.process_time() - begin < SECONDS
    assert peak_bytes() - peak < BYTES
    assert torch.equal(found[1], expected[1])
    assert found[2] == expected[2]
    if isinstance(expected[0], Exception):
        assert isinstance(found[0], Exception), found[0]
    else:
        assert not isinstance(found[0], Exception), found[0]
        assert_equal(found[0], expected[0])
