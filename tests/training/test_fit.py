"""Test `Trainer.fit`: it trains when it is called, and returns what happened."""

from __future__ import annotations

import io
import math
import sys
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn.training import schedules

RANDOM = np.random.default_rng(5)
Y = RANDOM.integers(0, 3, 60)
X = (RANDOM.normal(0, 1, (60, 4, 4, 1)) + Y[:, None, None, None]).astype(np.float32)


def network(*, classes: int = 3) -> mpscnn.Network:
    net = mpscnn.Network(input=(4, 4, 1), name="three")
    x = net.conv2d(net.input, 4, 3, activation="relu", name="conv")
    x = net.batch_norm(x, name="bn")
    x = net.dense(x, classes, name="fc")
    net.output(net.softmax(x, name="softmax") if classes > 1 else x)
    net.initialize_weights(seed=3)
    return net


def trainer(**options: Any) -> mpscnn.Trainer:
    return mpscnn.Trainer(network(), optimizer=mpscnn.Adam(1e-2), seed=2, **options)


def weights(trained: mpscnn.Trainer) -> dict[str, NDArray[Any]]:
    return {name: np.array(value) for name, value in trained.network.weights.items()}


def same(left: dict[str, NDArray[Any]], right: dict[str, NDArray[Any]]) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


def test_fit_trains_as_the_loop_does_and_again_when_it_is_called_again() -> None:
    looped, fitted = trainer(), trainer()
    first = fitted.fit((X, Y), epochs=2, batch_size=16, validation_data=(X, Y))
    assert fitted.steps == 8
    second = fitted.fit(X, Y, epochs=3, batch_size=16, validation_data=(X, Y))
    expected = list(looped.iter_epochs((X, Y), epochs=5, batch_size=16, validation_data=(X, Y)))
    assert same(weights(fitted), weights(looped))
    assert [len(first), len(second), len(fitted.history)] == [2, 3, 5]
    assert [epoch.index for epoch in fitted.history] == [1, 2, 3, 4, 5]
    assert fitted.history.losses == first.losses + second.losses == [epoch.loss for epoch in expected]
    assert second.validation_accuracies == [epoch.validation_accuracy for epoch in expected[2:]]
    assert second[-1] == fitted.history[-1]
    assert second[1:] == second.epochs[1:]
    assert second.accuracies[-1] > 0.5
    assert not len(fitted.fit((X, Y), epochs=0))


def test_the_history_has_each_number_by_epoch() -> None:
    rate = schedules.cosine(1e-2, 8)
    trained = mpscnn.Trainer(network(), optimizer=mpscnn.Sgd(rate))
    history = trained.fit((X, Y), epochs=2, batch_size=16)
    table = history.to_dict()
    assert list(table) == [
        "index",
        "loss",
        "accuracy",
        "validation_loss",
        "validation_accuracy",
        "learning_rate",
        "seconds",
    ]
    assert table["learning_rate"] == history.learning_rates == [rate(3), rate(7)]
    assert table["validation_loss"] == history.validation_losses == [None, None]
    assert all(seconds > 0 for seconds in history.seconds)
    assert repr(history).startswith("<History: 2 epochs; loss ")
    assert repr(mpscnn.History(())) == "<History: no epochs>"


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("epochs", [0, 1, 4])
def test_curves(classes: int, validated: bool, epochs: int) -> None:
    loss = "softmax_cross_entropy" if classes > 1 else "mean_squared_error"
    trained = mpscnn.Trainer(network(classes=classes), loss=loss)
    data = (X, Y if classes > 1 else Y.astype(np.float32)[:, None])
    history = trained.fit(data, epochs=epochs, validation_data=data if validated else None)
    page = ElementTree.fromstring(history._repr_html_().replace('">', '"/>', 1) if epochs else "<div/>")
    assert len(page.findall("img")) == bool(epochs)
    charts = history._charts()
    assert len(charts) == 2 + (classes > 1 and epochs > 0)
    lines = [runs for chart in charts for _, _, runs in chart.lines() if runs]
    if epochs:
        assert len(lines) == (1 + validated) * (1 + (classes > 1)) + 1
        assert all([len(run) for run in runs] == [epochs] for runs in lines)
        assert history.plot().size == (640, 260 * len(charts))
    if classes == 1:
        assert all(math.isnan(accuracy) for accuracy in history.accuracies)
    assert all(math.isfinite(x + y) for runs in lines for run in runs for x, y in run)


def test_callbacks_see_each_epoch_and_may_end_the_training() -> None:
    seen: list[int] = []
    trained = trainer()
    history = trained.fit(
        (X, Y), epochs=9, callbacks=[lambda epoch: epoch.index == 3, lambda epoch: seen.append(epoch.index)]
    )
    assert seen == [1, 2, 3]
    assert len(history) == 3
    trained.fit((X, Y), epochs=1, callbacks=lambda epoch: seen.append(epoch.index))
    assert seen == [1, 2, 3, 4]
    with pytest.raises(
        mpscnn.ParameterError, match=r"callbacks must be functions that take an Epoch.*got str"
    ):
        trained.fit((X, Y), callbacks=["log"])  # type: ignore[list-item]


@pytest.mark.parametrize("answer", [1, "yes", np.ones(2)])
def test_only_true_ends_the_training(answer: Any) -> None:
    """Other results of callbacks, such as the number of characters that a callback wrote, have no effect."""
    assert len(trainer().fit((X, Y), epochs=2, callbacks=lambda _: answer)) == 2
    assert len(trainer().fit((X, Y), epochs=2, callbacks=[lambda _: answer, lambda _: np.True_])) == 1


def test_an_error_of_a_callback_keeps_the_epochs() -> None:
    trained = trainer()

    def fail(epoch: mpscnn.Epoch) -> None:
        if epoch.index == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained.fit((X, Y), epochs=5, callbacks=fail)
    assert len(trained.history) == 2
    trained.fit((X, Y), epochs=1)
    whole = trainer()
    whole.fit((X, Y), epochs=3)
    assert same(weights(trained), weights(whole))


def _worse_from(epoch: int, trained: mpscnn.Trainer) -> Any:
    """Return a callback after which all further epochs are worse: the learning rate becomes absurd."""

    def callback(made: mpscnn.Epoch) -> None:
        if made.index == epoch:
            trained.learning_rate = 3.0

    return callback


@pytest.mark.parametrize("monitor", [None, "loss", "accuracy", "validation_loss", "validation_accuracy"])
def test_early_stopping_returns_to_the_best_epoch(monitor: Any) -> None:
    trained, undisturbed = trainer(average=0.9), trainer(average=0.9)
    kept: dict[int, dict[str, NDArray[Any]]] = {}

    def keep(epoch: mpscnn.Epoch) -> None:
        kept[epoch.index] = weights(trained)

    history = trained.fit(
        (X, Y),
        epochs=50,
        batch_size=16,
        validation_data=(X, Y),
        callbacks=[keep, _worse_from(3, trained)],
        early_stopping=mpscnn.EarlyStopping(patience=2, monitor=monitor),
    )
    best = history.best_epoch
    assert best is not None
    values = history.to_dict()[monitor or "validation_loss"]
    falls = (monitor or "loss").endswith("loss")
    assert values[best - 1] == (min if falls else max)(values)
    assert len(history) == best + 2
    assert same(weights(trained), kept[best])
    assert trained.steps == 4 * best
    # The whole trainer is as it was at the best epoch, including the optimiser's moments and the average.
    undisturbed.fit((X, Y), epochs=best, batch_size=16)
    if best <= 3:
        trained.learning_rate = 1e-2
        trained.fit((X, Y), epochs=2, batch_size=16)
        undisturbed.fit((X, Y), epochs=2, batch_size=16)
        assert same(weights(trained), weights(undisturbed))
        assert same(
            {name: np.array(value) for name, value in trained.averaged.weights.items()},
            {name: np.array(value) for name, value in undisturbed.averaged.weights.items()},
        )


def test_early_stopping_restores_what_callbacks_froze() -> None:
    trained = trainer()

    def freeze(epoch: mpscnn.Epoch) -> None:
        if epoch.index == 3:
            trained.freeze("conv")
            trained.learning_rate = 3.0

    history = trained.fit((X, Y), epochs=20, batch_size=16, callbacks=freeze, early_stopping=2)
    assert history.best_epoch == 3
    assert trained.frozen == ()


def test_early_stopping_without_restoring() -> None:
    trained = trainer()
    stopping = mpscnn.EarlyStopping(patience=2, restore_best=False)
    history = trained.fit(
        (X, Y), epochs=20, batch_size=16, callbacks=_worse_from(3, trained), early_stopping=stopping
    )
    assert history.best_epoch is None
    assert trained.steps == 4 * len(history) < 80


@pytest.mark.parametrize("monitor", ["accuracy", "validation_accuracy"])
def test_early_stopping_refuses_an_accuracy_that_the_network_does_not_have(monitor: Any) -> None:
    trained = mpscnn.Trainer(network(classes=1), loss="mean_squared_error")
    values = Y[:, None].astype(np.float32)
    stopping = mpscnn.EarlyStopping(patience=2, monitor=monitor)
    with pytest.raises(mpscnn.ParameterError, match=f"watches '{monitor}', but the network has no classes"):
        trained.fit((X, values), epochs=9, validation_data=(X, values), early_stopping=stopping)
    assert len(trained.history) == 1


def test_small_changes_do_not_count() -> None:
    history = trainer().fit(
        (X, Y), epochs=20, early_stopping=mpscnn.EarlyStopping(patience=3, minimum_change=1e6)
    )
    assert len(history) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "epochs"),
        ({"early_stopping": 0}, "EarlyStopping: patience"),
        ({"callbacks": 3}, "callbacks must be functions that take an Epoch"),
        ({"callbacks": [mpscnn.EarlyStopping()] * 2}, "has an EarlyStopping besides another one"),
        (
            {"callbacks": [mpscnn.EarlyStopping()], "early_stopping": 3},
            "has an EarlyStopping besides another one",
        ),
        ({"early_stopping": True}, "mpscnn.EarlyStopping or its patience, got True"),
        ({"early_stopping": "yes"}, "mpscnn.EarlyStopping or its patience, got 'yes'"),
        (
            {"early_stopping": lambda: mpscnn.EarlyStopping(monitor="validation_loss")},
            "needs validation_data",
        ),
        ({"early_stopping": lambda: mpscnn.EarlyStopping(monitor="validation")}, "'validation_loss'"),  # type: ignore[arg-type]
        ({"early_stopping": lambda: mpscnn.EarlyStopping(minimum_change=-1.0)}, "minimum_change"),
        ({"early_stopping": lambda: mpscnn.EarlyStopping(restore_best=1)}, "restore_best"),  # type: ignore[arg-type]
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    trained = trainer()
    with pytest.raises(mpscnn.ParameterError, match=message):
        trained.fit(
            (X, Y), **{name: value() if callable(value) else value for name, value in options.items()}
        )
    assert trained.steps == 0


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_where_a_person_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class OutStream(io.StringIO):
        """A stream like that of a notebook's kernel."""

    OutStream.__module__ = "ipykernel.iostream"
    shown = {}
    for name, stream in (("file", io.StringIO()), ("terminal", _Terminal()), ("notebook", OutStream())):
        monkeypatch.setattr(sys, "stderr", stream)
        trainer().fit((X, Y), epochs=2, batch_size=16, validation_data=(X, Y))
        shown[name] = stream.getvalue()
    assert shown["file"] == ""
    for text in (shown["terminal"], shown["notebook"]):
        finished = [line.split("\r")[-1] for line in text.rstrip("\n").split("\n")]
        assert [line[:10] for line in finished] == ["epoch 1/2 ", "epoch 2/2 "]
        assert "validation" in finished[0]
        assert all(len(part) <= 80 for line in text.split("\n") for part in line.split("\r"))
        assert "[#####..............." in text
    monkeypatch.setattr(sys, "stderr", stream := _Terminal())
    trainer().fit((X, Y), progress=False)
    assert stream.getvalue() == ""
    trainer().fit(((x, y) for x, y in [(X, Y)]), progress=True)
    assert "epoch 1/1  batch 1 " in stream.getvalue()


def test_the_learning_rate_can_be_read_and_assigned() -> None:
    trained = mpscnn.Trainer(network(), optimizer=mpscnn.Adam(lambda step: 0.1 / (step + 1)))
    assert trained.learning_rate == 0.1
    trained.fit((X, Y), epochs=1, batch_size=16)
    assert trained.lr == 0.1 / 5
    trained.lr = 0.5
    assert trained.learning_rate == 0.5
    with pytest.raises(mpscnn.ParameterError, match="learning rate must be a finite number"):
        trained.learning_rate = -1.0
    assert trained.learning_rate == 0.5


def test_a_network_without_weights_begins_with_those_of_the_seed() -> None:
    def untrained() -> mpscnn.Network:
        network = mpscnn.Network(input=(4, 4, 1))
        network.output(network.softmax(network.dense(network.flatten(network.input), 2)))
        return network

    initialized = untrained()
    initialized.initialize_weights(seed=5)
    began = mpscnn.Trainer(untrained(), seed=5).network
    for name, array in initialized.weights.items():
        np.testing.assert_array_equal(began.weights[name], array)
    empty = untrained()
    stopping = [mpscnn.EarlyStopping(1, "loss", minimum_change=10.0)]
    images, classes = np.zeros((6, 4, 4, 1), np.float32), np.array([0, 1] * 3)
    assert len(mpscnn.Trainer(empty).fit(images, classes, epochs=9, callbacks=stopping)) < 9
    assert not empty.weights
