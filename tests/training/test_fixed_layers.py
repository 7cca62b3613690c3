"""Test batch normalizations that do not learn, frozen or with constants of a file, after layers that learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn.training.optimizers import Sgd

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(0, 1, (16, 6, 6, 2)).astype(np.float32)
Y = RANDOM.integers(0, 3, 16)


def network(*, fixed: bool, activation: str | None = None) -> mpscnn.Network:
    net = mpscnn.Network(input=(6, 6, 2), name="lines")
    x = net.conv2d(net.input, 4, 3, activation="relu", name="conv")
    attributes = {"epsilon": 1e-3, "fixed": fixed}
    x = net.layer("batch_normalization", [x], attributes, activation=activation, name="line")
    net.output(net.softmax(net.dense(x, 3, name="scores")))
    net.initialize_weights(seed=3)
    numbers = {
        "mean": RANDOM.normal(0, 1, 4),
        "variance": RANDOM.uniform(0.5, 2, 4),
        "gamma": RANDOM.normal(1, 0.3, 4),
        "beta": RANDOM.normal(0, 1, 4),
    }
    net.set_weights({f"line.{role}": values.astype(np.float32) for role, values in numbers.items()})
    return net


def with_constants(given: mpscnn.Network) -> mpscnn.Network:
    """Return the same network with a depthwise 1x1 convolution in place of the normalization."""
    weights = given.weights
    net = mpscnn.Network(input=(6, 6, 2))
    x = net.conv2d(net.input, 4, 3, activation="relu", name="conv")
    x = net.depthwise_conv2d(x, 1, name="line")
    net.output(net.softmax(net.dense(x, 3, name="scores")))
    scale = weights["line.gamma"] / np.sqrt(weights["line.variance"] + 1e-3)
    own = {name: value for name, value in weights.items() if not name.startswith("line.")}
    own["line.weight"] = scale.reshape(4, 1, 1, 1)
    own["line.bias"] = weights["line.beta"] - weights["line.mean"] * scale
    net.load_weights(own, layout="OHWI")
    return net


@pytest.mark.parametrize(("fixed", "frozen"), [(True, ()), (False, ("line",)), (True, ("line",))])
def test_they_stay_as_they_are(fixed: bool, frozen: tuple[str, ...]) -> None:
    net = network(fixed=fixed)
    trainer = mpscnn.Trainer(net, optimizer=Sgd(0.1), frozen=frozen)
    other = mpscnn.Trainer(with_constants(net), optimizer=Sgd(0.1), frozen=("line",))
    losses = [(trainer.step(X, Y), other.step(X, Y)) for _ in range(10)]
    assert losses[0][0] == pytest.approx(mpscnn.Trainer(net).evaluate((X, Y)).loss, rel=1e-5)
    assert losses[-1][0] < losses[0][0]
    for ours, theirs in losses:
        assert ours == pytest.approx(theirs, rel=1e-4)
    after = trainer.network.weights
    for name, value in net.weights.items():
        assert np.array_equal(after[name], value) == name.startswith("line."), name
    assert trainer.evaluate((X, Y)).loss == pytest.approx(other.evaluate((X, Y)).loss, rel=1e-4)


def test_their_gradients_are_those_of_a_line() -> None:
    net = network(fixed=True)
    _, found = net.gradients(X, Y)
    _, expected = with_constants(net).gradients(X, Y)
    assert "line.gamma" not in found
    for name in ("image", "conv.weight", "conv.bias", "scores.weight"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-6)
    assert max(check.error for check in mpscnn.check_gradients(net, X, Y)) < 0.01


def test_slopes_behind_a_frozen_one() -> None:
    net = network(fixed=False, activation="prelu")
    net.set_weights({"line.slope": np.full(4, 0.25, np.float32)})
    trainer = mpscnn.Trainer(net, optimizer=Sgd(0.1), frozen=("line",))
    assert trainer.step(X, Y) == pytest.approx(mpscnn.Trainer(net).evaluate((X, Y)).loss, rel=1e-5)
    for name, value in trainer.network.weights.items():
        assert np.array_equal(value, net.weights[name]) == name.startswith("line."), name


def test_freezing_for_a_while() -> None:
    """A frozen normalization uses the running statistics of the moment when it was frozen."""
    trainer = mpscnn.Trainer(network(fixed=False), optimizer=Sgd(0.05))
    trainer.step(X, Y)
    trainer.freeze("line")
    before = trainer.network.weights
    assert trainer.step(X, Y) == pytest.approx(loss_of(trainer, before), rel=1e-5)
    after = trainer.network.weights
    assert all(np.array_equal(after[name], before[name]) for name in after if name.startswith("line."))
    trainer.unfreeze("line")
    trainer.step(X, Y)
    last = trainer.network.weights
    assert not any(np.array_equal(last[name], before[name]) for name in last if name.startswith("line."))


def loss_of(trainer: mpscnn.Trainer, weights: dict[str, NDArray[np.float32]]) -> float:
    net = trainer.network
    net.set_weights(weights, layout="OHWI")
    return mpscnn.Trainer(net).evaluate((X, Y)).loss


def test_statistics_of_the_input_are_trained_through() -> None:
    def normalized(*, of_input: bool) -> mpscnn.Network:
        net = mpscnn.Network(input=(6, 6, 2), name="own statistics")
        x = net.conv2d(net.input, 4, 3, name="conv")
        statistics = net.batch_statistics(x if of_input else net.conv2d(net.input, 4, 3, name="other"))
        net.output(net.dense(net.batch_norm(x, statistics=statistics, name="norm"), 3, name="scores"))
        net.initialize_weights(seed=2)
        return net

    net = normalized(of_input=True)
    assert max(check.error for check in mpscnn.check_gradients(net, X, Y)) < 0.01
    trainer = mpscnn.Trainer(net, optimizer=Sgd(0.1))
    losses = [trainer.step(X, Y) for _ in range(5)]
    assert losses[-1] < losses[0]
    with pytest.raises(mpscnn.UnsupportedError, match="layer 'norm': a batch normalization is trained with"):
        mpscnn.Trainer(normalized(of_input=False))


def test_constants_in_converted_modules() -> None:
    """Converted modules with constants are trained as torch trains them."""
    torch = pytest.importorskip("torch")

    class Shift(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("shift", torch.randn(1, 4, 1, 1))

        def forward(self, x: Any) -> Any:
            return x * 1.5 + self.shift

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3), torch.nn.ReLU(), Shift(), torch.nn.Flatten(), torch.nn.Linear(64, 3)
    )
    images = torch.from_numpy(np.ascontiguousarray(X.transpose(0, 3, 1, 2)))
    net = mpscnn.from_torch(module.eval(), images[:2])
    trainer = mpscnn.Trainer(net, optimizer=Sgd(0.1))
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    for _ in range(6):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(images), torch.from_numpy(Y))
        loss.backward()
        optimizer.step()
        assert trainer.step(X, Y) == pytest.approx(loss.item(), rel=1e-4)


def test_values_of_a_module_that_are_named_like_results() -> None:
    torch = pytest.importorskip("torch")

    class Centred(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.tensor([0.1, 0.2]).view(1, 2, 1, 1))
            self.relu = torch.nn.Parameter(torch.tensor([2.0, 3.0]))

        def forward(self, x: Any) -> Any:
            return torch.relu((x - self.mean).mean((2, 3))) * self.relu + self.mean.mean()

    module, images = Centred().eval(), torch.from_numpy(np.ascontiguousarray(X.transpose(0, 3, 1, 2)))
    net = mpscnn.from_torch(module, images, fold=False)
    expected = module(images).detach().numpy()
    np.testing.assert_allclose(net.compile(device="cpu").session().run(X), expected, atol=1e-6)


def test_a_module_as_training_wants_it() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, bias=False),
        torch.nn.BatchNorm2d(4),
        torch.nn.Flatten(),
        torch.nn.Linear(64, 3),
    )
    torch.nn.init.zeros_(module[3].bias)
    images = torch.from_numpy(np.ascontiguousarray(X.transpose(0, 3, 1, 2)))
    net = mpscnn.from_torch(module.eval(), images, fold=False)
    assert [node["operation"] for node in net.to_dict()["nodes"]] == [
        "convolution",
        "batch_normalization",
        "fully_connected",
    ]
    roles = ("0.weight", "1.gamma", "1.beta", "1.mean", "1.variance", "3.weight", "3.bias")
    assert set(net.weights) == set(roles)
    found = net.compile(device="cpu").session().run(X)
    np.testing.assert_allclose(found, module(images).detach().numpy(), atol=1e-5)
    assert "1.gamma" not in mpscnn.from_torch(module, images).weights


def test_a_trained_network_of_integers_has_none() -> None:
    """Training drops the quantization, which belonged to the first weights."""
    plain = network(fixed=False)
    integers, _ = mpscnn.quantize(plain, [X])
    trainer = mpscnn.Trainer(integers, optimizer=Sgd(0.1))
    trainer.step(X, Y)
    trained = trainer.network
    assert "quantization" not in str(trained.to_dict())
    again, report = mpscnn.quantize(trained, [X])
    assert report.error < 0.1
    again.compile(device="cpu", precision="int8")


def test_custom_layers_are_refused() -> None:
    net = mpscnn.Network(input=(4,))
    x = net.custom(lambda x, out: np.copyto(out, x), net.input, name="mine")
    net.output(net.dense(x, 3))
    net.initialize_weights()
    with pytest.raises(mpscnn.UnsupportedError, match="layer 'mine': custom layers have no gradient"):
        mpscnn.Trainer(net)


def test_constants_behind_layers_that_learn() -> None:
    """Constants depend on their input only for the number of images, and pass it no gradient."""
    net = mpscnn.Network(input=(6, 6, 2))
    x = net.conv2d(net.input, 4, 3, name="conv")
    x = net.add(x, net.constant(x, (1, 1, 4), name="constant"))
    net.output(net.dense(x, 3))
    net.initialize_weights(seed=1)
    net.set_weights({"constant.value": RANDOM.normal(size=(1, 1, 4)).astype(np.float32)})
    assert max(check.error for check in mpscnn.check_gradients(net, X, Y)) < 0.01


def test_inputs_by_name() -> None:
    net = mpscnn.Network(input={"left": (4,), "right": (4,)}, name="two")
    net.output(net.dense(net.concat(net.inputs), 3))
    net.initialize_weights(seed=1)
    left, right = (RANDOM.normal(size=(16, 4)).astype(np.float32) for _ in range(2))
    one, other = mpscnn.Trainer(net, seed=1), mpscnn.Trainer(net, seed=1)
    assert one.step({"right": right, "left": left}, Y) == other.step([left, right], Y)
    with pytest.raises(
        mpscnn.ParameterError, match="network 'two' has the inputs 'left', 'right', got 'left'"
    ):
        one.step({"left": left}, Y)
