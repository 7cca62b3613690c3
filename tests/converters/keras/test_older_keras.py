"""Files of Keras 1, of Theano and of cuDNN's layers give the results of the same layers as Keras 2 writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from agreement import computed
from converters.keras_writer import h5py, write_h5
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters

Array = NDArray[np.float32]
IMAGE, SEQUENCE, ROW = (7, 6, 2), (5, 4), (8,)
UNITS = 3


def random(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(0.0, 0.5, shape).astype(np.float32)


def sequential(kind: str, shape: tuple[int, ...], settings: dict[str, Any], *, generation: int = 2) -> Any:
    layer = {
        "class_name": kind,
        "config": {"name": "own", "batch_input_shape": [None, *shape], "trainable": True, **settings},
    }
    return {
        "class_name": "Sequential",
        "config": [layer] if generation == 1 else {"name": "s", "layers": [layer]},
    }


def read(
    path: Path, model: Any, weights: dict[str, Array], version: str, backend: str = ""
) -> mpscnn.Network:
    write_h5(path, model, {"own": weights}, version=version)
    if backend:
        with h5py.File(path, "a") as file:
            file.attrs["backend"] = backend
    return converters.read_network([path])


class Twin(NamedTuple):
    """A layer as Keras 1 writes it, and as Keras 2 does."""

    shape: tuple[int, ...]
    old: tuple[str, dict[str, Any], list[Array]]
    new: tuple[str, dict[str, Any], dict[str, Array]]


KERNEL, BIAS, ALONG = random(3, 3, 2, 4), random(4), random(3, 1, 2, 4)
DEPTHWISE, POINTWISE = random(3, 3, 2, 2), random(1, 1, 4, 5)
#: Settings that Keras 1 writes for many layers, and that change no result.
NEEDLESS = {"init": "glorot_uniform", "W_regularizer": None, "b_constraint": None, "input_dim": None}
CONVOLUTION = {"nb_filter": 4, "nb_row": 3, "nb_col": 3, "dim_ordering": "tf", **NEEDLESS}
PLAIN = {"filters": 4, "kernel_size": [3, 3]}
BOTH = {"kernel": KERNEL, "bias": BIAS}
NORM = {
    "gamma": random(2) + 1,
    "beta": random(2),
    "moving_mean": random(2),
    "moving_variance": random(2) ** 2,
}
SIDES = {"padding": [[1, 0], [2, 3]]}
TWINS = {
    "convolution": Twin(
        IMAGE,
        (
            "Convolution2D",
            {**CONVOLUTION, "border_mode": "same", "subsample": [2, 1], "activation": "relu", "bias": True},
            [KERNEL, BIAS],
        ),
        ("Conv2D", {**PLAIN, "padding": "same", "strides": [2, 1], "activation": "relu"}, BOTH),
    ),
    "convolution without bias": Twin(
        IMAGE,
        ("Convolution2D", {**CONVOLUTION, "border_mode": "valid", "bias": False}, [KERNEL]),
        ("Conv2D", {"filters": 4, "kernel_size": [3, 3], "use_bias": False}, {"kernel": KERNEL}),
    ),
    "dilated convolution": Twin(
        IMAGE,
        ("AtrousConvolution2D", {**CONVOLUTION, "border_mode": "same", "atrous_rate": [2, 2]}, [KERNEL, BIAS]),
        ("Conv2D", {"filters": 4, "kernel_size": [3, 3], "padding": "same", "dilation_rate": [2, 2]}, BOTH),
    ),
    "separable convolution": Twin(
        IMAGE,
        (
            "SeparableConvolution2D",
            {**CONVOLUTION, "nb_filter": 5, "border_mode": "same", "depth_multiplier": 2, "depthwise_init": "x"},
            [DEPTHWISE, POINTWISE, random(5)],
        ),
        (
            "SeparableConv2D",
            {"filters": 5, "kernel_size": [3, 3], "padding": "same", "depth_multiplier": 2},
            {"depthwise_kernel": DEPTHWISE, "pointwise_kernel": POINTWISE, "bias": random(5)},
        ),
    ),
    "convolution of a sequence": Twin(
        (7, 2),
        (
            "Convolution1D",
            {"nb_filter": 4, "filter_length": 3, "border_mode": "same", "subsample_length": 2},
            [ALONG, BIAS],
        ),
        (
            "Conv1D",
            {"filters": 4, "kernel_size": [3], "padding": "same", "strides": [2]},
            {"kernel": ALONG[:, 0], "bias": BIAS},
        ),
    ),
    "convolution of a sequence of Keras 1.0": Twin(
        (7, 2),
        ("Convolution1D", {"nb_filter": 4, "filter_length": 3}, [ALONG.transpose(3, 2, 0, 1), BIAS]),
        ("Conv1D", {"filters": 4, "kernel_size": [3]}, {"kernel": ALONG[:, 0], "bias": BIAS}),
    ),
    "dense": Twin(
        ROW,
        ("Dense", {"output_dim": 5, "activation": "sigmoid", **NEEDLESS}, [random(8, 5), random(5)]),
        ("Dense", {"units": 5, "activation": "sigmoid"}, {"kernel": random(8, 5), "bias": random(5)}),
    ),
    "normalization": Twin(
        IMAGE,
        (
            "BatchNormalization",
            {"axis": -1, "mode": 0, "epsilon": 1e-5, "gamma_init": "one"},
            [*NORM.values()],
        ),
        ("BatchNormalization", {"axis": -1, "epsilon": 1e-5}, NORM),
    ),
    "maxima": Twin(
        IMAGE,
        ("MaxPooling2D", {"pool_size": [2, 2], "border_mode": "same", "dim_ordering": "tf"}, []),
        ("MaxPooling2D", {"pool_size": [2, 2], "padding": "same"}, {}),
    ),
    "maxima of a sequence": Twin(
        SEQUENCE,
        ("MaxPooling1D", {"pool_length": 2, "stride": 2, "border_mode": "valid"}, []),
        ("MaxPooling1D", {"pool_size": [2], "strides": [2]}, {}),
    ),
    "border of four numbers": Twin(
        IMAGE,
        ("ZeroPadding2D", {"padding": [1, 0, 2, 3], "dim_ordering": "tf"}, []),
        ("ZeroPadding2D", SIDES, {}),
    ),
    "border of named sides": Twin(
        IMAGE,
        ("ZeroPadding2D", {"padding": {"top_pad": 1, "left_pad": 2, "right_pad": 3}}, []),
        ("ZeroPadding2D", SIDES, {}),
    ),
    "slopes": Twin(
        IMAGE, ("PReLU", {"init": "zero"}, [random(*IMAGE)]), ("PReLU", {}, {"alpha": random(*IMAGE)})
    ),
    "dropout": Twin(IMAGE, ("Dropout", {"p": 0.5}, []), ("Dropout", {"rate": 0.5}, {})),
    "dropout of channels": Twin(
        IMAGE,
        ("SpatialDropout2D", {"p": 0.5, "dim_ordering": "tf"}, []),
        ("SpatialDropout2D", {"rate": 0.5}, {}),
    ),
    "noise": Twin(IMAGE, ("GaussianNoise", {"sigma": 0.5}, []), ("GaussianNoise", {"stddev": 0.5}, {})),
}  # fmt: skip


@pytest.mark.parametrize("name", TWINS)
def test_layers_of_keras_1(tmp_path: Path, name: str) -> None:
    twin = TWINS[name]
    kind, settings, arrays = twin.old
    weights = {f"own_{number}": array for number, array in enumerate(arrays)}
    model = sequential(kind, twin.shape, settings, generation=1)
    found = read(tmp_path / "old.h5", model, weights, "1.2.2")
    kind, settings, named = twin.new
    right = read(tmp_path / "new.h5", sequential(kind, twin.shape, settings), named, "2.2.4")
    x = random(2, *twin.shape)
    np.testing.assert_array_equal(computed(found, x), computed(right, x))


def test_embeddings_of_keras_1(tmp_path: Path) -> None:
    """Their `output_dim` has the same name in Keras 2, unlike that of other layers."""
    table, settings = random(9, UNITS), {"input_dim": 9, "output_dim": UNITS}
    model = sequential("Embedding", SEQUENCE[:1], {"init": "uniform", **settings}, generation=1)
    network = read(tmp_path / "old.h5", model, {"own_W": table}, "1.2.2")
    numbers = np.array([[0, 8, 3, 3, 1], [2, 4, 6, 8, 7]])
    np.testing.assert_array_equal(computed(network, numbers.astype(np.float32)), table[numbers])


#: The gates of a cell in the list of Keras 1, and in the weights of Keras 2.
GATES = {"LSTM": ("icfo", "ifco"), "GRU": ("zrh", "zrh")}


@pytest.mark.parametrize("is_bidirectional", [False, True])
@pytest.mark.parametrize("kind", GATES)
def test_cells_with_an_array_for_each_gate(tmp_path: Path, kind: str, is_bidirectional: bool) -> None:
    listed, joined = GATES[kind]
    shapes = {"kernel": (SEQUENCE[1], UNITS), "recurrent_kernel": (UNITS, UNITS), "bias": (UNITS,)}
    old, new = dict[str, Array](), dict[str, Array]()
    for part in ("forward", "backward")[: 1 + is_bidirectional]:
        gates = {
            (role, gate): random(*shape) * (1 + 0.1 * len(part) + 0.3 * joined.index(gate))
            for role, shape in shapes.items()
            for gate in joined
        }
        old |= {f"{part}_{role}_{gate}": gates[role, gate] for gate in listed for role in shapes}
        new |= {
            f"{part}/{role}": np.concatenate([gates[role, gate] for gate in joined], -1) for role in shapes
        }
    settings = {
        "output_dim": UNITS,
        "inner_activation": "hard_sigmoid",
        "consume_less": "cpu",
        "dropout_W": 0.1,
    }
    own = {"units": UNITS, "recurrent_activation": "hard_sigmoid", "reset_after": False}
    if kind == "LSTM":
        del own["reset_after"]
    outer = kind
    if is_bidirectional:
        outer, (settings, own) = "Bidirectional", (
            {"merge_mode": "concat", "layer": {"class_name": kind, "config": {"name": "in", **one}}}
            for one in (settings, own)
        )  # fmt: skip
    found = read(tmp_path / "old.h5", sequential(outer, SEQUENCE, settings, generation=1), old, "1.1.0")
    right = read(tmp_path / "new.h5", sequential(outer, SEQUENCE, own), new, "2.2.4")
    x = random(2, *SEQUENCE)
    np.testing.assert_array_equal(computed(found, x), computed(right, x))


def test_cells_of_keras_1_with_joined_gates(tmp_path: Path) -> None:
    weights = {"kernel": random(4, 12), "recurrent_kernel": random(3, 12), "bias": random(12)}
    settings = {"output_dim": UNITS, "inner_activation": "sigmoid", "consume_less": "gpu"}
    found = read(tmp_path / "old.h5", sequential("LSTM", SEQUENCE, settings, generation=1), weights, "1.2.2")
    own = {"units": UNITS, "recurrent_activation": "sigmoid"}
    right = read(tmp_path / "new.h5", sequential("LSTM", SEQUENCE, own), weights, "2.2.4")
    x = random(2, *SEQUENCE)
    np.testing.assert_array_equal(computed(found, x), computed(right, x))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Convolution2D", {**CONVOLUTION, "dim_ordering": "th"}),
        ("BatchNormalization", {"mode": 1, "epsilon": 1e-5}),
        ("Highway", {}),
        ("Convolution2D", {**CONVOLUTION, "border_mode": "full"}),
        ("Merge", {"mode": ["sum"]}),
        ("Merge", {"mode": {"a": "function"}}),
    ],
)
def test_layers_of_keras_1_that_are_refused(tmp_path: Path, kind: str, settings: dict[str, Any]) -> None:
    arrays = [KERNEL, BIAS] if kind == "Convolution2D" else [*NORM.values()] if settings else []
    weights = {f"own_{number}": array for number, array in enumerate(arrays)}
    with pytest.raises(mpscnn.UnsupportedError, match="layer 'own'"):
        read(tmp_path / "old.h5", sequential(kind, IMAGE, settings, generation=1), weights, "1.2.2")


@pytest.mark.parametrize("version", ["1.2.2", "2.1.6"])
@pytest.mark.parametrize("kind", ["Conv1D", "Conv2D", "Conv2DTranspose"])
def test_theano_reverses_kernels(tmp_path: Path, kind: str, version: str) -> None:
    """Theano computes convolutions where other backends compute correlations, so that its kernels are reversed."""
    shape = (7, 2) if kind == "Conv1D" else IMAGE
    kernel = ALONG[:, 0] if kind == "Conv1D" else random(3, 3, 4, 2) if "Trans" in kind else KERNEL
    backward = kernel[::-1] if kind == "Conv1D" else kernel[::-1, ::-1]
    settings = {"filters": 4, "kernel_size": [3] * (kernel.ndim - 2)}
    model = sequential(kind, shape, settings)
    found = read(tmp_path / "old.h5", model, {"kernel": kernel, "bias": BIAS}, version, "theano")
    right = read(tmp_path / "new.h5", model, {"kernel": backward, "bias": BIAS}, "2.1.6", "tensorflow")
    x = random(2, *shape)
    np.testing.assert_array_equal(computed(found, x), computed(right, x))
    assert not np.array_equal(computed(found, x), 0)


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_layers_of_cudnn(tmp_path: Path, kind: str, is_named: bool) -> None:
    """cuDNN's kernels are transposed gate by gate, and its biases have two parts; a plain layer may have them, too."""
    gates = len(GATES[kind][1])
    kernels, matrices = (
        [random(4, UNITS) + k for k in range(gates)],
        [random(UNITS, UNITS) * k for k in range(gates)],
    )
    bias = random(2 * gates * UNITS)
    given = {
        "kernel": np.hstack([one.reshape(-1, order="F").reshape(one.shape) for one in kernels]),
        "recurrent_kernel": np.hstack([one.T for one in matrices]),
        "bias": bias,
    }
    halves = bias.reshape(2, -1)
    own = {
        "kernel": np.hstack(kernels),
        "recurrent_kernel": np.hstack(matrices),
        "bias": halves.sum(0) if kind == "LSTM" else halves,
    }
    settings: dict[str, Any] = {"units": UNITS, "return_sequences": True}
    plain = settings | {"recurrent_activation": "sigmoid"} | ({"reset_after": True} if kind == "GRU" else {})
    model = sequential(f"CuDNN{kind}", SEQUENCE, settings) if is_named else sequential(kind, SEQUENCE, plain)
    found = read(tmp_path / "cudnn.h5", model, given, "2.2.4")
    right = read(tmp_path / "plain.h5", sequential(kind, SEQUENCE, plain), own, "2.2.4")
    x = random(2, *SEQUENCE)
    np.testing.assert_allclose(computed(found, x), computed(right, x), atol=1e-6)
