"""Convert models that Keras saves in both of its formats, and compare them with Keras itself."""

from __future__ import annotations

import inspect
import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import agreement
import numpy as np
import pytest

import mpscnn
from mpscnn import converters
from mpscnn.converters.reading.keras.functions import LAYERS
from mpscnn.converters.reading.keras.layers import REFUSED, ROWS
from mpscnn.converters.reading.keras.recurrent import CELLS
from mpscnn.converters.reading.keras.settings import stated_settings
from mpscnn.converters.values.rows import schema_of

pytest.importorskip("torch", reason="PyTorch, on which Keras runs here, is not installed")
os.environ["KERAS_BACKEND"] = "torch"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # warnings of Keras itself at import
    keras = pytest.importorskip("keras", reason="Keras is not installed")
if keras.backend.backend() != "torch":
    pytest.skip("Keras was imported before with another backend than torch", allow_module_level=True)
L, ops = keras.layers, keras.ops
BASES = ("KerasSaveable", "Layer", "Operation")  # classes whose settings are those of all layers

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of Keras itself about its formats


def randomized(model: Any) -> Any:
    """Give the model random weights, so that mistaken layers and roles show. Variances are above 0."""
    generator = np.random.default_rng(0)
    for variable in model.weights:
        if "count" in variable.path or "seed" in variable.path:
            continue
        values = generator.normal(0.0, 0.5, variable.shape)
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.path else values)
    return model


def agrees(model: Any, path: Path, *inputs: np.ndarray, tolerance: float = 2e-5) -> mpscnn.Network:
    model.save(path)
    network = converters.read_network([path])
    live = mpscnn.from_keras(model, name=network.name, check=False)
    assert live.to_dict() == network.to_dict()
    assert live.weights.keys() == network.weights.keys()
    for name, values in network.weights.items():
        np.testing.assert_array_equal(live.weights[name], values, err_msg=name)
    given = [x.astype(np.float32) for x in inputs]
    expected = model(given[0] if len(given) == 1 else given, training=False)
    if isinstance(expected, dict):
        expected = list(expected.values())
    expected = [expected] if not isinstance(expected, (list, tuple)) else expected
    wanted = [one.detach().numpy() for one in expected]
    return agreement.agrees(network, *given, oracle=lambda *_: wanted, rtol=tolerance, atol=tolerance)


def image(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 1.0, shape)


def sequential(*layers: Any, shape: tuple[int, ...] = (9, 8, 4)) -> Any:
    return randomized(keras.Sequential([L.Input(shape), *layers]))


SINGLE: dict[str, Callable[[], Any]] = {
    "conv_same": lambda: L.Conv2D(5, 3, strides=2, padding="same", activation="relu"),
    "conv_dilated": lambda: L.Conv2D(5, (3, 2), dilation_rate=(2, 1), use_bias=False),
    "conv_groups": lambda: L.Conv2D(6, 3, groups=2, activation="tanh"),
    "conv_leaky": lambda: L.Conv2D(6, 3, activation=L.LeakyReLU(0.1)),
    "depthwise": lambda: L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="relu6"),
    "separable": lambda: L.SeparableConv2D(5, 3, depth_multiplier=2, activation="swish"),
    "transposed_same": lambda: L.Conv2DTranspose(5, 3, strides=2, padding="same"),
    "transposed_valid": lambda: L.Conv2DTranspose(5, (3, 2), strides=(2, 3)),
    "transposed_output": lambda: L.Conv2DTranspose(5, 3, strides=2, padding="same", output_padding=1),
    "transposed_output_0": lambda: L.Conv2DTranspose(5, 4, strides=2, padding="same", output_padding=0),
    "dense": lambda: L.Dense(7, activation="softmax"),
    "batch_norm": lambda: L.BatchNormalization(epsilon=0.01),
    "batch_norm_bare": lambda: L.BatchNormalization(scale=False, center=False),
    **{
        f"batch_norm_axis_{axis}": lambda axis=axis: L.BatchNormalization(axis=axis) for axis in (1, 2, -2, 3)
    },
    "group_norm": lambda: L.GroupNormalization(2),
    "group_norm_axis": lambda: L.GroupNormalization(4, axis=2),
    "normalization": L.Normalization,
    **{
        f"normalization_{axis}": lambda axis=axis: L.Normalization(axis=axis)
        for axis in (1, (1, 3), (2,), None)
    },
    "normalization_given": lambda: L.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[4.0, 1.0, 0.5, 2.0]),
    "normalization_inverted": lambda: L.Normalization(
        mean=[1.0, 2.0, 3.0, 4.0], variance=[4.0, 1.0, 0.5, 2.0], invert=True
    ),
    "rescaling": lambda: L.Rescaling(1 / 127.5, offset=-1.0),
    "rescaling_matrix": lambda: L.Rescaling(
        [[0.5], [1.0], [2.0], [3.0], [1.0], [0.0], [4.0], [5.0]], offset=1.0
    ),
    "rescaling_channels": lambda: L.Rescaling([0.5, 1.0, 2.0, 3.0], offset=[1.0, 0.0, 1.0, 2.0]),
    "prelu": lambda: L.PReLU(shared_axes=[1, 2]),
    "prelu_of_positions": L.PReLU,
    **{
        f"prelu_{axes}": lambda axes=axes: L.PReLU(shared_axes=axes)
        for axes in ([1], [2], [3], [1, 3], [2, 3])
    },
    "prelu_one": lambda: L.PReLU(shared_axes=[1, 2, 3]),
    "relu_limits": lambda: L.ReLU(max_value=1.0, negative_slope=0.25),
    "leaky_relu": L.LeakyReLU,
    "elu": lambda: L.ELU(alpha=0.7),
    "softmax": L.Softmax,
    "max_pool": lambda: L.MaxPooling2D(3, strides=2, padding="same"),
    "average_pool": lambda: L.AveragePooling2D((2, 3), strides=1),
    "average_pool_same": lambda: L.AveragePooling2D((3, 2), padding="same"),
    "average_pool_all": lambda: L.AveragePooling2D((9, 8)),
    "global_average": L.GlobalAveragePooling2D,
    "global_max_kept": lambda: L.GlobalMaxPooling2D(keepdims=True),
    "zero_padding": lambda: L.ZeroPadding2D(((1, 2), (0, 3))),
    "cropping": lambda: L.Cropping2D(((1, 2), (0, 3))),
    "upsampling": lambda: L.UpSampling2D((2, 3)),
    "upsampling_bilinear": lambda: L.UpSampling2D(2, interpolation="bilinear"),
    "resizing": lambda: L.Resizing(5, 11),
    "flatten": L.Flatten,
    "reshape": lambda: L.Reshape((8, 9, 4)),
    "dropout": lambda: L.Dropout(0.5),
    "spatial_dropout": lambda: L.SpatialDropout2D(0.5),
    "adaptive_average_pool": lambda: L.AdaptiveAveragePooling2D((3, 4)),
    "adaptive_max_pool": lambda: L.AdaptiveMaxPooling2D((1, 2)),
    "center_crop": lambda: L.CenterCrop(6, 5),
    "einsum_dense": lambda: L.EinsumDense("...x,xy->...y", output_shape=7, bias_axes="y", activation="relu"),
    "einsum_dense_axes": lambda: L.EinsumDense("abcd,efd->abcef", output_shape=(9, 8, 2, 3), bias_axes="e"),
    "einsum_dense_bare": lambda: L.EinsumDense("abcd,cde->abe", output_shape=(9, 5)),
    "layer_norm": L.LayerNormalization,
    "layer_norm_axes": lambda: L.LayerNormalization(axis=[2, 3], epsilon=0.01),
    "layer_norm_bare": lambda: L.LayerNormalization(scale=False, center=False),
    "permute": lambda: L.Permute((3, 1, 2)),
    "rms_norm": lambda: L.RMSNormalization(epsilon=0.01),
    "softmax_axis": lambda: L.Softmax(axis=1),
    "unit_norm": L.UnitNormalization,
    "unit_norm_axis": lambda: L.UnitNormalization(axis=2),
}
# Normalizations with an epsilon of 0, along each axis.
_BARE = {"epsilon": 0.0}
SINGLE |= {
    **{
        f"batch_norm_bare_{axis}": lambda axis=axis: L.BatchNormalization(axis, **_BARE) for axis in (1, 2, 3)
    },
    **{
        f"group_norm_bare_{axis}": lambda axis=axis: L.GroupNormalization(1, axis, **_BARE)
        for axis in (1, 2, 3)
    },
    "layer_norm_of_0": lambda: L.LayerNormalization(**_BARE),
    "layer_norm_axes_of_0": lambda: L.LayerNormalization(axis=[2, 3], **_BARE),
    "rms_norm_of_0": lambda: L.RMSNormalization(**_BARE),
}
# Layers that change their input only in training.
IDLE = [
    "RandomBrightness", "RandomColorJitter", "RandomContrast", "RandomErasing", "RandomFlip", "RandomGaussianBlur",
    "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation",
    "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom", "RandAugment", "AugMix",
    "RandomColorDegeneration", "RandomElasticTransform",
]  # fmt: skip
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "RandomBrightness": (0.2,),
    "RandomContrast": (0.2,),
    "RandomPosterization": (4,),
    "RandomRotation": (0.2,),
    "RandomTranslation": (0.1, 0.1),
    "RandomZoom": (0.2,),
    **dict.fromkeys(["RandomColorDegeneration", "RandomHue", "RandomSaturation", "RandomSharpness"], (0.3,)),
}


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("name", list(SINGLE))
def test_layer(tmp_path: Path, name: str, suffix: str) -> None:
    agrees(sequential(SINGLE[name]()), tmp_path / f"model.{suffix}", image(2, 9, 8, 4))


@pytest.mark.parametrize("name", list(SINGLE))
def test_layer_of_a_functional_model(tmp_path: Path, name: str) -> None:
    """In .h5 files of functional models, layers look like functions of keras.ops."""
    source = keras.Input((9, 8, 4))
    model = randomized(keras.Model(source, SINGLE[name]()(source)))
    agrees(model, tmp_path / "model.h5", image(2, 9, 8, 4))


#: Entries whose numbers are indices and extents rather than settings of layers.
_PLACES = {
    "inbound_nodes",
    "input_layers",
    "output_layers",
    "batch_shape",
    "build_config",
    "build_input_shape",
}


def _settings(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return JSON with changed numbers and flags in settings of layers."""
    if isinstance(value, list):
        return [_settings(one, change) for one in value]
    if isinstance(value, dict):
        return {key: one if key in _PLACES else _settings(one, change) for key, one in value.items()}
    return change(value)


#: Changes that keep the meaning: numbers for flags, nothing for false, and flags for the numbers 0 and 1.
CHANGES: dict[str, Callable[[Any], Any]] = {
    "numbers": lambda value: int(value) if isinstance(value, bool) else value,
    "nothing for false": lambda value: None if value is False else value,
    "true for one": lambda value: (
        bool(value) if isinstance(value, (int, float)) and value in (0, 1) else value
    ),
}


def _rewritten(path: Path, change: Callable[[Any], Any]) -> None:
    """Change the description of a saved model in its file."""
    if path.suffix == ".h5":
        h5py = pytest.importorskip("h5py", reason="h5py is not installed")
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = json.dumps(_settings(json.loads(file.attrs["model_config"]), change))
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = json.dumps(_settings(json.loads(members["config.json"]), change)).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(("suffix", "change"), [*(("keras", one) for one in CHANGES), ("h5", "numbers")])
def test_numbers_for_true_and_false(tmp_path: Path, suffix: str, change: str) -> None:
    """Keras saves settings as they were given: a flag may be a number, and a number may be true or false."""
    path, x = tmp_path / f"model.{suffix}", image(2, 9, 8, 4).astype(np.float32)
    for name, make in SINGLE.items():
        sequential(make()).save(path)
        expected = converters.read_network([path]).compile(device="cpu", precision="float32").session().run(x)
        _rewritten(path, CHANGES[change])
        found = converters.read_network([path]).compile(device="cpu", precision="float32").session().run(x)
        np.testing.assert_array_equal(found, expected, err_msg=name)


SEQUENCES: dict[str, Callable[[], Any]] = {
    "conv": lambda: L.Conv1D(5, 3, strides=2, padding="same"),
    "transposed": lambda: L.Conv1DTranspose(5, 3, strides=2, padding="same"),
    "transposed_valid": lambda: L.Conv1DTranspose(5, 4, strides=3),
    "transposed_output": lambda: L.Conv1DTranspose(5, 3, strides=2, padding="same", output_padding=1),
    "causal": lambda: L.Conv1D(5, 3, dilation_rate=2, padding="causal"),
    "separable": lambda: L.SeparableConv1D(5, 3),
    "depthwise": lambda: L.DepthwiseConv1D(3),
    "max_pool": lambda: L.MaxPooling1D(2),
    "average_pool": lambda: L.AveragePooling1D(3, strides=1),
    "global": L.GlobalAveragePooling1D,
    "global_kept": lambda: L.GlobalMaxPooling1D(keepdims=True),
    "dense": lambda: L.Dense(3),
    "padding": lambda: L.ZeroPadding1D((1, 2)),
    "cropping": lambda: L.Cropping1D(1),
    "upsampling": lambda: L.UpSampling1D(3),
    "adaptive_pool": lambda: L.AdaptiveAveragePooling1D(1),
    "einsum_dense": lambda: L.EinsumDense("abc,cd->abd", output_shape=(None, 6), bias_axes="d"),
    "layer_norm": L.LayerNormalization,
    "permute": lambda: L.Permute((2, 1)),
    "rms_norm": L.RMSNormalization,
    "unit_norm": lambda: L.UnitNormalization(axis=1),
}


@pytest.mark.parametrize("name", list(SEQUENCES))
def test_sequence(tmp_path: Path, name: str) -> None:
    agrees(sequential(SEQUENCES[name](), shape=(11, 4)), tmp_path / "model.keras", image(2, 11, 4))


ACTIVATIONS = """linear relu relu6 elu selu sigmoid hard_sigmoid tanh softplus softsign exponential gelu leaky_relu
    swish hard_silu mish hard_tanh softmax log_softmax log_sigmoid glu soft_shrink sparse_sigmoid squareplus
    tanh_shrink"""


@pytest.mark.parametrize("name", ACTIVATIONS.split())
def test_activation(tmp_path: Path, name: str) -> None:
    agrees(sequential(L.Activation(name)), tmp_path / "model.keras", 4 * image(2, 9, 8, 4))


@pytest.mark.parametrize("name", IDLE)
def test_layers_for_training(tmp_path: Path, name: str) -> None:
    kind = getattr(L, name, None)
    if kind is None:
        pytest.skip(f"this version of Keras has no {name}")
    model = keras.Sequential([L.Input((8, 8, 3)), kind(*ARGUMENTS.get(name, ()))])
    agrees(model, tmp_path / "model.keras", np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 3)))


@pytest.mark.parametrize("name", ["RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom"])
def test_layers_for_training_that_move_boxes(tmp_path: Path, name: str) -> None:
    """Keras writes the format of boxes only if it is given."""
    layer = getattr(L, name)(*ARGUMENTS.get(name, ()), bounding_box_format="xyxy")
    if "bounding_box_format" not in layer.get_config():
        pytest.skip("this version of Keras moves no boxes")
    agrees(keras.Sequential([L.Input((8, 8, 3)), layer]), tmp_path / "model.keras", image(1, 8, 8, 3))


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("biased", [True, False])
def test_attention_of_many_heads(tmp_path: Path, suffix: str, biased: bool) -> None:
    """Test attention of a sequence to itself and to another one, after a layer normalization as in transformers."""
    first, second = L.Input((7, 8), name="first"), L.Input((5, 6), name="second")
    normal = L.LayerNormalization(name="norm")(first)
    own = L.MultiHeadAttention(2, 4, value_dim=3, use_bias=biased, name="own")(normal, normal)
    total = L.Add()([first, own])
    other = L.MultiHeadAttention(3, 5, name="other")(total, second, key=second)
    model = randomized(keras.Model([first, second], L.Add()([total, other])))
    agrees(model, tmp_path / f"model.{suffix}", image(2, 7, 8), image(2, 5, 6, seed=2))


NORMS: dict[str, Callable[[Any], Any]] = {
    "layer": lambda x: L.UnitNormalization()(x),
    "axis": lambda x: L.UnitNormalization(axis=1)(x),
    "function": lambda x: ops.normalize(x),
    "epsilon": lambda x: ops.normalize(x, epsilon=1e-3),
    "dot": lambda x: L.Dot(axes=1, normalize=True)([x, ops.sum(x, 2)]),
}


@pytest.mark.parametrize("name", list(NORMS))
def test_norms_of_numbers_next_to_zero(tmp_path: Path, name: str) -> None:
    """Keras 3 limits the norm, and Keras 2 the sum of squares: the divisors differ below a norm of 1e-6."""
    shown = L.Input((4, 5))
    model = keras.Model(shown, NORMS[name](shown))
    scales = np.float32(10.0) ** -np.arange(12, dtype=np.float32)
    agrees(model, tmp_path / "model.keras", image(12, 4, 5) * scales[:, None, None])


STEPS: dict[str, Callable[[], Any]] = {
    "activation": lambda: L.Activation("softmax"),
    "convolution": lambda: L.Conv2D(5, 3, activation="relu"),
    "dense": lambda: L.Dense(5, activation="relu"),
    "flatten": L.Flatten,
    "model": lambda: keras.Sequential(
        [
            L.Input((9, 8, 4)),
            L.Conv2D(3, 2),
            L.BatchNormalization(),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dense(6),
        ]
    ),
    "normalization": L.BatchNormalization,
    "pooling": L.GlobalAveragePooling2D,
}


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("name", list(STEPS))
def test_layers_of_each_step(tmp_path: Path, name: str, suffix: str) -> None:
    layers = [L.TimeDistributed(STEPS[name]()), L.TimeDistributed(L.Dense(3))]
    agrees(sequential(*layers, shape=(4, 9, 8, 4)), tmp_path / f"model.{suffix}", image(3, 4, 9, 8, 4))


def test_unsupported_layers_of_each_step_are_named_once(tmp_path: Path) -> None:
    sequential(L.TimeDistributed(L.SimpleRNN(3, name="memory")), shape=(4, 5, 6)).save(tmp_path / "model.h5")
    with pytest.raises(mpscnn.UnsupportedError, match=r"layer 'time_distributed.*/memory' \(SimpleRNN\)"):
        converters.read_network([tmp_path / "model.h5"])


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("count", [2, 3])
def test_attention(tmp_path: Path, scaled: bool, count: int) -> None:
    shapes = [(6, 4), (5, 4), (5, 4)][:count]
    inputs = [L.Input(shape) for shape in shapes]
    model = randomized(keras.Model(inputs, L.Attention(use_scale=scaled)(inputs)))
    agrees(model, tmp_path / "model.keras", *(image(2, *shape, seed=i) for i, shape in enumerate(shapes)))


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("shapes", "axes"),
    [
        (((6, 4), (5, 4)), 2),
        (((6, 4), (6, 5)), 1),
        (((6, 4), (4, 5)), (2, 1)),
        (((4, 6), (5, 4)), (1, 2)),
        (((7,), (7,)), 1),
        (((7,), (7, 3)), 1),
        (((3, 7), (7,)), (2, 1)),
    ],
)
def test_products(tmp_path: Path, shapes: Any, axes: Any, normalize: bool) -> None:
    inputs = [L.Input(shape) for shape in shapes]
    model = keras.Model(inputs, L.Dot(axes, normalize=normalize)(inputs))
    agrees(model, tmp_path / "model.keras", *(image(2, *shape, seed=i) for i, shape in enumerate(shapes)))


def test_every_layer_of_keras_is_read_or_refused() -> None:
    ours = {"Functional", "InputLayer", "InputSpec", "Layer", "Model", "Sequential", "TimeDistributed"}
    kinds = {kind.__name__ for kind in vars(L).values() if isinstance(kind, type)} - ours
    assert not set(ROWS) & set(REFUSED)
    assert kinds <= set(ROWS) | set(REFUSED)


def test_every_setting_of_keras_is_known() -> None:
    """The settings of a layer that a reader does not know would be refused in all files of Keras."""
    not_stored = {"self", "kwargs", "rank", "pool_dimensions", "pool_mode"}
    for kind, row in ROWS.items():
        classes = getattr(L, kind, object).__mro__
        schema = schema_of(LAYERS.get(kind) or CELLS.get(kind) or row)
        stated = {
            name
            for one in classes
            if one.__module__.startswith("keras") and "__init__" in vars(one) and one.__name__ not in BASES
            for name in inspect.signature(vars(one)["__init__"]).parameters
        }
        known = {*schema.settings, *schema.ignored, "data_format", *not_stored}
        left = stated_settings(schema, dict.fromkeys(stated - known, 1))
        assert schema.passes_on or not left, kind


def test_masks_are_refused(tmp_path: Path) -> None:
    x, mask = L.Input((5, 4)), L.Input((5, 5))
    model = keras.Model([x, mask], L.MultiHeadAttention(2, 3)(x, x, attention_mask=mask))
    model.save(tmp_path / "model.keras")
    with pytest.raises(mpscnn.UnsupportedError, match="its attention_mask is not supported"):
        converters.read_network([tmp_path / "model.keras"])


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_causal_masks(tmp_path: Path, suffix: str) -> None:
    """Each token attends to itself and to earlier ones. The scores are the second result of attention."""
    x = L.Input((5, 6))
    many, own = L.MultiHeadAttention(2, 3, name="many"), L.Attention(name="own")
    first, scores = many(x, x, use_causal_mask=True, return_attention_scores=True)
    second = own([x, x], use_causal_mask=True)
    model = randomized(keras.Model(x, [first, scores, second]))
    agrees(model, tmp_path / f"model.{suffix}", image(3, 5, 6))


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_connections(tmp_path: Path, suffix: str) -> None:
    """Test merges, layers and models that are applied twice, models in models, and several inputs and outputs."""
    inner = keras.Sequential([L.Input((8, 8, 4)), L.Conv2D(4, 1), L.BatchNormalization()], name="inner")
    source = keras.Input((8, 8, 4))
    hidden = L.Conv2D(4, 3, padding="same")(inner(source))
    block = keras.Model(source, L.Add()([hidden, source]), name="block")
    first, second = keras.Input((8, 8, 4), name="first"), keras.Input((8, 8, 4), name="second")
    shared = L.Conv2D(4, 1, name="shared")
    x = shared(first)
    y = shared(block(x))
    z = block(block(second))
    merged = [
        L.Subtract()([x, y]),
        L.Multiply()([x, y, z]),
        L.Average()([x, y, z]),
        L.Maximum()([x, z]),
        L.Minimum()([y, z]),
    ]
    joined = L.GlobalAveragePooling2D()(L.Concatenate()(merged))
    model = randomized(keras.Model([second, first], [joined, L.Concatenate(axis=1)([x, y])]))
    agrees(model, tmp_path / f"model.{suffix}", image(2, 8, 8, 4), image(2, 8, 8, 4, seed=2), tolerance=1e-4)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("frozen", ["block", "inner", "conv"])
def test_frozen_layers(tmp_path: Path, suffix: str, frozen: str) -> None:
    """In .h5 files the weights of a model's layers have another order if some are not trainable."""
    inner = keras.Sequential([L.Input((8, 8, 4)), L.Conv2D(4, 1), L.BatchNormalization()], name="inner")
    block = keras.Sequential(
        [L.Input((8, 8, 4)), L.Conv2D(4, 1, name="conv"), L.BatchNormalization(), inner], name="block"
    )
    model = randomized(keras.Sequential([L.Input((8, 8, 4)), block, L.Flatten(), L.Dense(2)]))
    places = {"block": block, "inner": inner, "conv": block.get_layer("conv")}
    places[frozen].trainable = False
    agrees(model, tmp_path / f"model.{suffix}", image(2, 8, 8, 4), tolerance=1e-4)


def test_operators(tmp_path: Path) -> None:
    """Test arithmetic between layers. Keras itself cannot load such models from .h5."""
    source = keras.Input((8, 8, 4))
    x = L.Conv2D(4, 1)(source)
    y = keras.ops.relu(x) * 2 + 1 - x
    z = (3 - y) / 4 + keras.ops.sigmoid(x) * 0.5 * x
    model = randomized(keras.Model(source, z))
    agrees(model, tmp_path / "model.keras", image(2, 8, 8, 4))


def test_ranks(tmp_path: Path) -> None:
    """A tensor with fewer axes than the other gets axes of extent 1 after the batch."""
    source = keras.Input((8, 8, 4))
    gate = L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D()(source))
    model = randomized(keras.Model(source, L.Multiply()([source, gate])))
    agrees(model, tmp_path / "model.keras", image(2, 8, 8, 4))


def test_free_size(tmp_path: Path) -> None:
    model = sequential(L.Conv2D(4, 3, strides=2), L.UpSampling2D(), shape=(None, None, 3))
    network = agrees(model, tmp_path / "model.keras", image(1, 9, 8, 3))
    assert network.input.shape == (None, None, None, 3)
    assert converters.read_network([tmp_path / "model.keras"], size=(6, 7)).input.shape == (None, 6, 7, 3)


def test_half_and_bfloat16_weights(tmp_path: Path) -> None:
    for dtype in ("float16", "bfloat16"):
        model = randomized(keras.Sequential([L.Input((8, 8, 4)), L.Conv2D(4, 3, name="conv", dtype=dtype)]))
        model.save(tmp_path / "model.keras")
        network = converters.read_network([tmp_path / "model.keras"])
        kernel = model.layers[0].kernel.value.detach().float().numpy()
        np.testing.assert_array_equal(network.weight("conv"), kernel.transpose(3, 0, 1, 2))


def test_a_layer_that_several_models_share(tmp_path: Path) -> None:
    """The file has the weights of a shared layer once, with the first of the models."""
    shared = L.Conv2D(4, 3, padding="same", name="shared")
    entrance, middle, outer = L.Input((9, 8, 4)), L.Input((9, 8, 4)), L.Input((9, 8, 4))
    first = keras.Model(entrance, L.ReLU()(shared(entrance)), name="first")
    second = keras.Model(middle, L.Conv2D(4, 1)(first(shared(middle))), name="second")
    model = randomized(keras.Model(outer, second(first(shared(outer)))))
    for suffix in ("keras", "h5"):
        agrees(model, tmp_path / f"model.{suffix}", image(2, 9, 8, 4))


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_model_that_a_model_shares_with_another(tmp_path: Path, suffix: str) -> None:
    inner = keras.Sequential([L.Input((9, 8, 4)), L.Conv2D(4, 1, name="conv")], name="inner")
    entrance, outer = L.Input((9, 8, 4)), L.Input((9, 8, 4))
    middle = keras.Model(entrance, L.Add()([inner(entrance), inner(L.ReLU()(entrance))]), name="middle")
    both = L.Concatenate()([middle(outer), inner(outer), middle(L.ReLU()(outer))])
    agrees(randomized(keras.Model(outer, both)), tmp_path / f"model.{suffix}", image(2, 9, 8, 4))


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("calls", [1, 2])
def test_results_of_a_model_as_outputs(tmp_path: Path, suffix: str, calls: int) -> None:
    """Outputs are results of a model's first call. Lists of outputs number calls differently from layers' inputs."""
    entrance, outer = L.Input((9, 8, 4)), L.Input((9, 8, 4))
    inner = keras.Model(entrance, [L.Conv2D(2, 1)(entrance), L.Conv2D(3, 1)(entrance)], name="inner")
    first, second = inner(outer)
    last = inner(L.ReLU()(outer))[1] if calls == 2 else second
    model = keras.Model(outer, [L.Concatenate()([first, last]), first, L.ReLU()(second)])
    agrees(randomized(model), tmp_path / f"model.{suffix}", image(2, 9, 8, 4))


def test_functions_in_old_files(tmp_path: Path) -> None:
    """Old files do not tell functions from the layers of the same names."""
    x = L.Input((9, 8, 4))
    y = keras.ops.relu6(x + 3.0) * (1.0 / 6.0)
    y = (1.0 - y) / (keras.ops.silu(x) - 2)
    model = keras.Model(x, keras.ops.add(y, x))
    agrees(model, tmp_path / "model.h5", image(2, 9, 8, 4) * 0.1)


ARRAY: dict[str, Callable[[Any], Any]] = {
    "add of channels": lambda x: x + np.arange(4, dtype=np.float32),
    "argmax": lambda x: ops.argmax(x, axis=-1),
    "argmin kept": lambda x: ops.argmin(x, axis=2, keepdims=True),
    "cast": lambda x: ops.cast(ops.cast(3.0 * x, "int32"), "float32"),
    "cast to 8 bits": lambda x: ops.cast(ops.cast(ops.relu(20.0 * x), "uint8"), "float32"),
    "clip": lambda x: ops.clip(x, -0.5, 0.25),
    "comparisons with numbers": lambda x: (
        ops.where(ops.less(0.25, x), x, 3.0)
        + ops.where(x <= 0.5, -2.0 * x, x)
        + ops.where(ops.not_equal(x, 0.5), x, 1.0)
    ),
    "comparison": lambda x: ops.cast(ops.logical_and(x > 0.25, ops.logical_not(x >= 0.75)), "float32") * 2.0,
    "cumsum": lambda x: ops.cumsum(x, axis=2),
    "difference from channels": lambda x: ops.subtract(np.arange(4, dtype=np.float32), x),
    "expand_dims": lambda x: ops.expand_dims(x, [1, -1]),
    "flip": lambda x: ops.flip(x, axis=2),
    "get item": lambda x: x[:, 1:-2, 3, ::3],
    "get item with new axes": lambda x: x[:, None, ..., -1],
    "glu": lambda x: ops.glu(x, axis=2),
    "halves": lambda x: ops.multiply(*ops.split(x, 2, axis=-1)),
    "layers of parts": lambda x: ops.concatenate([L.Dense(3)(x[:, :4]), L.Dense(3)(x[:, 4:])], axis=1),
    "logic of numbers": lambda x: ops.where(
        ops.logical_or(ops.relu(x), x < -1.0), x, ops.cast(ops.logical_not(x), "float32")
    ),
    "log_softmax": lambda x: ops.log_softmax(x, axis=2),
    "logs": lambda x: ops.log(ops.square(x) + 1.0) + ops.log1p(ops.absolute(x)) + ops.log2(ops.exp(x)),
    "logsumexp": lambda x: ops.logsumexp(x, axis=[1, 2]),
    "matmul": lambda x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))),
    "matmul with a constant": lambda x: ops.matmul(x, np.arange(12, dtype=np.float32).reshape(4, 3)),
    "max": lambda x: ops.max(x, axis=(1, 2), keepdims=True),
    "maximum of a number": lambda x: ops.minimum(0.5, ops.maximum(x, -0.25)),
    "mean": lambda x: ops.mean(x, axis=-1),
    "mean of images": lambda x: ops.mean(x, axis=[1, 2]),
    "min": lambda x: ops.min(x, axis=1),
    "moveaxis": lambda x: ops.moveaxis(x, -1, 1),
    "moveaxis of two": lambda x: ops.moveaxis(x, (1, 3), (3, 2)),
    "norm": lambda x: ops.norm(x, axis=-1),
    "normalize": lambda x: ops.normalize(x, axis=-1),
    "one_hot": lambda x: ops.one_hot(ops.argmax(x, axis=-1), 4),
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 0), (3, 0))),
    "pad by reflection": lambda x: ops.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0)), mode="reflect"),
    "powers": lambda x: ops.power(x, 3) + ops.power(2.0, x),
    "prod": lambda x: ops.prod(x, axis=-1),
    "product of channels": lambda x: x * np.arange(4, dtype=np.float32) / np.arange(1, 5, dtype=np.float32),
    "repeat": lambda x: ops.repeat(x, 3, axis=1),
    "reshape": lambda x: ops.reshape(x, (-1, 6, 48)),
    "reshape of rows": lambda x: ops.reshape(L.Dense(5)(ops.reshape(x, (-1, 4))), (-1, 9, 8, 5)),
    "roll": lambda x: ops.roll(x, 2, axis=1),
    "rounded": lambda x: ops.round(4 * x) + ops.floor(3 * x) + ops.ceil(x) + ops.sign(x),
    "rsqrt": lambda x: ops.rsqrt(ops.absolute(x) + 0.5) + ops.reciprocal(ops.absolute(x) + 1.0),
    "split at": lambda x: ops.split(x, [2, 5], axis=1)[1],
    "squeeze": lambda x: ops.squeeze(x[:, 2:3], 1),
    "stack": lambda x: ops.stack([x, ops.tanh(x)], axis=-1),
    "std": lambda x: ops.std(x, axis=1),
    "sum": lambda x: ops.sum(x, axis=[1, 3]),
    "sum of rows": lambda x: ops.sum(x, axis=1, keepdims=True) * x,
    "swapaxes": lambda x: ops.swapaxes(x, 1, 3),
    "take": lambda x: ops.take(x, [3, 0, 3], axis=-1),
    "tile": lambda x: ops.tile(x, (1, 2, 1, 3)),
    "transpose": lambda x: ops.transpose(x, (0, 3, 1, 2)),
    "transposed twice": lambda x: ops.transpose(ops.relu(ops.transpose(x, (0, 3, 1, 2))), (0, 2, 3, 1)),
    "var": lambda x: ops.var(x, axis=[1, 2], keepdims=True),
    "where": lambda x: ops.where(x > 0.0, x, 0.1 * x) + ops.where(x > 0.5, 1.0, 0.0),
}
"""Calls of keras.ops of images (9, 8, 4) that move, slice, reduce or compare elements."""


REFUSED_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "argmax of all": lambda x: ops.argmax(x) + x,
    "cumsum of all": lambda x: ops.reshape(ops.cumsum(x), (-1, 9, 8, 4)),
    "decimals": lambda x: ops.round(x, decimals=2),
    "initial": lambda x: ops.max(x, axis=1, initial=2.0),
    "mean of all": lambda x: x - ops.mean(x),
    "numbers of repeats": lambda x: ops.repeat(x, [1, 2, 1, 1], axis=-1),
    "roll of all": lambda x: ops.roll(x, 1),
}


@pytest.mark.parametrize("name", list(REFUSED_FUNCTIONS))
def test_functions_that_are_refused(tmp_path: Path, name: str) -> None:
    x = L.Input((9, 8, 4))
    keras.Model(x, REFUSED_FUNCTIONS[name](x)).save(tmp_path / "model.keras")
    with pytest.raises(mpscnn.UnsupportedError, match="layer '"):
        converters.read_network([tmp_path / "model.keras"])


@pytest.mark.parametrize("name", list(ARRAY))
def test_functions_of_arrays(tmp_path: Path, name: str) -> None:
    x = L.Input((9, 8, 4))
    agrees(randomized(keras.Model(x, ARRAY[name](x))), tmp_path / "model.keras", image(3, 9, 8, 4))


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "absolute": keras.ops.absolute,
    "concatenate": lambda x: keras.ops.concatenate([x, keras.ops.relu(x)], axis=-1),
    "concatenate rows": lambda x: keras.ops.concatenate([x, keras.ops.relu(x)], axis=1),
    "elu": lambda x: keras.ops.elu(x, alpha=0.3),
    "gelu": keras.ops.gelu,
    "gelu exact": lambda x: keras.ops.gelu(x, approximate=False),
    "leaky_relu": lambda x: keras.ops.leaky_relu(x, negative_slope=0.3),
    "log_sigmoid": keras.ops.log_sigmoid,
    "maximum": lambda x: keras.ops.maximum(x, keras.ops.tanh(x)),
    "minimum": lambda x: keras.ops.minimum(x, keras.ops.tanh(x)),
    "negative": lambda x: -x,
    "selu": keras.ops.selu,
    "softmax": lambda x: keras.ops.softmax(x, axis=-1),
    "softmax of rows": lambda x: keras.ops.softmax(x, axis=1),
    "softsign": keras.ops.softsign,
    "sqrt": lambda x: keras.ops.sqrt(keras.ops.absolute(x)),
    "square": keras.ops.square,
}


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_functions(tmp_path: Path, name: str, suffix: str) -> None:
    x = L.Input((9, 8, 4))
    agrees(keras.Model(x, FUNCTIONS[name](x)), tmp_path / f"model.{suffix}", image(2, 9, 8, 4))


@pytest.mark.parametrize("function", [keras.ops.add, keras.ops.multiply, keras.ops.maximum])
def test_functions_of_other_ranks_are_refused(tmp_path: Path, function: Any) -> None:
    """Functions align axes from the last one, so that the batch of one input would meet another axis of the other."""
    x, y = L.Input((4, 1, 8)), L.Input((8,))
    keras.Model([x, y], function(x, y)).save(tmp_path / "model.keras")
    with pytest.raises(mpscnn.UnsupportedError, match="different numbers of axes"):
        converters.read_network([tmp_path / "model.keras"])
