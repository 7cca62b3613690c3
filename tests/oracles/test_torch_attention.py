"""Convert layers of transformers from torch and from ONNX files of both of its exporters. Compare them with torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.torchvision_models import assert_close

import mpscnn
from mpscnn import Network, converters

torch = pytest.importorskip("torch", reason="torch is not installed")

nn = torch.nn
TOKENS, FEATURES, HEADS = 6, 8, 2
NOT_SEEN = torch.triu(torch.full((TOKENS, TOKENS), float("-inf")), 1)
NOTHING_SEEN = NOT_SEEN.clone().index_fill(0, torch.tensor(2), float("-inf"))


class Whole(nn.Module):  # type: ignore[misc, name-defined]
    """Attention by `torch.nn.MultiheadAttention`."""

    def __init__(self, masked: bool = False, weights: bool = False, **options: Any) -> None:
        super().__init__()
        self.mix = nn.MultiheadAttention(FEATURES, HEADS, **options)
        self.register_buffer("mask", NOT_SEEN.clone() if masked else None)
        self.weights = weights

    def forward(self, x: Any) -> Any:
        x = x if self.mix.batch_first else x.transpose(0, 1)
        y, weights = self.mix(x, x, x, need_weights=self.weights, attn_mask=self.mask)
        y = y if self.mix.batch_first else y.transpose(0, 1)
        return (y, weights) if self.weights else y


class Parts(nn.Module):  # type: ignore[misc, name-defined]
    """Attention written with single operators, as smaller libraries do."""

    def __init__(self, hide: str, mask: Any = NOT_SEEN) -> None:
        super().__init__()
        self.project = nn.Linear(FEATURES, 3 * FEATURES)
        self.hide = hide
        self.register_buffer("mask", mask.clone())

    def forward(self, x: Any) -> Any:
        images, tokens, features = x.shape
        parts = self.project(x).reshape(images, tokens, 3, HEADS, features // HEADS)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        if self.hide.startswith("fused"):
            options: dict[str, Any] = {
                "fused causal": {"is_causal": True},
                "fused numbers": {"attn_mask": self.mask},
                "fused truths": {"attn_mask": self.mask >= 0},
            }[self.hide]
            y = nn.functional.scaled_dot_product_attention(q, k, v, **options)
        else:
            scores = q @ k.transpose(-1, -2) / math.sqrt(features // HEADS)
            hidden = self.mask < 0
            scores = scores + self.mask if self.hide == "add" else scores.masked_fill(hidden, float("-inf"))
            y = scores.softmax(-1) @ v
        return y.transpose(1, 2).reshape(images, tokens, features)


class Encoder(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, masked: bool = False, **options: Any) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(FEATURES, HEADS, 16, batch_first=True, **options)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.register_buffer("mask", NOT_SEEN.clone() if masked else None)

    def forward(self, x: Any) -> Any:
        return self.layers(x, mask=self.mask, is_causal=self.mask is not None)


class Decoder(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerDecoderLayer(FEATURES, HEADS, 16, batch_first=True)
        self.layers = nn.TransformerDecoder(layer, 1)
        self.register_buffer("mask", NOT_SEEN.clone())

    def forward(self, x: Any, memory: Any) -> Any:
        return self.layers(x, memory, tgt_mask=self.mask, tgt_is_causal=True)


CASES: dict[str, Any] = {
    "whole": lambda: Whole(batch_first=True),
    "whole, tokens first": lambda: Whole(),
    "whole, weights": lambda: Whole(batch_first=True, weights=True),
    "whole, masked": lambda: Whole(batch_first=True, masked=True),
    "whole, masked weights": lambda: Whole(masked=True, weights=True),
    "whole, bias of keys": lambda: Whole(batch_first=True, add_bias_kv=True),
    "whole, zero key": lambda: Whole(batch_first=True, add_zero_attn=True),
    "whole, bias and zero key": lambda: Whole(masked=True, add_bias_kv=True, add_zero_attn=True),
    "parts, add": lambda: Parts("add"),
    "parts, fill": lambda: Parts("fill"),
    "parts, add a whole row": lambda: Parts("add", NOTHING_SEEN),
    "parts, fill a whole row": lambda: Parts("fill", NOTHING_SEEN),
    "fused causal": lambda: Parts("fused causal"),
    "fused numbers": lambda: Parts("fused numbers"),
    "fused truths": lambda: Parts("fused truths"),
    "fused truths, a whole row": lambda: Parts("fused truths", NOTHING_SEEN),
    "encoder": lambda: Encoder(),
    "encoder, masked": lambda: Encoder(masked=True),
    "encoder, norms first": lambda: Encoder(masked=True, norm_first=True, activation="gelu"),
    "decoder": lambda: Decoder(),
}
DEFAULT = {
    ("whole, masked", "torch"),
    ("whole, weights", "script"),
    ("parts, add a whole row", "dynamo"),
    ("parts, fill", "script"),
    ("fused truths, a whole row", "script"),
    ("fused truths", "torch"),
    ("encoder, masked", "torch"),
}


def network_of(module: Any, examples: tuple[Any, ...], way: str, path: Path) -> Network:
    if way == "torch":
        return mpscnn.from_torch(module, examples, check=False)
    if way == "dynamo":
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    torch.onnx.export(module, examples, path, dynamo=way == "dynamo", verbose=False)
    return converters.read_network([path])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("images", [1, 3])
def test_constants_beside_the_batch(images: int) -> None:
    """torch adds constant keys for each image. The network does so, too, and its batch is free."""
    module = Whole(add_bias_kv=True, add_zero_attn=True).eval()
    network = mpscnn.from_torch(module, (torch.randn(images, TOKENS, FEATURES),))
    assert network.inputs[0].shape == (None, TOKENS, FEATURES)
    session = network.compile(device="cpu").session()
    for count in (1, 2, 5):
        x = torch.randn(count, TOKENS, FEATURES)
        with torch.no_grad():
            assert_close(session.run(x.numpy()), module(x).numpy())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "way"),
    [
        pytest.param(name, way, marks=() if (name, way) in DEFAULT else pytest.mark.full)
        for name in CASES
        for way in ("torch", "script", "dynamo")
        # PyTorch's newer exporter masks by a large negative number. So a row that is masked as a whole does not become
        # zeros as in torch.
        if way == "script" or name != "fused truths, a whole row"
    ],
)
def test_layers_of_transformers(tmp_path: Path, name: str, way: str) -> None:
    module = CASES[name]().eval()
    examples = (torch.randn(1, TOKENS, FEATURES),)
    if isinstance(module, Decoder):
        examples += (torch.randn(1, TOKENS - 1, FEATURES),)
    network = network_of(module, examples, way, tmp_path / "x.onnx")
    images = [torch.randn_like(x) for x in examples]
    with torch.no_grad():
        expected = module(*images)
    given = [x.numpy() for x in images]
    session = network.compile(device="cpu", precision="float32").session()
    found: Any = session.run(given if len(given) > 1 else given[0])
    results = list(found.values()) if isinstance(found, dict) else [found]
    for here, there in zip(results, expected if isinstance(expected, tuple) else [expected], strict=True):
        there = there.numpy()
        hidden = np.isnan(there)
        np.testing.assert_array_equal(np.isnan(here).reshape(there.shape), hidden)
        assert hidden.any() == ("a whole row" in name and not name.startswith("fused"))
        assert_close(np.nan_to_num(here).reshape(there.shape), np.nan_to_num(there))


class OfQueries(nn.Module):  # type: ignore[misc, name-defined]
    """Queries that are parameters, which attend to each other and to the tokens of an image, as in DETR."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, count, FEATURES))
        self.own, self.other = (nn.MultiheadAttention(FEATURES, HEADS, batch_first=True) for _ in range(2))
        self.norm = nn.LayerNorm(FEATURES)

    def forward(self, x: Any) -> Any:
        q = self.queries.repeat(x.shape[0], 1, 1)
        y = self.norm(torch.zeros_like(q) + self.own(q, q, torch.zeros_like(q))[0])
        return y + self.other(y + q, x, x)[0]


@pytest.mark.parametrize("count", [1, 3])
def test_queries_that_are_parameters(count: int) -> None:
    """from_torch compares the results of a batch, too."""
    network = mpscnn.from_torch(OfQueries(count).eval(), torch.randn(1, TOKENS, FEATURES))
    assert not any("one image only" in note for note in network.notes)


class Deformable(nn.Module):  # type: ignore[misc, name-defined]
    """Samples of the heads of an image at positions that each head computes, as in Deformable DETR."""

    def __init__(self, border: str, mode: str) -> None:
        super().__init__()
        self.border, self.mode = border, mode
        self.places = nn.Linear(FEATURES, HEADS * 3 * 2)

    def forward(self, x: Any, queries: Any) -> Any:
        images, _, height, width = x.shape
        heads = x.reshape(images * HEADS, FEATURES // HEADS, height, width)
        places = self.places(queries).reshape(images, queries.shape[1], HEADS, 3, 2).transpose(1, 2)
        grid = places.flatten(0, 1).tanh() * 1.2
        y = nn.functional.grid_sample(
            heads, grid, mode=self.mode, padding_mode=self.border, align_corners=False
        )
        return y.reshape(images, FEATURES, queries.shape[1], 3).sum(-1)


@pytest.mark.parametrize(
    ("border", "mode"), [("zeros", "bilinear"), ("border", "bilinear"), ("reflection", "nearest")]
)
def test_samples_of_heads(border: str, mode: str) -> None:
    torch.manual_seed(0)
    network = mpscnn.from_torch(
        Deformable(border, mode).eval(), (torch.randn(1, FEATURES, 4, 5), torch.randn(1, TOKENS, FEATURES))
    )
    assert not any("one image only" in note for note in network.notes)


class Stepped(nn.Module):  # type: ignore[misc, name-defined]
    """Writes into each third element of an axis, as the heads of YOLO's poses do."""

    def __init__(self, first: int, last: int | None) -> None:
        super().__init__()
        self.part = slice(first, last, 3)

    def forward(self, x: Any) -> Any:
        y = x * 2.0
        y[:, self.part] = y[:, self.part].sigmoid()
        return y


@pytest.mark.parametrize(("first", "last"), [(2, None), (0, 5), (1, -1)])
def test_writes_with_a_step(first: int, last: int | None) -> None:
    mpscnn.from_torch(Stepped(first, last).eval(), torch.randn(1, TOKENS + 2, FEATURES))
