"""Test the weights of PyTorch's modules in all kinds of layers: names, order of axes, and arrays of state dicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mpscnn import Network, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn = torch.nn

X = np.random.default_rng(6).random((2, 4, 5, 3), np.float32)
#: A module of PyTorch for images of three channels, the same layer of mpscnn, and whether the weight of the module fits
#: both layouts.
LAYERS: dict[str, tuple[Callable[[], Any], Callable[[Network], Tensor], bool]] = {
    "convolution": (lambda: nn.Conv2d(3, 8, 3), lambda n: n.conv2d(n.input, 8, 3, name="layer"), True),
    "other kernel": (lambda: nn.Conv2d(3, 8, 2), lambda n: n.conv2d(n.input, 8, 2, name="layer"), False),
    "pointwise": (lambda: nn.Conv2d(3, 8, 1), lambda n: n.conv2d(n.input, 8, 1, name="layer"), False),
    "depthwise": (
        lambda: nn.Conv2d(3, 3, 3, groups=3),
        lambda n: n.depthwise_conv2d(n.input, 3, name="layer"),
        False,
    ),
    "transposed": (
        lambda: nn.ConvTranspose2d(3, 8, 3),
        lambda n: n.conv2d_transpose(n.input, 8, 3, name="layer"),
        False,
    ),
    "transposed with as many outputs": (
        lambda: nn.ConvTranspose2d(3, 3, 2, stride=2),
        lambda n: n.conv2d_transpose(n.input, 3, 2, strides=2, name="layer"),
        False,
    ),
    "transposed with a kernel of as many rows": (
        lambda: nn.ConvTranspose2d(3, 3, 3),
        lambda n: n.conv2d_transpose(n.input, 3, 3, name="layer"),
        True,
    ),
    "transposed with groups": (
        lambda: nn.ConvTranspose2d(3, 6, 2, groups=3),
        lambda n: n.conv2d_transpose(n.input, 6, 2, groups=3, name="layer"),
        False,
    ),
    "normalization of a flattened image": (
        lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(60)),
        lambda n: pixels_last(n, n.batch_norm(n.flatten(n.input), epsilon=1e-5, name="layer")),
        False,
    ),
    "layer normalization of a flattened image": (
        lambda: nn.Sequential(nn.Flatten(), nn.LayerNorm(60)),
        lambda n: pixels_last(n, n.layer_norm(n.flatten(n.input), name="layer")),
        False,
    ),
    "PReLU of a flattened image": (
        lambda: nn.Sequential(nn.Flatten(), nn.PReLU(60)),
        lambda n: pixels_last(n, n.layer("neuron", [n.flatten(n.input)], {"kind": "prelu"}, name="layer")),
        False,
    ),
    "dense of a normalized, flattened image": (
        lambda: nn.Sequential(nn.Flatten(), nn.LayerNorm(60, elementwise_affine=False), nn.Linear(60, 7)),
        lambda n: n.dense(n.layer_norm(n.flatten(n.input), name="norm"), 7, name="layer"),
        True,
    ),
    "dense of an image": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(60, 7)),
        lambda n: n.dense(n.flatten(n.input), 7, name="layer"),
        True,
    ),
    "dense of pixels": (
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 7)),
        lambda n: n.dense(n.flatten(n.global_average_pool2d(n.input)), 7, name="layer"),
        False,
    ),
    "batch normalization": (
        lambda: nn.BatchNorm2d(3),
        lambda n: n.batch_norm(n.input, epsilon=1e-5, name="layer"),
        False,
    ),
    "group normalization": (
        lambda: nn.GroupNorm(3, 3),
        lambda n: n.group_norm(n.input, 3, epsilon=1e-5, name="layer"),
        False,
    ),
    "PReLU": (
        lambda: nn.PReLU(3),
        lambda n: n.layer("neuron", [n.input], {"kind": "prelu"}, name="layer"),
        False,
    ),
}


def pixels_last(network: Network, x: Tensor) -> Tensor:
    """Return the features of a flattened image in PyTorch's order, channel by channel."""
    return network.flatten(network.transpose(network.reshape(x, (4, 5, 3)), (3, 1, 2)))


def module_of(kind: str) -> Any:
    """Return the module in inference, with weights that are not neutral."""
    torch.manual_seed(3)
    module = LAYERS[kind][0]().eval()
    for name, value in module.state_dict().items():
        if value.is_floating_point() and "running_var" not in name:
            value.copy_(torch.rand(value.shape) - 0.3)
        elif value.is_floating_point():
            value.copy_(torch.rand(value.shape) + 0.5)
    return module


def network_of(kind: str) -> Network:
    network = Network((4, 5, 3))
    network.output(LAYERS[kind][1](network))
    return network


def state_of(module: Any, kind: str, form: str) -> dict[str, Any]:
    """Return the state dict by the names of the network: tensors, arrays of their memory, or copies."""
    made = {}
    for name, value in module.state_dict().items():
        role = name.rpartition(".")[2]
        made[f"layer.{role}"] = {
            "tensors": lambda value: value,
            "arrays": lambda value: value.numpy(),
            "copies": lambda value: value.numpy().copy(),
        }[form](value)
    return made


def run(network: Network) -> NDArray[Any]:
    return np.asarray(network.compile(device="cpu").session(threads=1).run(X))


def expected(module: Any) -> NDArray[Any]:
    with torch.no_grad():
        result = module(torch.from_numpy(X).permute(0, 3, 1, 2))
    return np.asarray(result.permute(0, 2, 3, 1) if result.ndim == 4 else result)


@pytest.mark.parametrize("form", ["tensors", "arrays", "copies"])
@pytest.mark.parametrize("kind", LAYERS)
def test_torchs_names_and_order_work_for_every_layer(kind: str, form: str) -> None:
    module, network = module_of(kind), network_of(kind)
    network.load_weights(state_of(module, kind, form), layout="OIHW")
    np.testing.assert_allclose(run(network), expected(module), rtol=1e-4, atol=1e-5)


def test_recurrent_layers_of_modules_lead_to_from_torch() -> None:
    module = torch.nn.LSTM(3, 4)
    state = {f"layer.{name}": value for name, value in module.state_dict().items()}
    for layout in (None, "OIHW"):
        with pytest.raises(
            WeightsError, match=r"'layer\.weight_ih_l0'.*mpscnn\.from_torch\(module, example\)"
        ):
            network_of("convolution").load_weights(state, layout=layout)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["tensors", "arrays", "copies"])
@pytest.mark.parametrize("kind", LAYERS)
def test_without_a_layout_no_weight_is_read_in_the_wrong_order(kind: str, form: str) -> None:
    """It is read in the right order, or the order must be said."""
    module, network = module_of(kind), network_of(kind)
    state = state_of(module, kind, form)
    known = {f"{spec['layer']}.{spec['role']}" for spec in network.weight_specs()}
    if LAYERS[kind][2]:
        with pytest.raises(WeightsError, match=r"layer\.weight: an array .*: say layout='OIHW'"):
            network.load_weights(state)
    elif set(state) <= known:
        network.load_weights(state)
        np.testing.assert_allclose(run(network), expected(module), rtol=1e-4, atol=1e-5)
    else:
        with pytest.raises(WeightsError, match=r"has no weight 'layer\..*, which layout='OIHW' reads"):
            network.load_weights(state)


@pytest.mark.parametrize("kind", LAYERS)
def test_the_order_of_mpscnn_can_be_said(kind: str) -> None:
    module, network, again = module_of(kind), network_of(kind), network_of(kind)
    network.load_weights(state_of(module, kind, "arrays"), layout="OIHW")
    again.load_weights(network.weights, layout="OHWI")
    np.testing.assert_array_equal(run(again), run(network))
    again.load_weights(network.weights)  # the order of another network's weights is known
    np.testing.assert_array_equal(run(again), run(network))


def test_the_order_of_moved_axes_must_be_said() -> None:
    module, network = module_of("convolution"), network_of("convolution")
    state = state_of(module, "convolution", "arrays")
    moved = state | {"layer.weight": state["layer.weight"].transpose(0, 2, 3, 1)}
    with pytest.raises(WeightsError, match="fits both layouts"):
        network.load_weights(moved)
    network.load_weights(moved, layout="OHWI")
    np.testing.assert_allclose(run(network), expected(module), rtol=1e-4, atol=1e-5)
    last = {
        name: value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
        for name, value in module.state_dict().items()
    }
    with pytest.raises(WeightsError, match="fits both layouts"):
        network.load_weights({f"layer.{name}": value.numpy() for name, value in last.items()})


def test_a_weight_that_is_given_by_both_names() -> None:
    network = network_of("batch normalization")
    state = state_of(module_of("batch normalization"), "batch normalization", "arrays")
    with pytest.raises(WeightsError, match=r"layer\.\w+: the weight 'layer\.mean' is given twice"):
        network.load_weights(state | {"layer.mean": state["layer.running_mean"]}, layout="OIHW")
    with pytest.raises(WeightsError, match=r"no weight .*'layer\.running_mean'.*which layout='OIHW' reads"):
        network.load_weights(state | {"layer.mean": state["layer.running_mean"]})
    with pytest.raises(WeightsError, match=r"no weight 'layer\.running_mean'; did you mean 'layer\.mean'"):
        network.load_weights({"layer.running_mean": state["layer.running_mean"]})
