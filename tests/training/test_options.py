"""Test trainer options: accumulated gradients, averaged weights, clipping, loss weights and refused values."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import Adam, Sgd

RANDOM = np.random.default_rng(11)
X = RANDOM.normal(size=(32, 6, 6, 2)).astype(np.float32)
Y = RANDOM.integers(0, 3, 32)
NAN, INFINITY = float("nan"), float("inf")


def test_defaults_of_optimizers_in_cpp_are_those_of_python() -> None:
    header = Path(__file__).parents[2] / "cpp" / "engine" / "train" / "training_options.h"
    body = header.read_text("utf-8").partition("struct OptimizerOptions {")[2].partition("template")[0]
    found = {
        name: json.loads(value.rstrip("f"))
        for name, value in re.findall(r"(\w+) = (0[.\w-]*|1e-\w+|false)[,;]", body)
    }
    stated = {
        field.name: field.default
        for kind in (Sgd, mpscnn.RmsProp, Adam)
        for field in dataclasses.fields(kind)
    }
    assert {"momentum", "decay", "beta1", "beta2", "epsilon"} <= found.keys()
    (gradient,) = (one for one in mpscnn.operations(training=True) if one["name"] == "optimizer_gradient")
    found |= {parameter["name"]: parameter["default"] for parameter in gradient["parameters"]}
    assert {name: stated[name] for name in found} == found


def network(*, dropout: float = 0.0) -> mpscnn.Network:
    net = mpscnn.Network(input=(6, 6, 2), name="net")
    x = net.conv2d(net.input, 5, 3, activation="relu", name="conv")
    x = net.dropout(x, dropout) if dropout else x
    net.output(net.softmax(net.dense(x, 3, name="dense")))
    net.initialize_weights(seed=1)
    return net


def weights(net: mpscnn.Network) -> dict[str, Any]:
    return {name: np.array(value) for name, value in net.weights.items()}


def steps(net: mpscnn.Network, optimizer: Any, count: int = 1, **options: Any) -> mpscnn.Trainer:
    trainer = mpscnn.Trainer(net, optimizer=optimizer, **options)
    for _ in range(count):
        trainer.step(X, Y)
    return trainer


def norm_of_change(before: dict[str, Any], after: dict[str, Any]) -> float:
    return float(
        np.sqrt(sum(((after[name] - before[name]).astype(np.float64) ** 2).sum() for name in before))
    )


@pytest.mark.parametrize("optimizer", [Sgd(0.1, momentum=0.9), Adam(1e-2), Adam(1e-2, global_norm=0.01)])
def test_added_gradients_are_those_of_a_larger_batch(optimizer: Any) -> None:
    whole = steps(network(), optimizer, 3)
    parts = mpscnn.Trainer(network(), optimizer=optimizer, accumulate=4)
    for step in range(12):
        before = weights(parts.network)
        part = slice(step % 4 * 8, step % 4 * 8 + 8)
        parts.step(X[part], Y[part])
        changed = norm_of_change(before, weights(parts.network)) > 0
        assert changed == (step % 4 == 3)
    assert parts.steps == 12
    for name, value in whole.network.weights.items():
        np.testing.assert_allclose(parts.network.weights[name], value, rtol=1e-4, atol=2e-5, err_msg=name)


def test_rates_count_changes_of_the_weights() -> None:
    asked: list[int] = []

    def rate(step: int) -> float:
        asked.append(step)
        return 0.1

    steps(network(), Sgd(rate), 6, accumulate=3)
    assert asked == [0, 0, 0, 1, 1, 1]


def test_averages() -> None:
    trainer = mpscnn.Trainer(network(), optimizer=Sgd(0.1), average=0.8)
    expected = weights(trainer.network)
    for _ in range(4):
        trainer.step(X, Y)
        for name, value in trainer.network.weights.items():
            expected[name] = np.float32(0.8) * expected[name] + np.float32(0.2) * value
    for name, value in trainer.averaged.weights.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, atol=1e-7)
    averaged = trainer.evaluate((X, Y), averaged=True).loss
    assert averaged != trainer.evaluate((X, Y)).loss
    with pytest.raises(mpscnn.ParameterError, match="no averages of the weights"):
        _ = mpscnn.Trainer(network()).averaged


def test_the_norm_of_all_gradients_is_limited() -> None:
    before = weights(network())
    free = norm_of_change(before, weights(steps(network(), Sgd(1.0)).network))
    limited = weights(steps(network(), Sgd(1.0, global_norm=free / 3)).network)
    assert norm_of_change(before, limited) == pytest.approx(free / 3, rel=1e-5)
    ample = weights(steps(network(), Sgd(1.0, global_norm=2 * free)).network)
    assert norm_of_change(before, ample) == pytest.approx(free, rel=1e-6)
    with pytest.raises(mpscnn.ParameterError, match="global_norm must be at least 0 and finite, got -1"):
        steps(network(), Sgd(1.0, global_norm=-1.0))


def test_weights_of_losses() -> None:
    before = weights(network())
    trainer = mpscnn.Trainer(network(), optimizer=Sgd(0.5), weighted=True)
    half = np.repeat(np.array([2.0, 0.0], np.float32), 16)
    loss = trainer.step(X, Y, half)
    alone = mpscnn.Trainer(network(), optimizer=Sgd(0.5))
    # Weights of 2 for half of the images: twice the sum, divided by twice the number of images.
    assert alone.step(X[:16], Y[:16]) == pytest.approx(loss, rel=1e-6)
    for name, value in alone.network.weights.items():
        np.testing.assert_allclose(trainer.network.weights[name], value, rtol=1e-5, atol=1e-6)
        assert not np.array_equal(value, before[name])
    for epoch in trainer.iter_epochs((X, Y, half), epochs=1, batch_size=8, validation_data=(X, Y, half)):
        assert epoch.validation_loss == pytest.approx(trainer.evaluate((X, Y, half)).loss)
    with pytest.raises(mpscnn.ParameterError, match="weighted=True, and needed there, got none"):
        trainer.step(X, Y)
    with pytest.raises(mpscnn.ParameterError, match="weighted=True, and needed there, got weights"):
        alone.step(X, Y, half)
    with pytest.raises(
        mpscnn.ShapeError, match=r"weights must be numbers of the shape \(32,\), .*got float32"
    ):
        trainer.step(X, Y, half[:4])


def test_weights_that_are_not_zero_divide() -> None:
    """Losses and gradients are divided by the number of weights that are not 0. 22 of 32 images have weights of 0."""
    chosen = np.where(np.arange(32) < 10, np.float32(0.5), np.float32(0))
    loss = {"kind": "softmax_cross_entropy", "reduction": "sum_by_nonzero_weights"}
    counted = mpscnn.Trainer(network(), loss=loss, optimizer=Sgd(0.3), weighted=True)
    summed = mpscnn.Trainer(
        network(), loss=loss | {"reduction": "sum"}, optimizer=Sgd(0.3 / 10), weighted=True
    )
    alone = mpscnn.Trainer(network(), loss=loss | {"reduction": "sum"}, optimizer=Sgd(0.3 * 0.5 / 10))
    for _ in range(3):
        total = summed.step(X, Y, chosen)
        assert counted.step(X, Y, chosen) == pytest.approx(total / 10, rel=1e-5)
        assert alone.step(X[:10], Y[:10]) == pytest.approx(2 * total, rel=1e-5)
    for name, value in summed.network.weights.items():
        np.testing.assert_allclose(counted.network.weights[name], value, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(alone.network.weights[name], value, rtol=1e-5, atol=1e-6)
    before = weights(counted.network)
    assert counted.step(X, Y, 0 * chosen) == 0
    assert norm_of_change(before, weights(counted.network)) == 0


@pytest.mark.parametrize("reduction", ["mean", "sum", "sum_by_nonzero_weights"])
@pytest.mark.parametrize("kind", ["softmax_cross_entropy", "mean_squared_error"])
def test_an_evaluation_does_not_depend_on_batches(kind: str, reduction: str) -> None:
    """Reductions are those over all data. The last 20 weights are 0, so that some batches have only zeros."""
    chosen = np.where(np.arange(32) < 12, np.linspace(1, 3, 32), 0).astype(np.float32)
    trainer = mpscnn.Trainer(network(), loss={"kind": kind, "reduction": reduction}, weighted=True)
    whole = trainer.evaluate((X, Y, chosen), batch_size=32)
    for size in (1, 5, 12, 31):
        assert trainer.evaluate((X, Y, chosen), batch_size=size).loss == pytest.approx(whole.loss, rel=1e-5)
    answers = np.asarray(network().compile(device="cpu", precision="float32").session().run(X), np.float64)
    targets = np.eye(3)[Y]
    losses = -targets * np.log(answers) if kind == "softmax_cross_entropy" else (answers - targets) ** 2
    total = (losses * chosen[:, None]).sum()
    each = 1 if kind == "softmax_cross_entropy" else 3
    count = {"mean": 32 * each, "sum": 1, "sum_by_nonzero_weights": 12 * each}[reduction]
    assert whole.loss == pytest.approx(total / count, rel=1e-5)


def test_added_gradients_are_carried_over_between_epochs() -> None:
    """An epoch has three batches, and weights change after every four batches."""
    trainer = mpscnn.Trainer(network(), optimizer=Sgd(0.1), accumulate=4)
    first = weights(trainer.network)
    changed = []
    for _ in trainer.iter_epochs((X, Y), epochs=3, batch_size=12):
        changed.append(norm_of_change(first, weights(trainer.network)) > 0)
    assert changed == [False, True, True]
    batches = [(X[:12], Y[:12]), (X[12:24], Y[12:24]), (X[24:], Y[24:])]
    other = mpscnn.Trainer(network(), optimizer=Sgd(0.1), accumulate=4)
    for _ in range(2):
        for x, y in batches:
            other.step(x, y)
    by_fit = mpscnn.Trainer(network(), optimizer=Sgd(0.1), accumulate=4)
    list(by_fit.iter_epochs(batches, epochs=2))
    for name, value in weights(other.network).items():
        np.testing.assert_array_equal(by_fit.network.weights[name], value)


def test_too_few_batches_for_one_change_are_refused() -> None:
    """If the number of batches is known, the error comes before they are made, otherwise afterwards."""
    trainer = mpscnn.Trainer(network(), optimizer=Sgd(0.1), accumulate=7)
    message = "accumulate is 7, and up to epoch 2 there are only 6 batches: no weight would change"
    batches = [(X[i : i + 12], Y[i : i + 12]) for i in (0, 12, 24)]
    for data in ((X, Y), batches):
        with pytest.raises(mpscnn.ParameterError, match=message):
            list(trainer.iter_epochs(data, epochs=2, batch_size=12))
        assert trainer.steps == 0

    class Unknown:
        def __iter__(self) -> Any:
            return iter(batches)

    with pytest.raises(mpscnn.ParameterError, match=message):
        list(trainer.iter_epochs(Unknown(), epochs=2))
    assert trainer.steps == 6
    list(trainer.iter_epochs(Unknown(), epochs=3))  # training continues
    list(trainer.iter_epochs(batches[:1], epochs=4))


@pytest.mark.parametrize("reduction", ["mean", "sum", "sum_by_nonzero_weights"])
@pytest.mark.parametrize("weighted", ["no", "images", "elements"])
def test_labels_that_do_not_sum_to_one(weighted: str, reduction: str) -> None:
    """The gradient is the derivative of the loss in float64: softmax times the sum of the labels, minus the labels."""
    targets = (RANDOM.uniform(0, 2, (32, 3)) * (RANDOM.uniform(size=(32, 3)) < 0.7)).astype(np.float32)
    chosen = RANDOM.choice([0, 0.5, 3], (32, 3)).astype(np.float32)
    chosen = chosen[:, 0] if weighted == "images" else np.ones_like(chosen) if weighted == "no" else chosen
    loss = {"kind": "softmax_cross_entropy", "reduction": reduction, "label_smoothing": 0.2, "weight": 1.5}
    trainer = mpscnn.Trainer(network(), loss=loss, optimizer=Sgd(1.0), weighted=weighted != "no")
    before = weights(trainer.network)
    answers = np.asarray(network().compile(device="cpu", precision="float32").session().run(X), np.float64)
    parts = [targets] if weighted == "no" else [targets, chosen]
    found = trainer.step(X, *parts)
    wide = np.broadcast_to(chosen.reshape(32, -1), (32, 3)).astype(np.float64)
    labels = (targets * 0.8 + 0.2 / 3) * wide * 1.5
    counted = (wide != 0).any(-1).sum()
    divisor = {"mean": 32, "sum": 1, "sum_by_nonzero_weights": counted}[reduction]
    assert found == pytest.approx(-(labels * np.log(answers)).sum() / divisor, rel=1e-5)
    gradient = (answers * labels.sum(-1, keepdims=True) - labels) / divisor
    change = weights(trainer.network)["dense.bias"].astype(np.float64) - before["dense.bias"]
    np.testing.assert_allclose(-change, gradient.sum(0), rtol=0, atol=1e-5 * np.abs(gradient).sum())


def root_network() -> mpscnn.Network:
    """Return a network whose gradient, but not its loss, is infinite if a pixel is zero."""
    net = mpscnn.Network(input=(6, 6, 2), name="root")
    x = net.conv2d(net.input, 2, 1, activation="relu", name="conv")
    x = net.activation(x, {"kind": "power", "a": 1.0, "b": 0.0, "c": 0.5}, name="root")
    net.output(net.softmax(net.dense(x, 3, name="dense")))
    net.initialize_weights(seed=1)
    return net


@pytest.mark.parametrize("accumulate", [1, 2])
def test_check_finite_names_the_step_and_the_layer(accumulate: int) -> None:
    trainer = mpscnn.Trainer(root_network(), optimizer=Sgd(0.1), check_finite=True, accumulate=accumulate)
    before = weights(trainer.network)
    with pytest.raises(
        mpscnn.StateError, match=r"in step 0: layer 'root\.neuron_gradient.*are those of before"
    ):
        trainer.step(X, Y)
    assert trainer.steps == 0
    for name, value in trainer.network.weights.items():
        np.testing.assert_array_equal(value, before[name])
    without = mpscnn.Trainer(root_network(), optimizer=Sgd(0.1))
    without.step(X, Y)
    assert without.steps == 1


def two_inputs() -> mpscnn.Network:
    net = mpscnn.Network(input={"left": (6, 6, 2), "right": (4,)}, name="two")
    x = net.dense(net.inputs[0], 5, name="first")
    net.output(net.softmax(net.dense(net.concat([net.flatten(x), net.inputs[1]]), 3, name="dense")))
    net.initialize_weights(seed=1)
    return net


def test_networks_with_several_inputs() -> None:
    more = RANDOM.normal(size=(32, 4)).astype(np.float32)
    whole, parts = (mpscnn.Trainer(two_inputs(), optimizer=Sgd(0.1), seed=5) for _ in range(2))
    order = np.random.default_rng([5, 0]).permutation(32)
    for part in order.reshape(4, 8):
        whole.step([X[part], more[part]], Y[part])
    list(parts.iter_epochs(([X, more], Y), epochs=1, batch_size=8))
    for name, value in whole.network.weights.items():
        np.testing.assert_array_equal(value, parts.network.weights[name])
    batches = [([X, more], Y)]
    assert parts.evaluate(batches) == parts.evaluate(((X, more), Y), batch_size=32)
    with pytest.raises(mpscnn.ParameterError, match="'two' has 2 inputs, got 1 arrays"):
        parts.step(X, Y)
    with pytest.raises(mpscnn.ParameterError, match="'two' has 2 inputs, got 1 arrays"):
        list(parts.iter_epochs((X, Y), epochs=2))
    with pytest.raises(mpscnn.ShapeError, match="the inputs have 32, 31 elements"):
        list(parts.iter_epochs(([X, more[:31]], Y), epochs=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate": 0}, "accumulate must be a number of at least 1, got 0"),
        ({"accumulate": NAN}, "accumulate must be a whole number of at least 1, got nan"),
        ({"average": 1.5}, "average must be 0 to 1, got 1.5"),
        ({"average": NAN}, "average must be 0 to 1, got nan"),
        ({"average": 10**400}, "average must be 0 to 1, got 1000"),
        ({"weighted": NAN}, "weighted must be True or False, got nan"),
        ({"check_finite": "no"}, "check_finite must be True or False, got 'no'"),
        ({"precision": NAN}, "precision must be a name, got nan"),
        ({"device": NAN}, "device must be a name, got nan"),
        ({"frozen": (NAN,)}, r"frozen must be a sequence of names, got \(nan,\)"),
        ({"loss": {"kind": NAN}}, "loss: kind must be finite, got nan"),
        ({"loss": {"kind": "huber", "delta": INFINITY}}, "loss: delta must be finite, got inf"),
        (
            {"loss": {"kind": "huber", "delta": 10**400}},
            "loss: delta must be finite, got an integer of 1329 bits",
        ),
        ({"loss": {"kind": "huber", "iou_threshold": 0.5}}, "iou_threshold"),
        ({"optimizer": Adam(1e-3, beta1=NAN)}, "optimizer: beta1 must be finite, got nan"),
        ({"optimizer": Sgd(0.1, global_norm=-INFINITY)}, "optimizer: global_norm must be finite, got -inf"),
        ({"seed": "a"}, "seed must be a number from 0 to .*, got 'a'"),
        ({"seed": -1}, "seed must be a number from 0"),
        ({"seed": 2**70}, "seed must be a number from 0"),
        ({"threads": 0}, "threads must be 'auto' or a number of at least 1, got 0"),
        ({"threads": True}, "threads must be 'auto' or a number of at least 1, got True"),
        ({"frozen": "conv"}, "frozen must be a sequence of names, got 'conv'"),
        ({"loss": None}, "loss must be a name, or parameters as a mapping with 'kind', got None"),
        ({"loss": {"delta": 1.0}}, "loss must be a name, or parameters as a mapping with 'kind'"),
        (
            {"optimizer": "lion"},
            "optimizer must be 'sgd', 'rmsprop', 'adam', 'adamw' or an optimizer, got 'lion'",
        ),
        ({"optimizer": Adam(1e-3, beta1=1.0)}, "optimizer.beta1 must be at least 0 and below 1, got 1"),
        ({"optimizer": Adam(1e-3, beta2=-0.5)}, "optimizer.beta2 must be at least 0 and below 1, got -0.5"),
        ({"optimizer": Sgd(0.1, momentum=2.0)}, "momentum must be 0 to 1, got 2"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        mpscnn.Trainer(network(), **options)


def test_options_may_be_numbers_of_numpy(tmp_path: Path) -> None:
    options = {"average": np.float32(0.5), "accumulate": np.int64(2), "check_finite": np.bool_(True)}
    loss = {"kind": "huber", "delta": np.float32(0.5)}
    optimizer = Adam(1e-3, beta1=np.float32(0.875))
    trainer = mpscnn.Trainer(network(), loss=loss, optimizer=optimizer, **options)
    trainer.step(X, Y)
    trainer.save(tmp_path / "run.checkpoint")
    resumed = mpscnn.Trainer.resume(tmp_path / "run.checkpoint", optimizer=optimizer)
    assert trainer.step(X, Y) == resumed.step(X, Y)


def test_bad_options_of_gradients() -> None:
    net = network()
    for call in (net.gradients, lambda *given, **options: mpscnn.check_gradients(net, *given, **options)):
        with pytest.raises(mpscnn.ParameterError, match=r"seed must be a whole number from 0 to .*, got nan"):
            call(X, Y, seed=NAN)
        with pytest.raises(mpscnn.ParameterError, match="loss: delta must be finite, got nan"):
            call(X, Y, loss={"kind": "huber", "delta": NAN})
    for step in (NAN, INFINITY, 0, "1"):
        with pytest.raises(mpscnn.ParameterError, match="step must be a finite number above 0"):
            mpscnn.check_gradients(net, X, Y, step=step)


@pytest.mark.parametrize("rate", ["a", None, float("nan"), -1.0])
def test_bad_rates(rate: Any) -> None:
    """A number is checked at once; the result of a function is checked when it is needed."""
    with pytest.raises(mpscnn.ParameterError, match=r"learning rate must be .*finite"):
        mpscnn.Trainer(network(), optimizer=Sgd(rate))
    trainer = mpscnn.Trainer(network(), optimizer=Sgd(lambda step: rate))
    with pytest.raises(mpscnn.ParameterError, match=r"learning rate must be .*finite"):
        trainer.step(X, Y)


def test_bad_numbers_of_epochs_and_images() -> None:
    trainer = mpscnn.Trainer(network())
    with pytest.raises(mpscnn.ParameterError, match="epochs must be a number of at least 0, got -1"):
        next(trainer.iter_epochs((X, Y), epochs=-1))
    with pytest.raises(mpscnn.ParameterError, match="batch_size must be a number of at least 1, got 0"):
        next(trainer.iter_epochs((X, Y), epochs=1, batch_size=0))


def test_patterns_are_those_of_layers() -> None:
    """Patterns do not match names of inputs."""
    trainer = mpscnn.Trainer(network())
    with pytest.raises(mpscnn.ParameterError, match="has no layer that can be trained"):
        trainer.freeze("*")
    with pytest.raises(mpscnn.ParameterError, match="no layer of the network matches 'image'"):
        trainer.freeze("image")
    trainer.freeze("c*")
    assert trainer.frozen == ("conv",)
