"""from_torch with modules that write: into attributes of their own, and at positions of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles.test_torch_operators import Function

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

nn = torch.nn
ALL = slice(None)


class Kept(nn.Module):  # type: ignore[misc, name-defined]
    """Call a function of the module and of a layer's result. Its attributes are no buffers."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.conv, self.norm, self.function = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), function
        self.count, self.last, self.seen = 0, None, list[Any]()
        self.named = dict[str, Any]()
        self.table = torch.zeros(3, 1, 1)

    def forward(self, x: Any) -> Any:
        return self.function(self, self.conv(x))


def counted(module: Any, x: Any) -> Any:
    module.count += 1
    return x * module.count


def previous(module: Any, x: Any) -> Any:
    last, module.last = module.last, x.detach()
    return x if last is None else x + last


def listed(module: Any, x: Any) -> Any:
    module.seen.append(x.mean())
    return x * len(module.seen)


def named(module: Any, x: Any) -> Any:
    y = x - module.named.get("mean", 0.0)
    module.named["mean"] = x.mean().detach()
    return y


#: Functions whose results depend on earlier calls, each with the attribute that it changes.
DEPENDING = {"count": counted, "last": previous, "seen": listed, "named": named}
#: Functions that change attributes which no result depends on.
INDEPENDENT: dict[str, Callable[[Any, Any], Any]] = {
    "kept for a picture": lambda m, x: (setattr(m, "last", x.softmax(-1)), x)[1],
    "a new attribute": lambda m, x: (setattr(m, "extent", x.shape[-1]), x)[1],
    "a list": lambda m, x: (m.seen.append(x.amax(1)), x)[1],
    "written first": lambda m, x: (setattr(m, "table", torch.ones(3, 1, 1)), x + m.table)[1],
}


def attributes(module: Any) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, list) else value
        for name, value in vars(module).items()
        if name in ("count", "last", "seen", "named", "extent", "table")
    }


@pytest.mark.parametrize("name", DEPENDING)
def test_attributes_that_change_the_next_results_are_refused(name: str) -> None:
    """The error names the attribute instead of the batch, and the module is as it was before."""
    module = Kept(DEPENDING[name]).eval()
    with pytest.raises(mpscnn.UnsupportedError, match=f"depend on earlier calls, since it changes '{name}'"):
        mpscnn.from_torch(nn.Sequential(module).eval()[0], torch.randn(1, 3, 4, 4))
    assert (module.count, module.last, module.seen, module.named) == (0, None, [], {})


@pytest.mark.parametrize("name", INDEPENDENT)
def test_attributes_without_influence(name: str) -> None:
    """They are the user's values after the conversion, too, not those of calls that compare results."""
    module, x = Kept(INDEPENDENT[name]).eval(), torch.randn(1, 3, 4, 4)
    before = attributes(module)
    mpscnn.from_torch(module, x)
    assert attributes(module) == before


def test_the_mode_of_a_part_is_restored() -> None:
    module = Kept(lambda m, x: (m.conv.train(), m.norm(x))[1]).eval()
    mpscnn.from_torch(module, torch.randn(1, 3, 4, 4))
    assert not module.conv.training


def put(*places: Any, value: float = 5.0) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        y = x.clone()
        y[places] = value
        return y

    return function


def with_parts(places: Any, part: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        y = x * 2
        y[places] = part(x)
        return y

    return function


#: Assignments to positions, most of them after the batch.
ASSIGNMENTS = {
    "a list": put(ALL, [0, 2]),
    "a list with a position twice": put(ALL, ALL, [1, 1, 3]),
    "negative positions": put(..., [-1, 0]),
    "two lists": put(ALL, [0, 1], [2, 3]),
    "three lists": put(ALL, [0, 1], [2, 3], [4, 5]),
    "positions that are broadcast": put(ALL, ALL, torch.tensor([[0], [2]]), torch.tensor([1, 3])),
    "no position": put(ALL, torch.tensor([], dtype=torch.long)),
    "flags": put(ALL, torch.tensor([True, False, True])),
    "flags of two axes": put(..., torch.eye(6, 7).bool()),
    "channels": with_parts((ALL, [0, 2]), lambda x: x[:, [1, 1]] * 3),
    "rows": with_parts((ALL, ALL, [3, 1]), lambda x: x[:, :1, :2]),
    "pixels": with_parts((ALL, [0, 1], [2, 3]), lambda x: x[:, :1, 0]),
    "a mask": lambda x: put(x > 0.5)(x),
    "a mask without the last axis": lambda x: put((x > 0.5).all(-1))(x),
    "a limit by masks": lambda x: put(x > 1, value=1.0)(put(x < -1, value=-1.0)(x)),
    "a mask of one channel": lambda x: put(ALL, 0)(x).where(x[:, :1] > 0, x),
    "integers": lambda x: put(ALL, [1], value=7)((x > 0).long()).float() * x,
    "truth values": lambda x: x.where(put(ALL, [1], value=True)(x > 0), -x),
    "index_fill": lambda x: x.index_fill(1, torch.tensor([0, 2]), 3.0),
    "index_copy": lambda x: x.index_copy(2, torch.tensor([0, 5]), x[:, :, 1:3]),
}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_assignments(name: str) -> None:
    """The conversion compares the results with the module's, also for a batch of three."""
    module = nn.Sequential(nn.Conv2d(3, 3, 1), Function(ASSIGNMENTS[name])).eval()
    network = mpscnn.from_torch(module, torch.randn(1, 3, 6, 7))
    assert not any("for one image only" in note for note in network.notes)


@pytest.mark.parametrize(
    "function",
    [put(ALL, [0, 1], ALL, [2, 3]), lambda x: x.index_put((torch.zeros(1, dtype=torch.long),), x, True)],
)
def test_assignments_that_are_refused(function: Any) -> None:
    module = nn.Sequential(nn.Conv2d(3, 3, 1), Function(function)).eval()
    with pytest.raises(mpscnn.UnsupportedError, match="axes that are apart, or adds to elements"):
        mpscnn.from_torch(module, torch.randn(1, 3, 6, 7))


@pytest.mark.parametrize("is_layer", [False, True])
def test_causal_attention_with_padding_at_the_left(is_layer: bool) -> None:
    """A query that sees no key gives 0 in torch's operators, and NaN in its fused attention, which is not exported."""
    hidden = torch.ones(5, 5).triu(1).bool()
    padding = torch.tensor([[True, True, False, False, False]])
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()

    def attended(x: Any) -> Any:
        keys = padding.expand(len(x), -1)
        if is_layer:
            return layer(x, src_mask=hidden, src_key_padding_mask=keys)
        return layer.self_attn(x, x, x, key_padding_mask=keys, attn_mask=hidden, need_weights=False)[0]

    module = Function(attended)
    module.layer = layer
    x = torch.randn(1, 5, 8)
    network = mpscnn.from_torch(module.eval(), x)
    assert any("fused attention" in note for note in network.notes)
    assert np.isfinite(network.predict(x.numpy())).all()
