"""Compare small networks that have attention and random weights with PyTorch in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ops.single_layer import values

import mpscnn
from mpscnn import Network, Tensor

#: The allowed errors relative to the largest result. The roundings of many layers add up.
TOLERANCES = {"float32": 2e-5, "float16": 2e-2}

Weights = dict[str, NDArray[np.float32]]


def attention(network: Network, tokens: Tensor, heads: int, name: str) -> Tensor:
    """Add self-attention of (n, groups, tokens, features) with a residual. Groups are independent of each other."""
    _, groups, count, features = (extent or 1 for extent in tokens.shape)
    size = features // heads
    normalized = network.layer_norm(tokens, name=f"{name}_norm")
    products = network.conv2d(normalized, 3 * features, 1, name=f"{name}_qkv")
    q, k, v = (
        network.transpose(network.reshape(part, (groups, count, heads, size)), (1, 3, 2, 4))
        for part in network.split(products, 3)
    )
    weights = network.softmax(network.matmul(q, k, transpose_b=True, scale=size**-0.5))
    mixed = network.transpose(network.matmul(weights, v), (1, 3, 2, 4))
    joined = network.reshape(mixed, (groups, count, features))
    return network.add(tokens, network.conv2d(joined, features, 1, name=f"{name}_projection"))


def feed_forward(network: Network, tokens: Tensor, name: str) -> Tensor:
    features = tokens.shape[-1] or 1
    normalized = network.layer_norm(tokens, name=f"{name}_norm")
    wide = network.conv2d(normalized, 2 * features, 1, activation="gelu", name=f"{name}_wide")
    return network.add(tokens, network.conv2d(wide, features, 1, name=f"{name}_narrow"))


def vision_transformer() -> Network:
    """Return a small ViT (Dosovitskiy et al. 2021) with three heads, 16 patches and a class token."""
    network = Network(input=(16, 16, 3), name="vit")
    patches = network.conv2d(network.input, 24, 4, strides=4, name="patches")
    tokens = network.concat(
        [network.constant(patches, (1, 1, 24), name="class"), network.reshape(patches, (1, 16, 24))], axis=2
    )
    tokens = network.add(tokens, network.constant(tokens, (1, 17, 24), name="position"))
    for block in range(2):
        tokens = attention(network, tokens, 3, f"attention{block}")
        tokens = feed_forward(network, tokens, f"mlp{block}")
    tokens = network.layer_norm(tokens, name="norm")
    network.output(network.dense(network.slice(tokens, columns=(0, 1)), 10, name="head"))
    return network


def mobile_vit() -> Network:
    """Return a MobileViT block (Mehta and Rastegari 2022).

    Attention is among the pixels at the same position of all 2x2 patches.
    """
    network = Network(input=(8, 6, 8), name="mobilevit")
    local = network.conv2d(network.input, 8, 3, padding="same", activation="relu", name="local")
    unfolded = network.transpose(network.reshape(local, (4, 2, 3, 2, 8)), (2, 4, 1, 3, 5))
    tokens = network.reshape(unfolded, (4, 12, 8))
    tokens = attention(network, tokens, 2, "attention0")
    tokens = feed_forward(network, tokens, "mlp0")
    folded = network.transpose(network.reshape(tokens, (2, 2, 4, 3, 8)), (3, 1, 4, 2, 5))
    joined = network.concat([network.input, network.reshape(folded, (8, 6, 8))])
    network.output(network.conv2d(joined, 8, 3, padding="same", name="fusion"))
    return network


class Oracle:
    """The same networks in PyTorch."""

    def __init__(self, torch: Any, weights: Weights) -> None:
        self.functional = torch.nn.functional
        self.torch = torch
        self.weights = {name: torch.from_numpy(value).double() for name, value in weights.items()}

    def conv(self, x: Any, name: str, **options: Any) -> Any:
        weight = self.weights[f"{name}.weight"].permute(0, 3, 1, 2)
        y = self.functional.conv2d(x.permute(0, 3, 1, 2), weight, self.weights[f"{name}.bias"], **options)
        return y.permute(0, 2, 3, 1)

    def norm(self, x: Any, name: str) -> Any:
        gamma, beta = self.weights[f"{name}.gamma"], self.weights[f"{name}.beta"]
        return self.functional.layer_norm(x, x.shape[-1:], gamma, beta)

    def attention(self, tokens: Any, heads: int, name: str) -> Any:
        q, k, v = (
            part.unflatten(-1, (heads, -1)).transpose(2, 3)
            for part in self.conv(self.norm(tokens, f"{name}_norm"), f"{name}_qkv").chunk(3, -1)
        )
        mixed = self.functional.scaled_dot_product_attention(q, k, v).transpose(2, 3).flatten(-2)
        return tokens + self.conv(mixed, f"{name}_projection")

    def feed_forward(self, tokens: Any, name: str) -> Any:
        wide = self.conv(self.norm(tokens, f"{name}_norm"), f"{name}_wide")
        return tokens + self.conv(self.functional.gelu(wide), f"{name}_narrow")

    def vit(self, x: Any) -> Any:
        patches = self.conv(x, "patches", stride=4).flatten(1, 2)[:, None]
        first = self.weights["class.value"].expand(len(x), 1, 1, 24)
        tokens = self.torch.cat([first, patches], 2) + self.weights["position.value"]
        for block in range(2):
            tokens = self.feed_forward(self.attention(tokens, 3, f"attention{block}"), f"mlp{block}")
        head = self.weights["head.weight"].flatten(1)
        return self.norm(tokens, "norm")[:, 0, 0] @ head.T + self.weights["head.bias"]

    def mobilevit(self, x: Any) -> Any:
        local = self.conv(x, "local", padding=1).relu()
        tokens = local.reshape(-1, 4, 2, 3, 2, 8).permute(0, 2, 4, 1, 3, 5).reshape(-1, 4, 12, 8)
        tokens = self.feed_forward(self.attention(tokens, 2, "attention0"), "mlp0")
        folded = tokens.reshape(-1, 2, 2, 4, 3, 8).permute(0, 3, 1, 4, 2, 5).reshape(-1, 8, 6, 8)
        return self.conv(self.torch.cat([x, folded], -1), "fusion", padding=1)


@pytest.mark.parametrize("precision", list(TOLERANCES))
@pytest.mark.parametrize("build", [vision_transformer, mobile_vit])
def test_networks_with_attention(build: Any, precision: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    network = build()
    weights: Weights = {}
    for number, spec in enumerate(network.weight_specs()):
        shape = tuple(spec["shape"])
        fan_in = int(np.prod(shape[1:])) if spec["role"] == "weight" else 4
        weights[f"{spec['layer']}.{spec['role']}"] = values(number, shape, scale=fan_in**-0.5)
    network.load_weights(weights, layout="OHWI")
    x = values(99, (2, *network.input.shape[1:]))  # type: ignore[arg-type]
    expected = getattr(Oracle(torch, weights), network.name)(torch.from_numpy(x).double()).numpy()
    result = network.compile(precision=precision).session(threads=2).run(x)
    assert isinstance(result, np.ndarray)
    largest = float(np.abs(expected).max())
    np.testing.assert_allclose(
        result.reshape(expected.shape), expected, rtol=0, atol=TOLERANCES[precision] * largest
    )


def test_the_batch_does_not_change_an_image() -> None:
    network = vision_transformer()
    network.initialize_weights()
    x = values(0, (3, 16, 16, 3))
    session = network.compile(precision="float32").session(threads=2)
    together = session.run(x)
    assert isinstance(together, np.ndarray)
    for image in range(3):
        np.testing.assert_array_equal(session.run(x[image : image + 1]), together[image : image + 1])


def test_attention_of_images_of_any_size() -> None:
    """The number of tokens is the number of pixels of the input, which is free."""
    network = mpscnn.Network(input=(1, None, 8))
    q, k, v = network.split(network.conv2d(network.input, 12, 1, name="qkv"), 3)
    scores = network.matmul(q, k, transpose_b=True, scale=0.5)
    network.output(network.matmul(network.softmax(scores), v, name="attention"))
    network.initialize_weights()
    session = network.compile(precision="float32").session(threads=1)
    for tokens in (3, 40):
        result = session.run(values(0, (1, 1, tokens, 8)))
        assert isinstance(result, np.ndarray)
        assert result.shape == (1, 1, tokens, 4)
        of_this_size = mpscnn.Network(input=(1, tokens, 8))
        parts = of_this_size.split(of_this_size.conv2d(of_this_size.input, 12, 1, name="qkv"), 3)
        weights = of_this_size.softmax(of_this_size.matmul(*parts[:2], transpose_b=True, scale=0.5))
        of_this_size.output(of_this_size.matmul(weights, parts[2]))
        of_this_size.load_weights(network.weights)
        expected = (
            of_this_size.compile(precision="float32").session(threads=1).run(values(0, (1, 1, tokens, 8)))
        )
        np.testing.assert_array_equal(result, expected)
