"""Compare gradients of networks with differences and with each other, and test networks that are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn.graph.layers.layer_maker import Tensor

RANDOM = np.random.default_rng(7)


def values(*shape: int) -> Any:
    return RANDOM.normal(size=shape).astype(np.float32)


def network(layer: Callable[[mpscnn.Network, Tensor], Tensor], *, channels: int = 4) -> mpscnn.Network:
    """Return a network of a convolution, the given layer and a dense layer."""
    net = mpscnn.Network(input=(6, 7, 3), name="net")
    x = layer(net, net.conv2d(net.input, channels, 3, padding="same", name="before"))
    net.output(net.dense(x, 5, name="after"))
    net.initialize_weights(seed=3)
    start = {"gamma": 1.0, "slope": 0.3}
    for spec in net.weight_specs():
        if spec["role"] in ("gamma", "beta", "bias", "slope"):
            value = start.get(spec["role"], 0.0) + 0.2 * values(*spec["shape"])
            net.set_weights({f"{spec['layer']}.{spec['role']}": value}, layout="OHWI")
    return net


LAYERS: dict[str, Callable[[mpscnn.Network, Tensor], Tensor]] = {
    "batch norm": lambda net, x: net.batch_norm(x, name="layer"),
    "batch norm and relu": lambda net, x: net.activation(net.batch_norm(x, name="layer"), "relu"),
    "batch norm and relu6": lambda net, x: net.activation(net.batch_norm(x, name="layer"), "relu6"),
    "group norm": lambda net, x: net.group_norm(x, 2, name="layer"),
    "layer norm": lambda net, x: net.layer_norm(x, name="layer"),
    "prelu": lambda net, x: net.activation(x, "prelu", name="layer"),
    "prelu of a dense layer": lambda net, x: net.activation(
        net.dense(x, 6, name="dense"), "prelu", name="layer"
    ),
    "attached prelu": lambda net, x: net.conv2d(x, 4, 3, activation="prelu", name="layer"),
    "transposed convolution": lambda net, x: net.conv2d_transpose(x, 4, 3, strides=2, name="layer"),
    "sub-pixel convolution": lambda net, x: net.subpixel_conv2d(x, 2, 3, scale=2, name="layer"),
}


@pytest.mark.parametrize(
    "name", ["batch norm", "batch norm and relu", "batch norm and relu6", "attached prelu"]
)
def test_against_differences(name: str) -> None:
    """Layers alone, without batch normalization, are compared with their references in tests/operations."""
    net = network(LAYERS[name])
    checks = mpscnn.check_gradients(
        net, values(4, 6, 7, 3), values(4, 5), loss="mean_squared_error", step=3e-3
    )
    assert {check.name for check in checks} >= {"image", *net.weights} - {"layer.mean", "layer.variance"}
    for check in checks:
        assert check.error < 2e-2, check
        assert check.slope != 0


@pytest.mark.parametrize("name", [name for name in LAYERS if "norm" not in name])
def test_the_first_prediction_is_the_networks(name: str) -> None:
    """Layers that training splits into several operations compute the same as the layer alone."""
    net = network(LAYERS[name])
    x, y = values(8, 6, 7, 3), values(8, 5)
    trainer = mpscnn.Trainer(net, loss="mean_squared_error", optimizer=mpscnn.Sgd(1e-2))
    before = trainer.evaluate((x, y)).loss
    assert trainer.step(x, y) == pytest.approx(before, rel=1e-5)


def test_a_step_follows_the_gradients() -> None:
    net = network(LAYERS["prelu"])
    x, y = values(8, 6, 7, 3), values(8, 5)
    loss, gradients = net.gradients(x, y, loss="mean_squared_error")
    trainer = mpscnn.Trainer(net, loss="mean_squared_error", optimizer=mpscnn.Sgd(0.5))
    assert trainer.step(x, y) == loss
    for name, value in trainer.network.weights.items():
        np.testing.assert_allclose(value, net.weights[name] - 0.5 * gradients[name], rtol=1e-6, atol=1e-6)


def test_of_an_output() -> None:
    net = network(LAYERS["layer norm"])
    x, y = values(8, 6, 7, 3), values(8, 5)
    _, gradients = net.gradients(x, y, loss={"kind": "mean_squared_error", "reduction": "sum"})
    prediction = net.compile(device="cpu", precision="float32").session().run(x)
    loss, others = net.gradients(x, output_gradient=2 * (prediction - y))
    assert loss is None
    assert others.keys() == gradients.keys()
    for name, value in others.items():
        scale = np.abs(gradients[name]).max()
        np.testing.assert_allclose(value, gradients[name], atol=1e-5 * scale, err_msg=name)


def test_bits_do_not_depend_on_threads() -> None:
    net = network(LAYERS["group norm"])
    x, y = values(8, 6, 7, 3), RANDOM.integers(0, 5, 8)
    one, three = (net.gradients(x, y, threads=threads)[1] for threads in (1, 3))
    for name, value in one.items():
        np.testing.assert_array_equal(value, three[name])


def test_a_softmax_at_the_end_is_part_of_cross_entropy() -> None:
    net = mpscnn.Network(input=(6,), name="net")
    net.output(net.softmax(net.dense(net.input, 3, name="dense"), name="softmax"))
    net.initialize_weights(seed=1)
    x, y = values(4, 6), np.array([0, 1, 2, 1])
    checks = mpscnn.check_gradients(net, x, y, step=1e-2)
    assert max(check.error for check in checks) < 1e-2
    _, of_logits = net.gradients(x, y)
    answers = net.compile(device="cpu", precision="float32").session().run(x)
    picked = np.eye(3, dtype=np.float32)[y]
    _, of_answers = net.gradients(x, output_gradient=-picked / answers / 4)  # gradient of the mean of -log
    np.testing.assert_allclose(of_logits["dense.weight"], of_answers["dense.weight"], atol=1e-5)


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from mpscnn.graph import gradients as module

    run = module.Differentiated.__call__

    def wrong(self: Any, *arguments: Any) -> Any:
        loss, found = run(self, *arguments)
        return loss, found | {"after.weight": 1.1 * found["after.weight"]}

    monkeypatch.setattr(module.Differentiated, "__call__", wrong)
    net = network(LAYERS["layer norm"])
    checks = mpscnn.check_gradients(net, values(4, 6, 7, 3), values(4, 5), loss="mean_squared_error")
    assert checks[0].name == "after.weight"
    assert checks[0].error > 0.05


def test_a_weight_of_one_number() -> None:
    net = mpscnn.Network(input=(5,))
    net.output(net.dense(net.input, 1, name="fc"))
    net.initialize_weights(seed=0)
    x = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    for seed in range(6):
        for check in mpscnn.check_gradients(net, x, np.ones((8, 1)), loss="mean_squared_error", seed=seed):
            assert check.error < 1e-2


def test_gradients_of_an_output_are_floats() -> None:
    net = mpscnn.Network(input=(5,))
    net.output(net.dense(net.input, 3))
    net.initialize_weights(seed=0)
    x = np.ones((4, 5), np.float32)
    for wrong in (np.ones((4, 3), int), np.ones((4, 2)), np.ones(4)):
        with pytest.raises(mpscnn.ShapeError, match=r"output_gradient must be floats of the shape \(4, 3\)"):
            net.gradients(x, output_gradient=wrong)
    with pytest.raises(mpscnn.ParameterError, match="got both"):
        net.gradients(x, np.zeros(4, int), output_gradient=np.ones((4, 3)))


def test_a_layer_that_training_does_not_reach_is_named() -> None:
    net = mpscnn.Network((4, 4, 3))
    net.output(net.reduce_product(net.input, 3))
    with pytest.raises(mpscnn.UnsupportedError, match="a product"):
        net.gradients(np.ones((1, 4, 4, 3)), output_gradient=np.ones((1, 4, 4, 1), np.float32))


def test_nothing_has_a_gradient() -> None:
    net = mpscnn.Network({"a": (3,), "b": (3,)})
    net.output(net.greater(*net.inputs))
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(mpscnn.UnsupportedError, match="no input and no weight has a gradient"):
        net.gradients([x, x], output_gradient=x)


def test_operands_of_which_only_a_part_is_read() -> None:
    net = mpscnn.Network({"a": (4, 3), "b": (4, 3)})
    net.output(net.layer("add", net.inputs, {"primary_stride_channels": 0}))
    x = np.ones((2, 4, 3), np.float32)
    with pytest.raises(mpscnn.UnsupportedError, match="a stride of 0 along several elements"):
        net.gradients([x, x], output_gradient=x)


def test_what_is_refused() -> None:
    net = network(LAYERS["layer norm"])
    x = values(4, 6, 7, 3)
    with pytest.raises(mpscnn.ParameterError, match="either labels or output_gradient"):
        net.gradients(x)
    with pytest.raises(mpscnn.ShapeError, match=r"labels must be .* of the shape \(4, 5\)"):
        net.gradients(x, values(4, 4))
    with pytest.raises(mpscnn.ParameterError, match="has 1 input, got 2 arrays"):
        net.gradients([x, x], values(4, 5))
    with pytest.raises(mpscnn.ParameterError, match="step must be a finite number above 0"):
        mpscnn.check_gradients(net, x, values(4, 5), step=0)


def test_slices_of_channels_of_images_of_any_size() -> None:
    net, numbers = mpscnn.Network(input=(None, None, 8), name="net"), values(3, 6, 7, 8)
    net.output(net.layer("slice", [net.input], {"front": 2, "channels": 5}))
    gradient = values(3, 6, 7, 5)
    _, own = net.gradients(numbers, output_gradient=gradient)
    np.testing.assert_array_equal(own["image"], np.pad(gradient, ((0, 0), (0, 0), (0, 0), (2, 1))))
    rows = mpscnn.Network(input=(None, None, 8), name="net")
    rows.output(rows.layer("slice", [rows.input], {"top": 1, "height": 2}))
    with pytest.raises(mpscnn.UnsupportedError, match="a part of a free extent has no gradient"):
        rows.gradients(numbers, output_gradient=numbers[:, 1:3])
