"""Compare random models of Keras, and networks of published kinds, with Keras itself."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpscnn import converters
from mpscnn.errors import UnsupportedError

pytest.importorskip("torch", reason="PyTorch, on which Keras runs here, is not installed")
os.environ["KERAS_BACKEND"] = "torch"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # warnings of Keras itself at import
    keras = pytest.importorskip("keras", reason="Keras is not installed")
if keras.backend.backend() != "torch":
    pytest.skip("Keras was imported before with another backend than torch", allow_module_level=True)
L, ops = keras.layers, keras.ops

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of Keras itself about its formats
Draw = np.random.Generator


def with_weights(model: Any, draw: Draw) -> Any:
    """Give the model random weights with which its results keep their magnitude. Variances are above 0."""
    for variable in model.weights:
        if "count" in variable.path or "seed" in variable.path:
            continue
        values = draw.normal(0.0, 1.0, variable.shape) / math.sqrt(max(math.prod(variable.shape[:-1]), 1))
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.path else values)
    return model


def differs(model: Any, path: Path, *inputs: np.ndarray) -> float:
    """Return the largest difference between the network and the model, relative to the largest magnitude."""
    model.save(path)
    given = [x.astype(np.float32) for x in inputs]
    expected = model(given if len(given) > 1 else given[0], training=False).detach().numpy()
    network = converters.read_network([path])
    found = network.compile(device="cpu", precision="float32").run(given if len(given) > 1 else given[0])
    assert np.shape(found) == expected.shape
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-3))


# ---- Random models ---------------------------------------------------------------------------------------------------


def _axis(x: Any, draw: Draw) -> int:
    """Return the number of an axis of x but the batch, which may count from the end."""
    axis = int(draw.integers(1, len(x.shape)))
    return axis if draw.random() < 0.5 else axis - len(x.shape)


def _window(x: Any, draw: Draw) -> dict[str, Any]:
    taps = min(3, *x.shape[1:-1])
    settings: dict[str, Any] = {"padding": str(draw.choice(["same", "valid"]))}
    settings |= {"strides": int(draw.integers(1, 3))} if draw.random() < 0.5 else {}
    return settings | {"kernel_size": int(draw.integers(1, taps + 1))}


def _convolved(x: Any, draw: Draw) -> Any:
    kinds = ("Conv", "DepthwiseConv", "SeparableConv", "Conv") if len(x.shape) > 2 else ("",)
    kind = f"{draw.choice(kinds)}{len(x.shape) - 2}D"
    kind += "Transpose" if kind.startswith("Conv") and draw.random() < 0.4 else ""
    settings = _window(x, draw)
    activation = str(draw.choice(["linear", "relu", "swish", "tanh"]))
    filters = () if "Depthwise" in kind else (int(draw.integers(1, 6)),)
    return getattr(L, kind)(*filters, **settings, activation=activation)(x)


def _pooled(x: Any, draw: Draw) -> Any:
    kind = f"{draw.choice(['Average', 'Max'])}Pooling{len(x.shape) - 2}D"
    size = min(2, *x.shape[1:-1])
    return getattr(L, kind)(size, strides=int(draw.integers(1, 3)), padding="valid")(x)


def _permuted(x: Any, draw: Draw) -> Any:
    order = [int(axis) + 1 for axis in draw.permutation(len(x.shape) - 1)]
    return L.Permute(order)(x) if draw.random() < 0.5 else ops.transpose(x, [0, *order])


def _reshaped(x: Any, draw: Draw) -> Any:
    count = math.prod(x.shape[1:])
    first = int(draw.choice([factor for factor in range(1, count + 1) if count % factor == 0]))
    second = int(draw.choice([one for one in range(1, count // first + 1) if count // first % one == 0]))
    shape = (first, second, count // first // second) if draw.random() < 0.6 else (first, count // first)
    return L.Reshape(shape)(x) if draw.random() < 0.5 else ops.reshape(x, (-1, *shape))


def _normalized(x: Any, draw: Draw) -> Any:
    kind, axis = draw.choice(["batch", "layer", "unit", "rms", "group"]), _axis(x, draw)
    if kind == "group":
        return L.GroupNormalization(1, axis=axis)(x)
    if kind in ("layer", "rms"):  # Keras on torch normalises the last axes, whatever the axis
        axis = -1
    layers = {"batch": L.BatchNormalization, "layer": L.LayerNormalization, "unit": L.UnitNormalization}
    return layers.get(str(kind), L.RMSNormalization)(axis=axis)(x)


def _reduced(x: Any, draw: Draw) -> Any:
    function = getattr(ops, str(draw.choice(["mean", "sum", "max", "min", "var", "logsumexp"])))
    keeps = len(x.shape) < 4 or draw.random() < 0.5
    y = function(x, axis=_axis(x, draw), keepdims=keeps)
    return x - y if keeps and draw.random() < 0.5 else y


def _sliced(x: Any, draw: Draw) -> Any:
    axis = int(draw.integers(1, len(x.shape)))
    first = int(draw.integers(0, x.shape[axis]))
    part = slice(first, None, int(draw.integers(1, 3)))
    return x[tuple([slice(None)] * axis + [part])]


def _merged(x: Any, draw: Draw) -> Any:
    other = ops.tanh(x) if draw.random() < 0.5 else ops.flip(x, axis=_axis(x, draw))
    kind = draw.choice(["Add", "Multiply", "Maximum", "Subtract", "Concatenate", "stack"])
    if kind == "stack" and len(x.shape) == 3:
        return ops.stack([x, other], axis=_axis(x, draw))
    if kind in ("Concatenate", "stack"):
        return L.Concatenate(axis=_axis(x, draw))([x, other])
    return getattr(L, str(kind))()([x, other])


def _of_sequence(x: Any, draw: Draw) -> Any:
    kind = draw.choice(["LSTM", "GRU", "both", "causal", "attention", "einsum"])
    if kind in ("LSTM", "GRU"):
        return getattr(L, kind)(3, return_sequences=True, go_backwards=bool(draw.integers(2)))(x)
    if kind == "both":
        return L.Bidirectional(L.GRU(2, return_sequences=True))(x)
    if kind == "einsum":
        return L.EinsumDense("abc,cd->abd", output_shape=(x.shape[1], 4), bias_axes="d")(x)
    return L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=kind == "causal")


def _of_steps(x: Any, draw: Draw) -> Any:
    layer = L.Conv1D(3, 2, padding="same") if draw.random() < 0.5 else L.LayerNormalization()
    return L.TimeDistributed(layer)(x)


def _elements(x: Any, draw: Draw) -> Any:
    functions: list[Callable[[Any], Any]] = [
        lambda y: y * 2.0 - 1.0,
        lambda y: 1.0 / (ops.square(y) + 1.0),
        lambda y: y * ops.sigmoid(y),
        lambda y: ops.where(y > 0.0, y, 0.5 * y),
        lambda y: ops.softmax(y, axis=_axis(y, draw)),
        lambda y: ops.clip(y, -0.5, 1.0),
        lambda y: y * draw.normal(size=y.shape[-1]).astype(np.float32),
        L.PReLU(),
        L.Dense(4, activation="gelu"),
    ]
    return functions[int(draw.integers(len(functions)))](x)


def random_model(draw: Draw) -> Any:
    """Return a model of five random layers or functions."""
    rank = int(draw.integers(3, 5))
    source = x = L.Input([int(extent) for extent in draw.integers(2, 8, rank - 1)])
    for _ in range(5):
        choices = [_permuted, _reshaped, _normalized, _sliced, _merged, _elements, _elements]
        if len(x.shape) > 2:
            choices.append(_reduced)
        if len(x.shape) in (3, 4):
            choices += [_convolved, _convolved, _pooled]
        if len(x.shape) == 3:
            choices.append(_of_sequence)
        if len(x.shape) == 4:
            choices.append(_of_steps)
        x = choices[int(draw.integers(len(choices)))](x, draw)
    return with_weights(keras.Model(source, x), draw)


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(n, marks=pytest.mark.full) for n in range(4, 200))]
)
def test_random_models(tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    model = random_model(draw)
    x = draw.normal(size=(3, *model.inputs[0].shape[1:]))
    assert differs(model, tmp_path / f"model.{draw.choice(['keras', 'h5'])}", x) < 1e-4


# ---- Networks --------------------------------------------------------------------------------------------------------


def _block(x: Any, filters: int, taps: int = 1, strides: int = 1) -> Any:
    """Return a convolution, a normalization, and swish that is written as a product."""
    x = L.Conv2D(filters, taps, strides, padding="same", use_bias=False)(x)
    x = L.BatchNormalization()(x)
    return x * ops.sigmoid(x)


def _split_block(x: Any, filters: int) -> Any:
    first, second = ops.split(_block(x, filters), 2, axis=-1)
    third = second + _block(_block(second, filters // 2, 3), filters // 2, 3)
    return _block(L.Concatenate()([first, second, third]), filters)


def _pyramid(x: Any, filters: int) -> Any:
    levels = [_block(x, filters // 2)]
    for _ in range(3):
        levels.append(L.MaxPooling2D(5, 1, padding="same")(levels[-1]))
    return _block(L.Concatenate()(levels), filters)


def detector() -> Any:
    """Return a small detector built as YOLOv8 is, with its decoder of boxes."""
    source = L.Input((32, 32, 3))
    fine = _split_block(_block(_block(source, 8, 3, 2), 16, 3, 2), 16)
    coarse = _pyramid(_block(fine, 32, 3, 2), 32)
    joined = _split_block(L.Concatenate()([L.UpSampling2D(2)(coarse), fine]), 16)
    heads = []
    for level in (joined, _split_block(L.Concatenate()([_block(joined, 16, 3, 2), coarse]), 32)):
        head = L.Concatenate()([L.Conv2D(32, 1)(_block(level, 16, 3)), L.Conv2D(5, 1)(_block(level, 16, 3))])
        heads.append(L.Reshape((-1, 37))(head))
    y = L.Concatenate(axis=1)(heads)
    shares = ops.softmax(ops.reshape(y[..., :32], (-1, 80, 4, 8)), axis=-1)
    sides = ops.squeeze(ops.matmul(shares, np.arange(8, dtype=np.float32).reshape(8, 1)), -1)
    anchors = np.stack(np.divmod(np.arange(80), 8), axis=-1).astype(np.float32)
    before, after = ops.split(sides, 2, axis=-1)
    first, last = ops.subtract(anchors, before), after + anchors
    boxes = [(first + last) / 2.0, last - first, ops.sigmoid(y[..., 32:])]
    return keras.Model(source, L.Concatenate(axis=-1)(boxes))


@pytest.mark.full
@pytest.mark.parametrize(
    "make",
    [detector, lambda: keras.applications.EfficientNetB0(weights=None, input_shape=(64, 64, 3))],
    ids=["detector", "efficientnet"],
)
def test_networks_have_as_many_steps_as_from_onnx(tmp_path: Path, make: Callable[[], Any]) -> None:
    draw = np.random.default_rng(0)
    model = with_weights(make(), draw)
    shape = (3, *model.inputs[0].shape[1:])
    assert differs(model, tmp_path / "model.keras", draw.normal(size=shape)) < 1e-4
    network = converters.read_network([tmp_path / "model.keras"])
    converters.export_onnx(network, tmp_path / "model.onnx")
    counts = [
        len(one.compile(device="cpu", precision="float32").explain(shape).steps)
        for one in (network, converters.read_network([tmp_path / "model.onnx"]))
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("axis", [1, [1], [1, 2]], ids=str)
def test_root_mean_squares_of_other_axes_than_the_last_are_refused(
    axis: int | list[int], tmp_path: Path
) -> None:
    """Keras applies their scale along the last axes, and its backends normalize different ones."""
    x = keras.Input((3, 3, 3))
    keras.Model(x, L.RMSNormalization(axis=axis)(x)).save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedError, match="other axes than the last ones"):
        converters.read_network([tmp_path / "model.keras"])
