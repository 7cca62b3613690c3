"""Test that training on Metal gives the CPU's losses, keeps weights on the device, and survives failures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation
from numpy.typing import NDArray
from tolerance import training_loss_bound

import mpscnn
from mpscnn import _core
from mpscnn.training.digits import DigitData, _with_dropout, read_digits, train_digits
from mpscnn.training.optimizers import Adam, RmsProp, Sgd

Arrays = dict[str, NDArray[np.float32]]


def blobs(count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return images in which one quarter is bright, and the number of this quarter as the class."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 4, count)
    x = random.normal(0, 0.3, (count, 12, 12, 1)).astype(np.float32)
    for i, label in enumerate(y):
        x[i, 6 * (label // 2) :, 6 * (label % 2) :][:6, :6] += 1
    return x, y


def quarters(*, rate: float = 0.2) -> mpscnn.Network:
    """Return a network with most kinds of trainable layers."""
    net = mpscnn.Network(input=(12, 12, 1), name="quarters")
    x = net.conv2d(net.input, 8, 3, padding="same", name="conv1")
    x = net.max_pool2d(net.activation(net.batch_norm(x, name="norm"), "relu"), 2)
    x = net.conv2d(x, 8, 3, groups=2, activation="relu6", name="conv2")
    x = net.dropout(net.dense(x, 16, activation="tanh", name="fc1"), rate, name="drop")
    net.output(net.softmax(net.dense(x, 4, name="fc2")))
    net.initialize_weights(seed=1)
    return net


def line() -> mpscnn.Network:
    net = mpscnn.Network(input=(6,), name="line")
    net.output(net.dense(net.input, 2, name="dense"))
    net.initialize_weights(seed=1)
    return net


def weights_of(trainer: mpscnn.Trainer) -> Arrays:
    return {name: np.array(value) for name, value in trainer.network.weights.items()}


def assert_same(a: Arrays, b: Arrays) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name], err_msg=name)


def losses_of(
    net: mpscnn.Network, batches: list[tuple[Any, Any]], device: str, **options: Any
) -> list[float]:
    trainer = mpscnn.Trainer(net, device=device, seed=3, **options)
    return [trainer.step(x, y) for x, y in batches]


def assert_losses_agree(found: list[float], expected: list[float], precision: str) -> None:
    for step, (loss, reference) in enumerate(zip(found, expected, strict=True), start=1):
        bound = training_loss_bound(reference, step, half=precision == "float16")
        assert abs(loss - reference) <= bound, f"step {step}: {loss}, on the CPU {reference}"


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "Sgd": lambda: Sgd(0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "RmsProp": lambda: RmsProp(1e-3),
    "Adam": lambda: Adam(1e-3, amsgrad=True),
}


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_losses_are_those_of_the_cpu(optimizer: str, precision: str) -> None:
    batches = [blobs(16, seed) for seed in range(10)]
    make = OPTIMIZERS[optimizer]
    found = losses_of(quarters(), batches, "metal", optimizer=make(), precision=precision)
    expected = losses_of(quarters(), batches, "cpu", optimizer=make())
    assert expected[-1] < expected[0]
    assert_losses_agree(found, expected, precision)


def test_bfloat16_is_refused_by_name() -> None:
    with pytest.raises(mpscnn.UnsupportedError, match=r"on device 'metal'.*got bfloat16"):
        mpscnn.Trainer(quarters(), device="metal", precision="bfloat16")


def detector() -> mpscnn.Network:
    """Return a detector with two anchors at each of 3x3 cells."""
    net = mpscnn.Network(input=(12, 12, 1), name="detector")
    x = net.conv2d(net.input, 8, 3, strides=2, padding="same", activation="relu", name="conv1")
    x = net.conv2d(x, 8, 3, strides=2, padding="same", activation="relu", name="conv2")
    for name, columns in (("boxes", 4), ("scores", 3)):
        y = net.conv2d(x, 2 * columns, 3, padding="same", name=f"{name}_head")
        net.output(net.reshape(y, (-1, columns), name=name))
    net.detection = {
        "version": 1,
        "scores": {"kind": "softmax"},
        "anchors": {"rule": "sizes", "strides": [4], "sizes": [[[4, 4], [6, 6]]]},
    }
    net.initialize_weights(seed=2)
    return net


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_detector_learns(precision: str) -> None:
    """A detector learns to find bright quarters. Every fourth image has no object."""
    batches = []
    for seed in range(8):
        x, y = blobs(8, seed)
        boxes = [
            [(0.5 * (i % 2), 0.5 * (i // 2), 0.5 * (i % 2) + 0.5, 0.5 * (i // 2) + 0.5)] for i in y.tolist()
        ]
        labels = [
            {"boxes": [], "classes": []} if k % 4 == 3 else {"boxes": boxes[k], "classes": [y[k] % 2]}
            for k in range(len(y))
        ]
        batches.append((x, labels))
    options = {"loss": {"kind": "multibox", "min_negatives": 2}, "optimizer": Sgd(0.05, momentum=0.9)}
    found = losses_of(detector(), batches, "metal", precision=precision, **options)
    expected = losses_of(detector(), batches, "cpu", **options)
    assert expected[-1] < expected[0]
    assert_losses_agree(found, expected, precision)


def squares(outputs: Any, targets: Any) -> tuple[Any, Any]:
    difference = outputs - targets
    return np.square(difference).mean(), 2 * difference / difference.size


@pytest.mark.gpu
@pytest.mark.parametrize("loss", ["focal", "sigmoid_focal", {"kind": "dice", "cross_entropy": 0.5}, squares])
def test_losses_of_several_operations_and_own_ones_are_those_of_the_cpu(loss: Any) -> None:
    net = mpscnn.Network(input=(6, 6, 2), name="pixels")
    logits = net.conv2d(net.input, 3, 3, padding="same")
    net.output(logits if loss == "sigmoid_focal" else net.softmax(logits))
    net.initialize_weights(seed=2)
    random = np.random.default_rng(6)
    x, y = random.normal(size=(4, 6, 6, 2)).astype(np.float32), random.integers(0, 3, (4, 6, 6))
    options = {"loss": loss, "optimizer": Sgd(0.5)}
    found, expected = (losses_of(net, [(x, y)] * 5, device, **options) for device in ("metal", "cpu"))
    assert expected[-1] < expected[0]
    assert_losses_agree(found, expected, "float32")


@pytest.mark.gpu
def test_one_dense_layer_learns_a_line() -> None:
    random = np.random.default_rng(0)
    wanted, x = random.normal(size=(6, 2)).astype(np.float32), random.normal(size=(64, 6)).astype(np.float32)
    batches = [(x, x @ wanted)] * 30
    options = {"loss": "mean_squared_error", "optimizer": Sgd(0.3)}
    found = losses_of(line(), batches, "metal", **options)
    assert found[-1] < 0.01 * found[0]
    np.testing.assert_allclose(found, losses_of(line(), batches, "cpu", **options), rtol=1e-4)


def deep_mnist(rounding: int | None = None, dtype: Any = np.float32) -> mpscnn.Network:
    """Return Deep MNIST.

    With `rounding`, a seed, weights are moved by up to half a unit in the last place of `dtype`.
    """
    net = _with_dropout((32, 64), 1024)
    net.initialize_weights(seed=0)
    if rounding is not None:
        random, eps = np.random.default_rng(rounding), float(np.finfo(dtype).eps)
        net.load_weights(
            {
                name: (value * (1 + random.uniform(-eps, eps, value.shape) / 2)).astype(np.float32)
                for name, value in net.weights.items()
            },
            layout="OHWI",
        )
    return net


@pytest.mark.full
@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_deep_mnist(shared: Path, precision: str) -> None:
    """Train for 200 steps as `mpscnn train --digits` does, and compare losses with the CPU's.

    Adam divides by roots of small moments, which amplifies rounding differences. So the allowed difference is twice
    that between CPU runs whose initial weights differ by one rounding in the precision of the device.
    """
    data: DigitData = read_digits(shared / "data" / "mnist", "train")
    batches = [(data.images[i : i + 64], data.labels[i : i + 64]) for i in range(0, 200 * 64, 64)]
    found = losses_of(deep_mnist(), batches, "metal", optimizer=Adam(1e-3), precision=precision)
    expected = losses_of(deep_mnist(), batches, "cpu", optimizer=Adam(1e-3))
    others = [
        losses_of(deep_mnist(seed, np.dtype(precision)), batches, "cpu", optimizer=Adam(1e-3))
        for seed in range(2)
    ]
    drift = np.maximum.accumulate(np.abs(np.array(others) - expected).max(axis=0))
    for step, (loss, reference, moved) in enumerate(zip(found, expected, drift, strict=True), start=1):
        bound = training_loss_bound(reference, step, half=precision == "float16") + 2 * moved
        assert abs(loss - reference) <= bound, f"step {step}: {loss}, on the CPU {reference}"


@pytest.mark.gpu
def test_the_reader_of_digits_is_trained_on_a_device() -> None:
    """The function that `mpscnn train --digits DIR --device metal` calls works."""
    random = np.random.default_rng(0)
    data = DigitData(random.random((32, 28, 28, 1), np.float32), random.integers(0, 10, 32).astype(np.uint8))
    sizes: dict[str, Any] = {"architecture": "digits", "epochs": 1, "batch_size": 16}
    metal, cpu = (train_digits(data, data, device=device, **sizes)[1] for device in ("metal", "cpu"))
    assert abs(metal.loss - cpu.loss) <= training_loss_bound(cpu.loss, 2)


@pytest.mark.gpu
def test_options_of_trainers() -> None:
    """Gradient accumulation, clipping by the norm, and averages of weights work as on the CPU."""
    batches = [blobs(8, seed) for seed in range(4)]
    options: dict[str, Any] = {
        "accumulate": 2,
        "average": 0.9,
        "optimizer": Sgd(0.1, momentum=0.9, global_norm=0.5),
    }
    trainers = [mpscnn.Trainer(quarters(), device=device, seed=3, **options) for device in ("metal", "cpu")]
    losses = [[trainer.step(x, y) for x, y in batches] for trainer in trainers]
    assert_losses_agree(losses[0], losses[1], "float32")
    averages = [dict(trainer.averaged.weights) for trainer in trainers]
    for name, value in averages[0].items():
        np.testing.assert_allclose(value, averages[1][name], atol=1e-5, err_msg=name)


@pytest.mark.gpu
@pytest.mark.parametrize("reduction", ["mean", "sum_by_nonzero_weights"])
def test_weights_of_losses(reduction: str) -> None:
    weights = np.array([0.0, 0.5, 1.0, 2.0] * 2, np.float32)
    options: dict[str, Any] = {
        "loss": {"kind": "softmax_cross_entropy", "reduction": reduction},
        "weighted": True,
        "optimizer": Sgd(0.1, momentum=0.9),
    }
    trainers = [mpscnn.Trainer(quarters(), device=device, seed=3, **options) for device in ("metal", "cpu")]
    losses = [[trainer.step(*blobs(8, seed), weights) for seed in range(4)] for trainer in trainers]
    assert_losses_agree(losses[0], losses[1], "float32")


@pytest.mark.gpu
def test_layers_that_are_frozen_run_on_images() -> None:
    """Frozen layers run in several passes, since 300 images of 40 channels have more slices than a texture."""
    net = mpscnn.Network(input=(3, 3, 2), name="frozen first")
    x = net.conv2d(net.input, 40, 3, padding="same", activation="relu", name="frozen")
    net.output(net.dense(net.max_pool2d(x, 3), 3, name="dense"))
    net.initialize_weights(seed=1)
    random = np.random.default_rng(0)
    batch = (
        random.normal(size=(300, 3, 3, 2)).astype(np.float32),
        random.normal(size=(300, 3)).astype(np.float32),
    )
    options = {"loss": "mean_squared_error", "optimizer": Sgd(0.01), "frozen": ("frozen",)}
    found = losses_of(net, [batch] * 3, "metal", **options)
    np.testing.assert_allclose(found, losses_of(net, [batch] * 3, "cpu", **options), rtol=1e-5)


@pytest.mark.gpu
def test_evaluation_and_checkpoints(tmp_path: Path) -> None:
    data = blobs(48)
    whole = mpscnn.Trainer(quarters(), optimizer=Adam(1e-3), seed=5, device="metal", precision="float16")
    list(whole.iter_epochs(data, epochs=2, batch_size=16))
    half = mpscnn.Trainer(quarters(), optimizer=Adam(1e-3), seed=5, device="metal", precision="float16")
    next(half.iter_epochs(data, epochs=2, batch_size=16))
    half.save(tmp_path / "run.checkpoint")
    resumed = mpscnn.Trainer.resume(tmp_path / "run.checkpoint", optimizer=Adam(1e-3))
    list(resumed.iter_epochs(data, epochs=2, batch_size=16))
    assert_same(weights_of(whole), weights_of(resumed))
    assert whole.evaluate(data) == resumed.evaluate(data)


@pytest.mark.gpu
def test_a_profile_is_of_steps_that_are_not_taken_over() -> None:
    one, other = (mpscnn.Trainer(quarters(), seed=5, device="metal") for _ in range(2))
    x, y = blobs(16)
    profile = one.profile(x, y, runs=2)
    assert any("gradient" in step.kind for step in profile.steps)
    for _ in range(2):
        assert one.step(x, y) == other.step(x, y)
    assert_same(weights_of(one), weights_of(other))


def test_weights_and_moments_stay_where_they_are(emulation: Emulation) -> None:
    """From the third step on only batches, learning rates and losses are copied.

    Weights and moments stay in buffers.
    """
    trainer = mpscnn.Trainer(quarters(), device="metal")
    x, y = blobs(16)
    for _ in range(3):
        trainer.step(x, y)
    made = emulation.get("buffers_made")
    trainer.step(x, y)
    assert emulation.get("buffers_made") == made


def test_a_step_is_one_command_buffer(emulation: Emulation) -> None:
    trainer = mpscnn.Trainer(quarters(), device="metal")
    x, y = blobs(16)
    trainer.step(x, y)
    emulation.set("successes_first", 1)
    emulation.set("fail_command_buffers", 1)
    trainer.step(x, y)
    with pytest.raises(mpscnn.DeviceError, match="no command buffer"):
        trainer.step(x, y)
    assert trainer.steps == 2


@pytest.mark.parametrize("error", [2, 8, 11])  # timeout, out of memory, device removed
def test_a_step_that_fails_changes_nothing(emulation: Emulation, error: int) -> None:
    trainer = mpscnn.Trainer(quarters(), device="metal")
    x, y = blobs(16)
    trainer.step(x, y)
    before = weights_of(trainer)
    emulation.set("command_buffer_error", error)
    with pytest.raises(mpscnn.DeviceError, match="training"):
        trainer.step(x, y)
    assert trainer.steps == 1
    assert_same(before, weights_of(trainer))
    if error == 11:  # after the removal of the device all later steps fail
        with pytest.raises(mpscnn.DeviceError, match="was removed"):
            trainer.step(x, y)
        return
    trainer.step(x, y)
    assert trainer.steps == 2


@pytest.mark.gpu
def test_a_loss_that_is_not_finite_names_the_layer() -> None:
    trainer = mpscnn.Trainer(quarters(rate=0.0), optimizer=Sgd(0.1), device="metal")
    x, y = blobs(16)
    trainer.step(x, y)
    before = weights_of(trainer)
    wrong = x.copy()
    wrong[3, 4, 5] = np.nan
    with pytest.raises(
        mpscnn.StateError, match=r"in step 1 the loss is NaN: input 'image': NaN at image 3, row 4"
    ):
        trainer.step(wrong, y)
    assert_same(before, weights_of(trainer))


def test_every_lack_is_an_error(emulation: Emulation) -> None:
    """If any buffer, pipeline, kernel, texture or encoder for a trainer cannot be created, there is an error."""
    x, y = blobs(4)

    def work() -> None:
        mpscnn.Trainer(quarters(), device="metal").step(x, y)

    work()
    for switch in ("fail_buffers", "fail_pipelines", "fail_functions", "fail_textures", "fail_encoders"):
        emulation.set("successes_first", 0)
        emulation.set(switch, 1)
        with pytest.raises(mpscnn.DeviceError):
            work()
        assert emulation.get(switch) == 0
    work()


def test_the_layers_precision_on_the_cpu_is_refused() -> None:
    with pytest.raises(
        mpscnn.UnsupportedError, match="on the CPU precision must be float32 or bfloat16, got 'float16'"
    ):
        mpscnn.Trainer(line(), loss="mean_squared_error", device="cpu", precision="float16")


def test_a_profile_names_the_kernels() -> None:
    graph = _core.Graph("sums")
    x = graph.add_variable("x", (3, 4))
    total = graph.add_node("squared_sum", "total", [x], "{}", "")
    graph.mark_output(total)
    graph.mark_output(graph.add_node("reshape", "again", [total], '{"shape": [1, 1, 1]}', ""))
    program = mpscnn.Network.from_graph(graph).compile(device="metal")
    profile = program.session().profile(np.ones((3, 4), np.float32), runs=1)
    assert [step.kernel for step in profile.steps] == ["array_sum", "array_copy"]
