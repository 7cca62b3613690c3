"""Test losses of several operations against PyTorch, and losses of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn import Sgd
from mpscnn.graph.training_arrays import LOSSES as LOSS_NAMES

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(3, 6, 7, 3)).astype(np.float32)
Y = RANDOM.integers(0, 4, (3, 6, 7))
#: Weights of pixels. Some are 0.
WEIGHTS = (RANDOM.uniform(0, 2, Y.shape) * (RANDOM.uniform(size=Y.shape) < 0.7)).astype(np.float32)
Settings = dict[str, Any]

LOSSES: list[Settings] = [
    {"kind": "focal"},
    {"kind": "focal", "gamma": 1.5, "weight": 0.5},
    {"kind": "focal", "gamma": 0.0, "reduction": "sum"},
    {"kind": "focal", "reduction": "sum_by_nonzero_weights"},
    {"kind": "sigmoid_focal"},
    {"kind": "sigmoid_focal", "gamma": 1.0, "alpha": -1.0, "reduction": "sum"},
    {"kind": "sigmoid_focal", "alpha": 0.75, "reduction": "sum_by_nonzero_weights"},
    {"kind": "dice"},
    {"kind": "dice", "smooth": 0.25, "weight": 2.0},
    {"kind": "dice", "cross_entropy": 0.5},
]


def segmenter(*, softmax: bool = True, classes: int = 4) -> mpscnn.Network:
    net = mpscnn.Network(input=(6, 7, 3), name="pixels")
    x = net.conv2d(net.input, classes, 3, padding="same", name="conv")
    net.output(net.softmax(x) if softmax else x)
    net.initialize_weights(seed=1)
    return net


def logits(net: mpscnn.Network) -> NDArray[np.float32]:
    return np.asarray(net.compile(device="cpu", outputs=["conv"]).session().run(X))


def expected(settings: Settings, x: Any, t: Any, w: Any) -> Any:
    """Return a loss of logits, labels and weights of pixels, which are tensors of PyTorch in float64."""
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    functional, gamma = torch.nn.functional, settings.get("gamma", 2.0)
    factor, w = settings.get("weight", 1.0), w[..., None]
    if settings["kind"] == "dice":
        p = x.softmax(-1) if x.shape[-1] > 1 else x.sigmoid()
        smooth = settings.get("smooth", 1.0)
        both, either = (w * p * t).sum((1, 2)), (w * (p + t)).sum((1, 2))
        loss = (1 - (2 * both + smooth) / (either + smooth)).mean()
        entropies = -(w * t * x.log_softmax(-1)).sum() / (w != 0).sum()
        return factor * (loss + settings.get("cross_entropy", 0.0) * entropies)
    if settings["kind"] == "focal":
        logarithms = x.log_softmax(-1)
        losses = w * -(t * (1 - logarithms.exp()) ** gamma * logarithms).sum(-1, keepdim=True)
        counted = w != 0
    else:
        alpha = settings.get("alpha", 0.25)
        p = x.sigmoid()
        wrong = 1 - (p * t + (1 - p) * (1 - t))
        losses = w * functional.binary_cross_entropy_with_logits(x, t, reduction="none") * wrong**gamma
        losses = losses * (alpha * t + (1 - alpha) * (1 - t)) if alpha >= 0 else losses
        counted = (w != 0).expand_as(x)
    reduction = settings.get("reduction", "mean")
    divisor = {"sum": 1, "mean": losses.numel(), "sum_by_nonzero_weights": counted.sum()}[reduction]
    return factor * losses.sum() / divisor


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("settings", LOSSES, ids=lambda one: "-".join(map(str, one.values())))
def test_a_loss_and_its_gradient_are_those_of_torch(settings: Settings, weighted: bool) -> None:
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    net = segmenter(softmax=settings["kind"] != "sigmoid_focal")
    x = torch.tensor(logits(net), dtype=torch.float64, requires_grad=True)
    weights = WEIGHTS if weighted else np.ones_like(WEIGHTS)
    loss = expected(
        settings, x, torch.eye(4).double()[torch.from_numpy(Y)], torch.from_numpy(weights).double()
    )
    loss.backward()
    trainer = mpscnn.Trainer(net, loss=settings, optimizer=Sgd(1.0), device="cpu", weighted=weighted)
    data = (X, Y, WEIGHTS) if weighted else (X, Y)
    assert trainer.evaluate(data).loss == pytest.approx(loss.item(), rel=1e-5)
    assert trainer.step(*data) == pytest.approx(loss.item(), rel=1e-5)
    # The gradient of a bias is the sum of the gradients of its logits.
    found = net.weights["conv.bias"] - trainer.network.weights["conv.bias"]
    gradient = x.grad.sum((0, 1, 2)).numpy()
    np.testing.assert_allclose(found, gradient, rtol=1e-5, atol=1e-5 * abs(gradient).max())


def test_dice_of_one_channel_has_a_sigmoid() -> None:
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    net = segmenter(softmax=False, classes=1)
    labels = (Y > 1).astype(np.float32)[..., None]
    loss = expected(
        {"kind": "dice"},
        torch.from_numpy(logits(net)).double(),
        torch.from_numpy(labels).double(),
        torch.ones(Y.shape).double(),
    )
    assert mpscnn.Trainer(net, loss="dice", device="cpu").step(X, labels) == pytest.approx(
        loss.item(), rel=1e-5
    )


# ---- Losses of the user's ----


def squares(outputs: NDArray[np.float32], targets: NDArray[np.float32]) -> tuple[Any, NDArray[np.float32]]:
    difference = outputs - targets
    return np.square(difference).mean(), 2 * difference / difference.size


def weighted_squares(outputs: Any, targets: Any, weights: Any) -> tuple[Any, Any]:
    difference = outputs - targets
    return (weights * difference**2).mean(), 2 * weights * difference / difference.size


def network_of_squares(*, weighted: bool = False) -> mpscnn.Network:
    names = ("prediction", "labels", "weights")[: 3 if weighted else 2]
    net = mpscnn.Network(input=dict.fromkeys(names, (6, 7, 4)), name="squares")
    difference = net.subtract(net.inputs[0], net.inputs[1])
    square = net.multiply(difference, difference)
    net.output(net.multiply(square, net.inputs[2]) if weighted else square)
    return net


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("built", [False, True], ids=["function", "network"])
def test_an_own_loss_trains_like_the_built_in_one(built: bool, weighted: bool) -> None:
    own: Any = network_of_squares(weighted=weighted) if built else weighted_squares if weighted else squares
    data = (X, Y, WEIGHTS) if weighted else (X, Y)
    results = []
    for loss in (own, "mean_squared_error"):
        trainer = mpscnn.Trainer(segmenter(), loss=loss, optimizer=Sgd(0.5), device="cpu", weighted=weighted)
        results.append([trainer.evaluate(data).loss, *(trainer.step(*data) for _ in range(3))])
        results.append(trainer.network.weights["conv.weight"])
    np.testing.assert_allclose(results[0], results[2], rtol=1e-5)
    np.testing.assert_allclose(results[1], results[3], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("own", [squares, network_of_squares()], ids=["function", "network"])
def test_an_own_loss_trains_layers_whose_gradients_join_images(own: Any) -> None:
    """A function divides a step into parts. Statistics and weights that they exchange have no batch."""
    results = []
    for loss in (own, "mean_squared_error"):
        net = mpscnn.Network(input=(6, 7, 3), name="normalized")
        x = net.batch_norm(net.conv2d(net.input, 5, 3, padding="same"))
        x = net.activation(x, "relu")
        net.output(net.reshape(net.dense(net.flatten(x), 6 * 7 * 4), (6, 7, 4)))
        net.initialize_weights(seed=1)
        trainer = mpscnn.Trainer(net, loss=loss, optimizer=Sgd(0.5), device="cpu")
        results.append([trainer.step(X, Y) for _ in range(3)])
    assert results[0][2] < results[0][0]
    np.testing.assert_allclose(*results, rtol=1e-5)


@pytest.mark.parametrize("own", [squares, network_of_squares()], ids=["function", "network"])
def test_a_checkpoint_needs_the_own_loss_again(own: Any, tmp_path: Path) -> None:
    trainer = mpscnn.Trainer(segmenter(), loss=own, device="cpu")
    trainer.step(X, Y)
    trainer.save(tmp_path / "checkpoint")
    with pytest.raises(mpscnn.ParameterError, match=r"the loss was a function or a network .* give loss="):
        mpscnn.Trainer.resume(tmp_path / "checkpoint")
    assert mpscnn.Trainer.resume(tmp_path / "checkpoint", loss=own).step(X, Y) == trainer.step(X, Y)
    mpscnn.Trainer(segmenter(), loss="focal", device="cpu").save(tmp_path / "focal")
    mpscnn.Trainer.resume(tmp_path / "focal").step(X, Y)
    with pytest.raises(mpscnn.ParameterError, match="the checkpoint has the loss 'focal'; leave loss= out"):
        mpscnn.Trainer.resume(tmp_path / "focal", loss=own)


def test_the_best_epoch_of_an_own_loss_is_restored() -> None:
    trainer = mpscnn.Trainer(segmenter(), loss=squares, optimizer=Sgd(0.5), device="cpu")
    fitted = trainer.fit((X, Y), epochs=2, validation_data=(X, Y), early_stopping=1)
    assert fitted.losses[1] < fitted.losses[0]
    assert trainer.evaluate((X, Y)).loss == min(fitted.validation_losses)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda _outputs: 0.0, r"loss must be a function that takes \(outputs, targets\)"),
        (lambda _outputs, _targets: 0.0, r"must return \(loss, gradient\), got float"),
        (
            lambda outputs, _targets: (0.0, outputs[:1]),
            r"the shape of the outputs \(3, 6, 7, 4\), got \(1, 6",
        ),
        (
            lambda outputs, _targets: (outputs, outputs),
            r"one number as the loss, got the shape \(3, 6, 7, 4\)",
        ),
        (network_of_squares(weighted=True), "must have one output and the inputs 'prediction' and 'labels'"),
        ({"kind": "focal", "gamma": 0.5}, "gamma must be 0, or at least 1"),
        ({"kind": "focal", "alpha": 0.5}, "alpha is for sigmoid_focal"),
        ({"kind": "focal", "reduction": "none"}, "reduction must be sum, mean or sum_by_nonzero_weights"),
        ({"kind": "sigmoid_focal", "alpha": 1.5}, "alpha must be at most 1"),
        ({"kind": "dice", "smooth": 0.0}, "smooth must be above 0"),
        ({"kind": "dice", "reduction": "sum"}, "unknown.*'reduction'"),
        ("sharpe", "must be one of .*focal.*dice.*got 'sharpe'"),
    ],
)
def test_wrong_losses_are_refused(loss: Any, message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        mpscnn.Trainer(segmenter(), loss=loss, device="cpu").step(X, Y)


def probabilities(x: NDArray[Any], function: str) -> NDArray[Any]:
    return 1 / (1 + np.exp(-x)) if function == "sigmoid" else np.exp(x) / np.exp(x).sum(-1, keepdims=True)


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("end", [None, "softmax", "sigmoid"])
@pytest.mark.parametrize("function", ["softmax", "sigmoid"])
@pytest.mark.parametrize("classes", [1, 3])
def test_a_loss_applies_its_function_once_or_is_refused(
    classes: int, function: str, end: str | None, *, moves: bool
) -> None:
    """The right loss is the cross entropy of the function of the network's logits."""
    x = np.random.default_rng(1).normal(size=(4, classes)).astype(np.float32)
    labels = np.array([0, 1, 0, 1])
    net = mpscnn.Network(input=(classes,))
    y = net.dense(net.input, classes, name="dense")
    if end is not None:
        y = net.softmax(y) if end == "softmax" else net.activation(y, "sigmoid")
    net.output(net.reshape(y, (1, 1, classes)) if moves else y)
    net.graph.set_weight("dense", "weight", np.eye(classes, dtype=np.float32))
    targets = labels[:, None] if classes == 1 else np.eye(3)[labels]
    shaped = (targets[:, None, None] if moves else targets).astype(np.float32)
    is_right = classes > 1 if function == "softmax" else True
    fits = is_right and (end is None or (end == function == "softmax" and not moves))
    if not fits:
        with pytest.raises(mpscnn.ParameterError, match=r"compares the numbers|applies a function"):
            mpscnn.Trainer(net, loss=f"{function}_cross_entropy")
        return
    p = probabilities(x.astype(np.float64), function)
    logs = targets * np.log(p) + (0 if function == "softmax" else (1 - targets) * np.log(1 - p))
    expected = -logs.sum() / (len(x) if function == "softmax" else x.size)
    found = mpscnn.Trainer(net, loss=f"{function}_cross_entropy").step(x, shaped)
    assert found == pytest.approx(expected, rel=1e-5)


def test_an_own_loss_of_another_shape_is_refused() -> None:
    other = mpscnn.Network(input={"prediction": (4,), "labels": (4,)})
    other.output(other.subtract(*other.inputs))
    with pytest.raises(mpscnn.ShapeError, match="input 'prediction' of the loss must have the shape"):
        mpscnn.Trainer(segmenter(), loss=other, device="cpu")


def test_all_kinds_of_the_operation_are_losses() -> None:
    (operation,) = (one for one in mpscnn.operations(training=True) if one["name"] == "loss")
    kinds = next(one["allowed"] for one in operation["parameters"] if one["name"] == "kind")
    assert [*LOSS_NAMES] == [*kinds, "focal", "sigmoid_focal", "dice", "multibox"]


def test_names_of_other_frameworks() -> None:
    losses = {
        name: mpscnn.Trainer(segmenter(softmax=False), loss=name, device="cpu").step(X, Y)
        for name in ("focal", "FocalLoss", "CategoricalFocalCrossentropy", "dice", "DiceLoss")
    }
    assert len({*losses.values()}) == 2
    assert losses["FocalLoss"] == losses["focal"]
    assert losses["DiceLoss"] == losses["dice"]
