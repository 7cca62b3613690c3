"""Layers that are frozen for a while continue where they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import Adam, RmsProp, Sgd, _core

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(24, 6, 6, 2)).astype(np.float32)
Y = RANDOM.integers(0, 3, 24)
OPTIMIZERS = [Sgd(0.1, momentum=0.9), RmsProp(1e-2), Adam(1e-2), Adam(1e-2, amsgrad=True)]


def network() -> mpscnn.Network:
    net = mpscnn.Network(input=(6, 6, 2), name="net")
    x = net.conv2d(net.input, 5, 3, activation="swish", name="conv")
    x = net.layer_norm(x, name="norm")
    net.output(net.softmax(net.dense(x, 3, name="dense")))
    net.initialize_weights(seed=1)
    return net


def weights(net: mpscnn.Network) -> dict[str, Any]:
    return {name: np.array(value) for name, value in net.weights.items()}


def steps(trainer: mpscnn.Trainer, count: int) -> mpscnn.Trainer:
    for _ in range(count):
        trainer.step(X, Y)
    return trainer


def assert_same(a: mpscnn.Trainer, b: mpscnn.Trainer) -> None:
    for ours, others in ((a.network, b.network), (a.averaged, b.averaged)):
        for name, value in weights(ours).items():
            np.testing.assert_array_equal(value, others.weights[name], err_msg=name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("accumulate", [1, 3])
def test_freezing_alone_changes_nothing(optimizer: Any, accumulate: int) -> None:
    """Freezing and unfreezing at once changes neither moments nor averages nor sums of gradients."""
    plain, frozen = (
        mpscnn.Trainer(network(), optimizer=optimizer, average=0.9, accumulate=accumulate) for _ in range(2)
    )
    steps(plain, 5)
    steps(frozen, 5)
    frozen.freeze("conv", "norm")
    frozen.unfreeze("norm")
    frozen.unfreeze("conv")
    frozen.freeze("dense", "norm")
    frozen.unfreeze("*")
    assert_same(steps(plain, 4), steps(frozen, 4))


class AdamInDouble:
    """Adam for one weight in float64, which counts the updates of this weight."""

    def __init__(self, value: Any) -> None:
        self.value = value.astype(np.float64)
        self.first = self.second = np.zeros_like(self.value)
        self.time = 0

    def update(self, gradient: Any) -> None:
        self.time += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        rate = 1e-2 * np.sqrt(1 - 0.999**self.time) / (1 - 0.9**self.time)
        self.value = self.value - rate * self.first / (np.sqrt(self.second) + 1e-4)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_adam_corrects_for_the_updates_of_each_layer(accumulate: int) -> None:
    """Some layers are unfrozen for the first time, others are frozen in between."""
    trainer = mpscnn.Trainer(
        network(), optimizer=Adam(1e-2, epsilon=1e-4), frozen=("conv",), accumulate=accumulate
    )
    expected = {name: AdamInDouble(value) for name, value in weights(trainer.network).items()}
    changes = {4: ("unfreeze", "conv"), 7: ("freeze", "dense"), 8: ("freeze", "norm")}
    changes |= {10: ("unfreeze", "dense"), 13: ("freeze", "conv"), 14: ("unfreeze", "norm")}
    changes |= {20: ("unfreeze", "conv")}
    for update in range(24):
        if update in changes:
            method, layer = changes[update]
            getattr(trainer, method)(layer)
        _, gradients = trainer.network.gradients(X, Y)
        steps(trainer, accumulate)
        for name, own in expected.items():
            if name.split(".")[0] not in trainer.frozen:
                own.update(gradients[name].astype(np.float64).reshape(own.value.shape))
        for name, value in weights(trainer.network).items():
            np.testing.assert_allclose(
                value, expected[name].value, rtol=0, atol=2e-4, err_msg=f"{update}: {name}"
            )


def test_a_layer_unfrozen_at_first_begins_as_a_new_one() -> None:
    late = steps(mpscnn.Trainer(network(), frozen=("conv",)), 20)
    late.unfreeze("conv")
    new = mpscnn.Trainer(late.network)
    before, after = weights(new.network), (weights(steps(t, 1).network) for t in (late, new))
    ours, others = after
    for name in ("conv.weight", "conv.bias"):
        np.testing.assert_array_equal(ours[name], others[name])
        assert np.abs(ours[name] - before[name]).max() == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("saved", [4, 6, 9])
def test_a_checkpoint_has_what_frozen_layers_keep(saved: int, tmp_path: Path) -> None:
    def run(trainer: mpscnn.Trainer, first: int, last: int) -> mpscnn.Trainer:
        for step in range(first, last):
            if step == 3:
                trainer.freeze("conv")
            if step == 5:
                trainer.unfreeze("norm")
            if step == 8:
                trainer.unfreeze("conv")
            steps(trainer, 1)
        return trainer

    def made() -> mpscnn.Trainer:
        return mpscnn.Trainer(network(), optimizer=Adam(1e-2), average=0.9, frozen=("norm",), accumulate=2)

    whole, half = run(made(), 0, 12), run(made(), 0, saved)
    half.save(tmp_path / "run.checkpoint")
    resumed = mpscnn.Trainer.resume(tmp_path / "run.checkpoint", optimizer=Adam(1e-2))
    assert resumed.frozen == half.frozen
    assert_same(half, resumed)
    assert_same(whole, run(resumed, saved, 12))


def test_averages_of_frozen_layers_stay() -> None:
    trainer = steps(mpscnn.Trainer(network(), optimizer=Adam(1e-2), average=0.9), 3)
    before = weights(trainer.averaged)
    trainer.freeze("conv")
    steps(trainer, 2)
    after = weights(trainer.averaged)
    assert not np.array_equal(before["conv.weight"], trainer.network.weights["conv.weight"])
    for name, value in before.items():
        assert np.array_equal(value, after[name]) == name.startswith("conv"), name


def test_freezing_that_is_refused_loses_nothing() -> None:
    plain, refused = (
        steps(mpscnn.Trainer(network(), optimizer=Adam(1e-2), average=0.9), 3) for _ in range(2)
    )
    refused.freeze("conv")
    with pytest.raises(mpscnn.ParameterError, match="has no layer that can be trained"):
        refused.freeze("*")
    assert refused.frozen == ("conv",)
    refused.unfreeze("conv")
    assert_same(steps(plain, 2), steps(refused, 2))


@pytest.mark.parametrize("pattern", [3, None, ["conv"]])
def test_patterns_that_are_no_text(pattern: Any) -> None:
    trainer = mpscnn.Trainer(network(), frozen=("conv",))
    for change in (trainer.freeze, trainer.unfreeze):
        with pytest.raises(mpscnn.ParameterError, match="layers are given one by one"):
            change(pattern)
    assert trainer.frozen == ("conv",)


@pytest.mark.parametrize(
    ("missed", "message"),
    [({"other": 1}, "has no layer 'other' that missed updates"), ({"conv": -1}, "conv: must be at least 0")],
)
def test_missed_updates_that_cannot_be(missed: dict[str, int], message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        _core.Trainer(network().graph, json.dumps({"missed_updates": missed}), "cpu", 1)


def test_more_missed_updates_than_there_were() -> None:
    trainer = _core.Trainer(network().graph, json.dumps({"missed_updates": {"conv": 3}}), "cpu", 1)
    prediction, loss = np.empty((24, 3), np.float32), np.full(1, np.nan)
    labels = np.eye(3, dtype=np.float32)[Y]
    with pytest.raises(mpscnn.StateError, match="a layer missed 3 updates, but there have been only 0"):
        trainer.step([X], labels, 1e-3, prediction, loss)
    assert np.isnan(loss[0])
    trainer.set_steps(3)
    trainer.step([X], labels, 1e-3, prediction, loss)
    assert loss[0] > 0
