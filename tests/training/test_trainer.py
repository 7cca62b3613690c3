"""Trainers learn, give the same bits with any number of threads, and continue where they were stopped."""

from __future__ import annotations

import gc
import json
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn.training import schedules
from mpscnn.training.optimizers import Adam, RmsProp, Sgd

RANDOM = np.random.default_rng(0)


def blobs(count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return images with a bright quarter, whose number is the class."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 4, count)
    x = random.normal(0, 0.3, (count, 12, 12, 1)).astype(np.float32)
    for i, label in enumerate(y):
        x[i, 6 * (label // 2) :, 6 * (label % 2) :][:6, :6] += 1
    return x, y


def network(*, normalized: bool = False, rate: float = 0.2) -> mpscnn.Network:
    net = mpscnn.Network(input=(12, 12, 1), name="quarters")
    x = net.conv2d(net.input, 8, 3, padding="same", name="conv1")
    if normalized:
        x = net.batch_norm(x, name="norm")
    x = net.max_pool2d(net.activation(x, "relu"), 2)
    x = net.conv2d(x, 8, 3, activation="relu", name="conv2")
    x = net.dropout(net.dense(x, 16, activation="relu", name="fc1"), rate, name="drop")
    net.output(net.softmax(net.dense(x, 4, name="fc2")))
    net.initialize_weights(seed=1)
    return net


def weights_of(trainer: mpscnn.Trainer) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(value) for name, value in trainer.network.weights.items()}


def assert_same(a: dict[str, NDArray[Any]], b: dict[str, NDArray[Any]]) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name], err_msg=name)


@pytest.mark.parametrize("normalized", [False, True])
def test_it_learns(normalized: bool) -> None:
    trainer = mpscnn.Trainer(network(normalized=normalized), optimizer=Adam(3e-3), seed=2)
    before = trainer.evaluate(blobs(200, 1))
    epochs = list(trainer.iter_epochs(blobs(600), epochs=3, batch_size=32, validation_data=blobs(200, 1)))
    assert [epoch.index for epoch in epochs] == [1, 2, 3]
    assert before.accuracy < 0.6
    last = epochs[-1]
    assert last.validation_accuracy is not None
    assert last.validation_loss is not None
    assert last.validation_accuracy > 0.95
    assert last.validation_loss < before.loss
    assert last.loss < epochs[0].loss
    assert trainer.steps == 3 * 19


def test_bits_do_not_depend_on_threads() -> None:
    results = []
    for threads in (1, 3):
        trainer = mpscnn.Trainer(network(normalized=True), threads=threads, seed=5)
        list(trainer.iter_epochs(blobs(70), epochs=1, batch_size=32))
        results.append(weights_of(trainer))
    assert_same(*results)


@pytest.mark.parametrize("options", [{}, {"accumulate": 2}, {"check_finite": True, "average": 0.9}])
def test_a_profile_is_of_steps_that_are_not_taken_over(options: dict[str, Any]) -> None:
    one, other = (mpscnn.Trainer(network(normalized=True), seed=5, **options) for _ in range(2))
    x, y = blobs(32)
    for trainer in (one, other):
        trainer.step(x, y)
    profile = one.profile(x, y, runs=3)
    assert profile.threads == one.profile(x, y, runs=1).threads
    assert len(profile.milliseconds) == 3
    kinds = {total.kind for total in profile.by_kind()}
    assert {"weight gradient", "update"} - ({"update"} if "accumulate" in options else set()) <= kinds
    assert one.steps == 1
    for _ in range(3):
        assert one.step(x, y) == other.step(x, y)
    assert_same(weights_of(one), weights_of(other))
    with pytest.raises(mpscnn.ParameterError, match="runs must be a number from 1 to 100000, got 0"):
        one.profile(x, y, runs=0)
    with pytest.raises(
        mpscnn.ParameterError, match="weights of the losses are for a trainer with weighted=True"
    ):
        one.profile(x, y, np.ones(32))


def own_schedule(step: int) -> float:
    return 0.01 / (step + 1)


@pytest.mark.parametrize(
    "optimizer",
    [
        Sgd(0.05, momentum=0.9, nesterov=True, clip=True, maximum=np.float32(0.5)),
        RmsProp(schedules.cosine(0.01, 8, last=0.001)),
        Adam(schedules.warm_up(3, schedules.steps(0.01, 2, factor=0.5)), amsgrad=True, weight_decay=0.01),
        Adam(schedules.warm_up(np.int64(2), np.float32(0.01))),
        Sgd(schedules.cosine(np.float32(0.1), np.int32(8), last=np.float16(0.01))),
        Sgd(schedules.warm_up(np.int16(2), schedules.steps(np.float32(0.1), np.uint8(3), np.float32(0.3)))),
    ],
)
def test_a_checkpoint_knows_its_optimizer(tmp_path: Path, optimizer: Any) -> None:
    data = blobs(100)
    whole = mpscnn.Trainer(network(), optimizer=optimizer, seed=5)
    list(whole.iter_epochs(data, epochs=2, batch_size=30))
    half = mpscnn.Trainer(network(), optimizer=optimizer, seed=5)
    next(half.iter_epochs(data, epochs=2, batch_size=30))
    half.save(tmp_path / "run.checkpoint")
    resumed = mpscnn.Trainer.resume(tmp_path / "run.checkpoint")
    list(resumed.iter_epochs(data, epochs=2, batch_size=30))
    assert_same(weights_of(whole), weights_of(resumed))


@pytest.mark.parametrize("rate", [own_schedule, schedules.warm_up(3, own_schedule)])
def test_a_rate_of_the_callers_own_is_not_in_a_checkpoint(tmp_path: Path, rate: Any) -> None:
    mpscnn.Trainer(network(), optimizer=Sgd(rate)).save(tmp_path / "run.checkpoint")
    with pytest.raises(
        mpscnn.ParameterError, match="was a function that a checkpoint cannot hold; give optimizer="
    ):
        mpscnn.Trainer.resume(tmp_path / "run.checkpoint")
    mpscnn.Trainer.resume(tmp_path / "run.checkpoint", optimizer=Sgd(rate))


@pytest.mark.parametrize(
    "stored",
    [
        "Sgd",
        {},
        {"kind": "sgd"},
        {"kind": "lion", "learning_rate": 0.1},
        {"kind": "sgd", "learning_rate": "fast"},
        {"kind": "sgd", "learning_rate": 0.1, "power": 2},
        {"kind": "sgd", "learning_rate": {"kind": "cosine", "rate": 0.1}},
        {"kind": "sgd", "learning_rate": {"kind": "steps", "rate": 0.1, "every": 0}},
    ],
)
def test_a_damaged_optimizer_in_a_checkpoint(tmp_path: Path, stored: Any) -> None:
    path = tmp_path / "run.checkpoint"
    mpscnn.Trainer(network()).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    settings = json.loads(arrays["settings"].tobytes()) | {"optimizer": stored}
    arrays["settings"] = np.frombuffer(json.dumps(settings).encode(), np.uint8)
    with path.open("wb") as content:
        np.savez(content, **arrays)
    with pytest.raises(mpscnn.WeightsError, match="damaged checkpoint: it has no optimiser"):
        mpscnn.Trainer.resume(path)


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    trainer = mpscnn.Trainer(network(rate=0.0), optimizer=Sgd(0.1))
    x, y = blobs(32)
    trainer.step(x, y)
    before = weights_of(trainer)
    wrong = x.copy()
    wrong[3, 4, 5] = np.nan
    with pytest.raises(
        mpscnn.StateError, match=r"in step 1 the loss is NaN: input 'image': NaN at image 3, row 4"
    ):
        trainer.step(wrong, y)
    assert trainer.steps == 1
    assert_same(before, weights_of(trainer))


def test_weights_that_grow_beyond_all_numbers() -> None:
    trainer = mpscnn.Trainer(network(rate=0.0), optimizer=Sgd(1e25))
    x, y = blobs(32)
    trainer.step(x, y)
    with pytest.raises(mpscnn.StateError, match=r"in step \d the loss is (NaN|infinite): layer 'conv2"):
        trainer.step(x, y)
    assert trainer.steps == 1


def test_other_losses_and_iterables() -> None:
    net = mpscnn.Network(input=(6,), name="line")
    net.output(net.dense(net.input, 2, name="dense"))
    net.initialize_weights(seed=1)
    wanted = RANDOM.normal(size=(6, 2)).astype(np.float32)
    x = RANDOM.normal(size=(64, 6)).astype(np.float32)
    batches = [(x[:40], x[:40] @ wanted), (x[40:], x[40:] @ wanted)]
    trainer = mpscnn.Trainer(net, loss="mean_squared_error", optimizer=Sgd(schedules.cosine(0.5, 300)))
    for epoch in trainer.iter_epochs(batches, epochs=150):
        last = epoch.loss
    assert last < 1e-6
    np.testing.assert_allclose(trainer.network.weights["dense.weight"], wanted.T, atol=1e-3)


def test_schedules() -> None:
    rates = schedules.warm_up(4, schedules.steps(1.0, 10, 0.5))
    assert [rates(step) for step in (0, 3, 4, 13, 14)] == pytest.approx([0.2, 0.8, 1.0, 1.0, 0.5])
    cosine = schedules.cosine(2.0, 10, last=1.0)
    assert [cosine(step) for step in (0, 5, 10, 99)] == pytest.approx([2.0, 1.5, 1.0, 1.0])


@pytest.mark.parametrize(
    ("schedule", "given", "message"),
    [
        (schedules.steps, (0.1, "3"), "every must be at least 1 step, got '3'"),
        (schedules.steps, (0.1, 0), "every must be at least 1 step, got 0"),
        (schedules.steps, ("0.1", 3), "rate must be a finite number, got '0.1'"),
        (schedules.steps, (0.1, 3, None), "factor must be a finite number, got None"),
        (schedules.cosine, (0.1, None), "steps must be at least 1 step, got None"),
        (schedules.cosine, (None, 3), "rate must be a finite number, got None"),
        (schedules.warm_up, (True, 0.1), "count must be at least 1 step, got True"),
        (schedules.warm_up, (3, "0.1"), "then must be a finite number, or a function of the step, got '0.1'"),
    ],
)
def test_bad_schedules(schedule: Any, given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        schedule(*given)


def refused(**changes: Any) -> None:
    """Make a step with data that should be refused."""
    x, y = blobs(8)
    given: dict[str, Any] = {"inputs": x, "labels": y} | changes
    mpscnn.Trainer(network()).step(**given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.array([0, 1, 2, 3, 4, 0, 0, 0])}, "class numbers of 0 to 3, got 4"),
        ({"labels": np.array([0, 1, 2, -1, 0, 0, 0, 0])}, "class numbers of 0 to 3, got -1"),
        ({"labels": np.zeros((8, 3), np.float32)}, r"floats of the shape \(8, 4\), got float32"),
        ({"inputs": np.zeros((8, 12, 12, 1), np.uint8)}, "inputs must be floats .*got uint8"),
        ({"inputs": np.zeros((8, 12, 13, 1), np.float32)}, r"\(8, 12, 13, 1\)"),
    ],
)
def test_bad_batches(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        refused(**changes)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_pixels_are_no_inputs_of_a_network_with_preprocessing(dtype: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 12, 1)).astype(dtype)
    labels = np.arange(8) % 4
    trained = network()
    trained.preprocess = "tensorflow"
    calls: list[Callable[[], object]] = [
        lambda: mpscnn.Trainer(trained).step(pixels, labels),
        lambda: mpscnn.Trainer(trained).fit((pixels, labels), epochs=1),
        lambda: mpscnn.Trainer(trained).fit([(pixels, labels)], epochs=1),
        lambda: mpscnn.Trainer(trained).evaluate((pixels, labels)),
        lambda: trained.gradients(pixels, labels),
    ]
    for call in calls:
        with pytest.raises(
            mpscnn.ImageError, match=r"has whole numbers from 0 to 255, which are pixels.*preprocess"
        ):
            call()
    with pytest.raises(mpscnn.ParameterError, match=r"got uint8; pass photos through mpscnn\.preprocess"):
        mpscnn.Trainer(trained).step(pixels.astype(np.uint8), labels)
    mpscnn.Trainer(trained).step(pixels / dtype(127.5) - dtype(1), labels)
    trained.preprocess = "none"  # pixels are the inputs of this network
    mpscnn.Trainer(trained).step(pixels / dtype(8), labels)


def test_bad_networks_and_options() -> None:
    with pytest.raises(mpscnn.ParameterError, match="no layer of the network matches 'block_\\*'"):
        mpscnn.Trainer(network(), frozen=("block_*",))
    with pytest.raises(mpscnn.ParameterError, match=r"loss\.kind: must be one of mean_absolute_error"):
        mpscnn.Trainer(network(), loss="cross")
    with pytest.raises(mpscnn.ParameterError, match="has no layer that can be trained"):
        mpscnn.Trainer(network(), frozen=("conv*", "fc*"))
    reduced = mpscnn.Network(input=(4, 4, 3), name="reduced")
    x = reduced.reduce_product(reduced.conv2d(reduced.input, 3, 1, name="conv"), 1, name="product")
    reduced.output(reduced.dense(x, 2, name="dense"))
    reduced.initialize_weights(seed=0)
    with pytest.raises(mpscnn.UnsupportedError, match="layer 'product': reduction cannot be trained through"):
        mpscnn.Trainer(reduced)
    mpscnn.Trainer(reduced, frozen=("conv",))  # no layer before the reduction is trained


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "text", "pickle", "array", "other"])
def test_damaged_checkpoints(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    mpscnn.Trainer(network()).save(path)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "text":
        path.write_text("learning rate: 0.1\n")
    elif damage == "pickle":
        path.write_bytes(pickle.dumps({"settings": 1}))
    elif damage == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        np.savez(path, settings=np.frombuffer(b"[]", np.uint8))
        path.with_suffix(".checkpoint.npz").rename(path)
    with pytest.raises(mpscnn.WeightsError, match=r"run\.checkpoint") as raised:
        mpscnn.Trainer.resume(path, optimizer=Adam())
    if damage in ("empty", "text", "pickle", "array"):
        assert str(raised.value) == f"{path} is no checkpoint, or damaged: File is not a zip file"


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(tmp_path: Path) -> None:
    trainer = mpscnn.Trainer(network())
    folder = tmp_path / "none"
    with pytest.raises(mpscnn.WeightsError, match="cannot be written"):
        trainer.save(folder / "run.checkpoint")
    trainer.save(tmp_path / "run.checkpoint")
    with pytest.raises(mpscnn.ParameterError, match="the checkpoint's optimiser is"):
        mpscnn.Trainer.resume(tmp_path / "run.checkpoint", optimizer=Sgd())
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.checkpoint"]


def test_networks_of_one_output_have_no_accuracy() -> None:
    """With one output, the largest output is always the first, so there is no accuracy."""
    network = mpscnn.Network((4,))
    network.output(network.dense(network.input, 1, name="fc"))
    network.initialize_weights(seed=1)
    trainer = mpscnn.Trainer(network, loss="sigmoid_cross_entropy")
    x = np.random.default_rng(1).normal(size=(16, 4)).astype(np.float32)
    y = (x[:, :1] > 0).astype(np.float32)
    assert np.isnan(trainer.evaluate((x, y)).accuracy)
    assert all(np.isnan(epoch.accuracy) for epoch in trainer.iter_epochs((x, y), epochs=2))


@pytest.mark.parametrize("kind", ["sigmoid_cross_entropy", "mean_squared_error"])
def test_whole_numbers_for_one_channel_are_values(kind: str) -> None:
    net = mpscnn.Network(input=(3,))
    net.output(net.dense(net.input, 1))
    net.initialize_weights(seed=0)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    for values in ([0, 0, 0, 0], [1, 0, 1, 1]):
        floats = np.array(values, np.float32).reshape(4, 1)
        expected = mpscnn.Trainer(net, loss=kind).step(x, floats)
        for labels in (floats.astype(int), floats[:, 0].astype(np.uint8), floats.astype(bool)):
            assert mpscnn.Trainer(net, loss=kind).step(x, labels) == expected
    if kind == "sigmoid_cross_entropy":
        with pytest.raises(mpscnn.ParameterError, match="must be 0 to 1"):
            mpscnn.Trainer(net, loss=kind).step(x, np.full((4, 1), 255, np.uint8))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"kind": "mean_squared_error", "reduce_across_batch": False}, "one loss of all images"),
        ({"kind": "mean_squared_error", "label_smoothing": 0.1}, "label_smoothing is for softmax"),
        ({"kind": "huber", "epsilon": 0.1}, "epsilon is for log"),
        ({"kind": "huber", "number_of_classes": 5}, "number_of_classes is for softmax"),
    ],
)
def test_parameters_that_a_loss_would_ignore(loss: dict[str, Any], message: str) -> None:
    net = mpscnn.Network(input=(3,))
    net.output(net.dense(net.input, 2))
    net.initialize_weights(seed=0)
    with pytest.raises(mpscnn.ParameterError, match=message):
        mpscnn.Trainer(net, loss=loss)
    with pytest.raises(mpscnn.ParameterError, match=message):
        net.gradients(np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32), loss=loss)


def test_a_cosine_distance_by_its_name() -> None:
    net = mpscnn.Network(input=(3,))
    net.output(net.dense(net.input, 2))
    net.initialize_weights(seed=0)
    x, y = np.ones((2, 3), np.float32), np.ones((2, 2), np.float32)
    summed = mpscnn.Trainer(net, loss={"kind": "cosine_distance", "reduction": "sum"})
    assert mpscnn.Trainer(net, loss="cosine_distance").step(x, y) == summed.step(x, y)


def test_the_inputs_of_fit_are_those_of_step() -> None:
    net = mpscnn.Network(input=(3,), name="one")
    net.output(net.dense(net.input, 2))
    net.initialize_weights(seed=0)
    x, y = np.ones((4, 3), np.float32), np.array([0, 1, 1, 0])
    expected = mpscnn.Trainer(net).step(x, y)
    for inputs in (x, [x], list(x), x.tolist(), {"input": x}):
        assert mpscnn.Trainer(net).step(inputs, y) == expected
        for data in ((inputs, y), [(inputs, y)]):
            (epoch,) = mpscnn.Trainer(net).iter_epochs(data, epochs=1)
            assert epoch.loss == expected
    for data in ((x, "abc"), (x, 3), (np.float32(1), y), (x, y, 1.0)):
        with pytest.raises(mpscnn.Error):
            list(mpscnn.Trainer(net, weighted=len(data) == 3).iter_epochs(data, epochs=1))


def test_free_extents_are_those_of_the_labels() -> None:
    def pixels(size: int | None) -> mpscnn.Network:
        net = mpscnn.Network(input=(size, size, 3))
        x = net.conv2d(net.input, 4, 3, padding="same", activation="relu", name="a")
        net.output(net.softmax(net.conv2d(x, 3, 1, name="b")))
        net.initialize_weights(seed=1)
        return net

    draw = np.random.default_rng(2)
    x, y = draw.normal(size=(4, 8, 8, 3)).astype(np.float32), draw.integers(0, 3, (4, 8, 8))
    free, fixed = (mpscnn.Trainer(pixels(size), threads=1) for size in (None, 8))
    floats = np.eye(3, dtype=np.float32)[y]
    for labels in (y, floats, y[..., None]):
        assert free.step(x, labels) == fixed.step(x, labels)
    assert free.evaluate((x, y)) == fixed.evaluate((x, y))
    free.step(x[:, :5], y[:, :5])
    for labels in (y, floats):
        assert pixels(None).gradients(x, labels)[0] == pixels(8).gradients(x, labels)[0]
    with pytest.raises(mpscnn.ShapeError):
        free.step(x, y[:, :5])


def test_the_networks_memory_is_not_kept() -> None:
    """The network's memory is not changed either, because the trainer has its own weights."""
    net = mpscnn.Network(input=(4, 4, 2))
    net.output(net.dense(net.input, 3, name="dense"))
    net.initialize_weights(seed=1)
    before = {name: np.array(value) for name, value in net.weights.items()}
    trainer = mpscnn.Trainer(net, loss="mean_squared_error", threads=1)
    gone = weakref.ref(net)
    trainer.step(np.ones((2, 4, 4, 2), np.float32), np.ones((2, 3), np.float32))
    for name, value in net.weights.items():
        np.testing.assert_array_equal(value, before[name])
    first = trainer.network.weights["dense.weight"].copy()
    trainer.step(np.ones((2, 4, 4, 2), np.float32), np.ones((2, 3), np.float32))
    assert (trainer.network.weights["dense.weight"] != first).any()
    del net, value
    gc.collect()
    assert gone() is None


def test_a_deep_network_has_thousands_of_variables() -> None:
    """Each weight has two moments, an average and a sum. Networks themselves have at most 1,000 inputs."""
    net = mpscnn.Network(input=(1, 1, 1))
    x = net.input
    for _ in range(150):
        x = net.dense(x, 1)
    net.output(x)
    net.initialize_weights(seed=0)
    trainer = mpscnn.Trainer(net, loss="mse", optimizer=Adam(), average=0.5, accumulate=2)
    last = list(net.weights)[-1]
    for _ in range(2):
        trainer.step(np.ones((2, 1, 1, 1), np.float32), np.full((2, 1), 9, np.float32))
    assert (trainer.network.weights[last] != net.weights[last]).all()
