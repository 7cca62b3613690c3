"""Test weights in the order of other libraries: the accepted ones, and those that need `layout`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpscnn

X = np.random.default_rng(6).random((2, 9, 8, 3), np.float32)


def network(kernel: int = 3, channels: int = 3, groups: int = 1, filters: int = 6) -> mpscnn.Network:
    net = mpscnn.Network(input=(9, 8, channels))
    net.output(net.conv2d(net.input, filters, kernel, groups=groups, name="conv1"))
    return net


def run(net: mpscnn.Network, x: np.ndarray[Any, Any] = X) -> np.ndarray[Any, Any]:
    return np.asarray(net.compile(device="cpu").session(threads=1).run(x))


def weight(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).random(shape, np.float32)


def test_both_layouts() -> None:
    own = weight(6, 3, 3, 3)
    nets = [network() for _ in range(3)]
    with pytest.raises(mpscnn.WeightsError, match="fits both layouts: say layout"):
        nets[0].load_weights({"conv1.weight": own})
    nets[0].set_weights({"conv1.weight": own}, layout="OHWI")
    nets[1].load_weights({"conv1.weight": own}, layout="OHWI")
    nets[2].load_weights({"conv1.weight": own.transpose(0, 3, 1, 2)}, layout="OIHW")
    expected = run(nets[0])
    for net in nets[1:]:
        np.testing.assert_array_equal(run(net), expected)


def test_depthwise_and_pointwise_weights_have_one_order() -> None:
    for kernel, channels, groups, shape in ((3, 4, 4, (6, 3, 3, 1)), (1, 5, 1, (6, 1, 1, 5))):
        filters = 8 if groups > 1 else 6
        own = weight(filters, *shape[1:])
        x = weight(1, 9, 8, channels)
        results = []
        for array, layout in (
            (own, None),
            (own.transpose(0, 3, 1, 2), None),
            (own.transpose(0, 3, 1, 2), "OIHW"),
        ):
            net = network(kernel, channels, groups, filters)
            net.load_weights({"conv1.weight": array}, layout=layout)  # type: ignore[arg-type]
            results.append(run(net, x))
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])


def test_an_array_that_fits_one_order_is_read_in_it() -> None:
    net, again = network(5), network(5)
    net.load_weights({"conv1.weight": weight(6, 3, 5, 5)})
    again.load_weights({"conv1.weight": weight(6, 3, 5, 5)}, layout="OIHW")
    np.testing.assert_array_equal(run(net), run(again))
    with pytest.raises(
        mpscnn.WeightsError, match=r"expected \(6, 3, 5, 5\) in the layout OIHW, got \(6, 5, 5, 3\)"
    ):
        net.load_weights({"conv1.weight": weight(6, 5, 5, 3)}, layout="OIHW")
    with pytest.raises(mpscnn.ParameterError, match="layout must be 'OHWI' or 'OIHW', got 'NCHW'"):
        net.load_weights({}, layout="NCHW")  # type: ignore[arg-type]


def test_some_weights() -> None:
    net = network()
    with pytest.raises(mpscnn.WeightsError, match=r"no values for 'conv1\.weight'"):
        net.load_weights({"conv1.bias": weight(6)})
    net.set_weights({"conv1.weight": weight(3, 3, 6, 3).transpose(2, 3, 0, 1)}, layout="OIHW")
    before = run(net)
    net.set_weights({"conv1.bias": weight(6) + 1})
    np.testing.assert_allclose(run(net) - before, np.ones_like(before), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conv1.kernel", r"no weight 'conv1\.kernel'; did you mean 'conv1\.weight'\?"),
        ("conv1.gamma", r"no weight 'conv1\.gamma'; the layer has 'conv1\.weight', 'conv1\.bias'"),
        ("conv2.weight", r"no weight 'conv2\.weight'; did you mean 'conv1\.weight'"),
    ],
)
def test_unknown_names_get_a_suggestion(name: str, message: str) -> None:
    with pytest.raises(mpscnn.WeightsError, match=message):
        network().load_weights({name: weight(6, 3, 3, 3)})


@pytest.mark.parametrize(
    ("weights", "message"), [([1.0], "mapping .* got list"), ({3: 1.0}, "got 3"), (None, "NoneType")]
)
def test_what_is_no_mapping_of_names(weights: Any, message: str) -> None:
    for method in (network().load_weights, network().set_weights):
        with pytest.raises(mpscnn.ParameterError, match=message):
            method(weights)


#: Statements that would change copies of weights `w`, of which `a` is one.
CHANGES = (
    """
w['a'] = 0; w.update(a=0); w.pop('conv1.weight'); w.clear(); w.setdefault('a', 0); w |= {'a': 0};
del w['conv1.weight']; w.popitem(); a[...] = 0; a *= 2
""".strip()
    .replace("\n", " ")
    .split("; ")
)


@pytest.mark.parametrize("change", CHANGES)
def test_copies_of_weights_cannot_be_changed(change: str) -> None:
    """A network has its own weights, so a change of the copies would have no effect."""
    net = network()
    net.initialize_weights()
    message = "read-only" if change.startswith("a") else r"set_weights\({"
    with pytest.raises(ValueError, match=message):
        exec(change, {"w": net.weights, "a": net.weights["conv1.weight"]})


def test_a_state_can_be_changed_and_loaded() -> None:
    """The order of axes of a state is still known after changes, also where an array fits both orders."""
    net = network()
    net.initialize_weights()
    state = net.state_dict()
    name = "conv1.weight"
    state[name] = state[name][::-1]
    state[name] *= 2
    expected = dict(state)
    net.load_state_dict(state)
    assert all(np.array_equal(net.weights[other], expected[other]) for other in expected)
    torch = pytest.importorskip("torch", reason="needs torch")
    state[name] = torch.tensor(expected[name].copy())
    with pytest.raises(mpscnn.ParameterError, match="layout='OIHW'"):
        net.load_state_dict(state)


# ---- PyTorch -------------------------------------------------------------------------------------------------------


def test_parameters_of_torch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    module = torch.nn.Conv2d(3, 6, 5)
    expected = module(torch.from_numpy(X).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).detach().numpy()
    for layout in (None, "OIHW"):  # 5 x 5 taps of 3 channels fit only one layout
        net = network(5)
        net.load_weights({"conv1.weight": module.weight, "conv1.bias": module.bias}, layout=layout)
        np.testing.assert_allclose(run(net), expected, atol=1e-5)
    net = network(5)
    halves = module.to(torch.bfloat16)
    net.load_weights({"conv1.weight": halves.weight, "conv1.bias": halves.bias})
    np.testing.assert_allclose(run(net), expected, atol=0.05)


def test_tensors_without_memory() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    module = torch.nn.Conv2d(3, 6, 5, device="meta")
    with pytest.raises(mpscnn.WeightsError, match=r"conv1\.weight: cannot be read as an array"):
        network(5).load_weights({"conv1.weight": module.weight})


# ---- Dense layers that read an image --------------------------------------------------------------------------------


def flattened(kind: str, channels: int = 3) -> mpscnn.Network:
    net = mpscnn.Network(input=(4, 2, channels))
    x = net.input
    if kind == "moved":
        x = net.transpose(x, (3, 1, 2))
    if kind != "as it is":
        x = net.flatten(x)
    if kind == "dropout":
        x = net.activation(net.dropout(x, 0.5), "relu")
    net.output(net.dense(x, 5, name="fc"))
    return net


def by_channel(own: np.ndarray[Any, Any], channels: int = 3) -> np.ndarray[Any, Any]:
    """Return the columns in the order of PyTorch's Flatten."""
    return own.reshape(5, 4, 2, channels).transpose(0, 3, 1, 2).reshape(5, -1)


@pytest.mark.parametrize("kind", ["flat", "dropout", "as it is"])
def test_columns_of_a_flattened_image(kind: str) -> None:
    own, x = weight(5, 24), weight(2, 4, 2, 3)
    expected = x.reshape(2, 24) @ own.T
    with pytest.raises(mpscnn.WeightsError, match="say layout"):
        flattened(kind).load_weights({"fc.weight": own})
    for given, layout in ((own, "OHWI"), (by_channel(own), "OIHW")):
        net = flattened(kind)
        net.load_weights({"fc.weight": given}, layout=layout)  # type: ignore[arg-type]
        np.testing.assert_allclose(run(net, x), expected, rtol=1e-5)


def test_columns_that_have_one_order() -> None:
    own, x = weight(5, 24), weight(2, 4, 2, 3)
    net = flattened("moved")
    net.load_weights({"fc.weight": own}, layout="OIHW")
    np.testing.assert_allclose(run(net, x), x.transpose(0, 3, 1, 2).reshape(2, 24) @ own.T, rtol=1e-5)
    net = flattened("flat", channels=1)
    net.load_weights({"fc.weight": own[:, :8]}, layout="OIHW")
    np.testing.assert_allclose(run(net, x[..., :1]), x[..., :1].reshape(2, 8) @ own[:, :8].T, rtol=1e-5)


def test_results_of_own_weights_need_no_layout() -> None:
    """Arrays of `weights` and what NumPy computes for each of their elements keep mpscnn's order."""
    net = network()
    net.set_weights({"conv1.weight": weight(6, 3, 3, 3), "conv1.bias": weight(6)}, layout="OHWI")
    weights = net.weights
    kernel = weights["conv1.weight"]
    changed = kernel.copy()
    changed *= 0.5
    for half in (
        {name: weights[name] * 0.5 for name in weights},
        {"conv1.weight": np.multiply(0.5, kernel)},
        {"conv1.weight": np.clip(kernel.astype(np.float64) / 2, -1, 1)},
        {"conv1.weight": changed},
    ):
        other = network()
        other.set_weights(weights)
        other.set_weights(half)
        np.testing.assert_array_equal(other.weights["conv1.weight"], kernel * np.float32(0.5))
    for unknown in (
        kernel.transpose(0, 3, 1, 2),
        kernel.transpose(0, 3, 1, 2) * 0.5,
        kernel.reshape(-1).reshape(6, 3, 3, 3),
        np.asarray(kernel),
        kernel[::-1],
    ):
        with pytest.raises(mpscnn.WeightsError, match="fits both layouts"):
            network().set_weights({"conv1.weight": unknown})
    assert repr(kernel).startswith("array(")
    assert type(kernel.sum()) is np.float32
    flat = mpscnn.Network(input=(2, 2, 3))
    flat.output(flat.dense(flat.flatten(flat.input), 4, name="dense"))
    flat.initialize_weights()
    flat.set_weights({"dense.weight": flat.weights["dense.weight"] + 1})
