"""Read graphs that TensorFlow writes, and compare them with TensorFlow's own results."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn.comparison.conversion_check import any_size, check_conversion, differs
from mpscnn.converters import read_network
from mpscnn.errors import ParameterError, UnsupportedError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
tf = pytest.importorskip("tensorflow", reason="needs the package tensorflow (nox -s tensorflow)")

Array = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(7)
TOLERANCE = 2e-6


def _weights(*shape: int) -> Array:
    return RANDOM.normal(0, 0.3, shape).astype(np.float32)


def _positive(*shape: int) -> Array:
    return RANDOM.uniform(0.5, 1.5, shape).astype(np.float32)


def _norm(x: Any) -> Any:
    return tf.compat.v1.nn.fused_batch_norm(
        x, _positive(6), _weights(6), _weights(6), _positive(6), epsilon=1e-3, is_training=False
    )[0]


def _dilated(x: Any) -> Any:
    y = tf.compat.v1.space_to_batch_nd(x, [2, 3], [[2, 2], [3, 3]])
    y = tf.nn.conv2d(y, _weights(3, 2, 6, 5), 1, "VALID")
    return tf.compat.v1.batch_to_space_nd(tf.nn.bias_add(y, _weights(5)), [2, 3], [[0, 1], [0, 2]])


def _dilated_sequence(x: Any) -> Any:
    y = tf.compat.v1.space_to_batch_nd(tf.reshape(x, [-1, 72, 6]), [3], [[6, 6]])
    y = tf.nn.bias_add(tf.nn.conv1d(y, _weights(5, 6, 4), 1, "VALID"), _weights(4))
    return tf.compat.v1.batch_to_space_nd(y, [3], [[0, 0]])


def _flattened(x: Any) -> Any:
    return tf.reshape(x, [tf.shape(x)[0], -1]) @ _weights(8 * 9 * 6, 4)


def _doubled(x: Any) -> Any:
    size = tf.shape(x)
    return tf.compat.v1.image.resize_bilinear(x, [size[1] * 2, size[2] * 2])


def _attention(x: Any) -> Any:
    tokens = tf.reshape(x, [-1, 72, 6])
    return tf.nn.softmax(tf.matmul(tokens, tokens, transpose_b=True)) @ tokens


v1 = tf.compat.v1
# Functions of an image of the shape (batch, 8, 9, 6).
CASES: dict[str, Callable[[Any], Any]] = {
    "conv2d same": lambda x: tf.nn.conv2d(x, _weights(3, 3, 6, 5), 2, "SAME"),
    "conv2d even same": lambda x: tf.nn.conv2d(x, _weights(4, 2, 6, 5), [3, 2], "SAME"),
    "conv2d valid dilated": lambda x: tf.nn.conv2d(x, _weights(3, 2, 6, 5), 1, "VALID", dilations=[2, 3]),
    "conv2d explicit": lambda x: tf.nn.conv2d(x, _weights(3, 3, 6, 5), 1, [[0, 0], [2, 1], [0, 3], [0, 0]]),
    "conv2d groups": lambda x: tf.nn.conv2d(x, _weights(3, 3, 3, 4), 1, "SAME"),
    "depthwise": lambda x: tf.nn.depthwise_conv2d(x, _weights(3, 3, 6, 2), [1, 2, 2, 1], "SAME"),
    "depthwise dilated": lambda x: tf.nn.depthwise_conv2d(
        x, _weights(3, 3, 6, 1), [1, 1, 1, 1], "SAME", dilations=[2, 2]
    ),
    "dilated by batches": _dilated,
    "conv1d": lambda x: tf.nn.conv1d(tf.reshape(x, [-1, 72, 6]), _weights(5, 6, 4), 2, "SAME"),
    "transposed same": lambda x: tf.nn.conv2d_transpose(
        x, _weights(3, 3, 4, 6), tf.stack([tf.shape(x)[0], 16, 18, 4]), 2, "SAME"
    ),
    "transposed valid": lambda x: tf.nn.conv2d_transpose(
        x, _weights(4, 3, 4, 6), tf.stack([tf.shape(x)[0], 18, 19, 4]), 2, "VALID"
    ),
    "max pool": lambda x: tf.nn.max_pool2d(x, 3, 2, "SAME"),
    "average pool": lambda x: tf.nn.avg_pool2d(x, [2, 3], [2, 1], "SAME"),
    "batch norm": _norm,
    "bias": lambda x: tf.nn.bias_add(x, _weights(6)),
    "response": lambda x: tf.nn.local_response_normalization(x, 2, 1.5, 0.3, 0.7),
    "relu6": tf.nn.relu6,
    "leaky relu": lambda x: tf.nn.leaky_relu(x, 0.3),
    "elu": tf.nn.elu,
    "selu": tf.nn.selu,
    "sigmoid": tf.sigmoid,
    "swish": tf.nn.silu,
    "gelu": tf.nn.gelu,
    "gelu tanh": lambda x: tf.nn.gelu(x, approximate=True),
    "hard swish": lambda x: x * tf.nn.relu6(x + 3.0) / 6.0,
    "softplus": tf.nn.softplus,
    "softsign": tf.nn.softsign,
    "softmax": tf.nn.softmax,
    "log softmax": tf.nn.log_softmax,
    "square root": lambda x: tf.sqrt(tf.abs(x)) + tf.math.rsqrt(tf.abs(x) + 0.5),
    "functions": lambda x: (
        tf.exp(x) + tf.square(x) + tf.floor(x) + tf.math.ceil(x) + tf.math.log1p(tf.abs(x))
    ),
    "sign": lambda x: tf.sign(x) - tf.negative(x),
    "rounding": lambda x: tf.round(x * 10.0),
    "power": lambda x: tf.pow(tf.abs(x) + 0.1, 1.5),
    "squared difference": lambda x: tf.math.squared_difference(x, _weights(6)),
    "extremes": lambda x: tf.maximum(x, tf.minimum(x * 2.0, 0.3)),
    "add n": lambda x: tf.add_n([x, x * 2.0, tf.nn.relu(x)]),
    "clip": lambda x: tf.clip_by_value(x, -0.4, 0.6),
    "comparison": lambda x: tf.where(x > 0.1, x, x * 0.2),
    "logic": lambda x: tf.cast(tf.logical_and(x > -0.5, x < 0.5), tf.float32),
    "exclusive or": lambda x: tf.cast(tf.math.logical_xor(x > -0.5, x < 0.5), tf.float32),
    "all": lambda x: tf.cast(tf.reduce_all(x > -1.0, 3), tf.float32),
    "any": lambda x: tf.cast(tf.reduce_any(x > 1.0, [1, 2], keepdims=True), tf.float32) * x,
    "finite": lambda x: tf.cast(tf.math.is_finite(x / tf.nn.relu(x)), tf.float32),
    "not a number": lambda x: tf.cast(tf.math.is_nan(0.0 * x / tf.nn.relu(x)), tf.float32),
    "log sum exp": lambda x: tf.reduce_logsumexp(x, 3),
    "floor division": lambda x: x // 0.3,
    "cumulative sum": lambda x: tf.cumsum(x, 2, exclusive=True, reverse=True),
    "top": lambda x: tf.math.top_k(x, 2)[0] * tf.cast(tf.math.top_k(x, 2)[1] + 1, tf.float32),
    "one hot": lambda x: tf.one_hot(tf.argmax(x, 3), 6, 2.0, -1.0, 1),
    "roll": lambda x: tf.roll(x, [2, -3, 8], [1, 2, 1]),
    "cast weights": lambda x: tf.nn.conv2d(
        x, tf.cast(tf.constant(_weights(3, 3, 6, 5).astype(np.float16)), tf.float32), 1, "SAME"
    ),
    "transposed weights": lambda x: tf.nn.conv2d(
        x, tf.transpose(_weights(5, 6, 3, 3), [2, 3, 1, 0]), 1, "SAME"
    ),
    "dilated sequences": _dilated_sequence,
    "division without nan": lambda x: tf.math.divide_no_nan(x, tf.nn.relu(x)),
    "mean": lambda x: tf.reduce_mean(x, [1, 2]),
    "sum keeping": lambda x: tf.reduce_sum(x, [1, 2], keepdims=True),
    "max of channels": lambda x: tf.reduce_max(x, 3, keepdims=True),
    "variance": lambda x: tf.math.reduce_variance(x, [1, 2]),
    "argmax": lambda x: tf.cast(tf.argmax(x, 3), tf.float32),
    "concat": lambda x: tf.concat([x, tf.nn.relu(x)], 3),
    "split": lambda x: tf.add(*tf.split(x, 2, 3)),
    "split sizes": lambda x: tf.nn.relu(tf.split(x, [1, 2, 3], 3)[2]),
    "stack": lambda x: tf.reduce_sum(tf.stack([x, -x * 0.5], 3), 3),
    "unstack": lambda x: tf.unstack(x, axis=1)[2] + tf.unstack(x, axis=1)[5],
    "slices": lambda x: x[:, 1:-1, ::2, 1:5],
    "one row": lambda x: x[:, 3, ..., tf.newaxis],
    "slice": lambda x: tf.slice(x, [0, 1, 2, 0], [-1, 3, 4, -1]),
    "gather": lambda x: tf.gather(x, [4, 0, 2], axis=3),
    "tile": lambda x: tf.tile(x, [1, 2, 1, 1]),
    "reverse": lambda x: tf.reverse(x, [2]),
    "pad": lambda x: tf.pad(x, [[0, 0], [1, 2], [3, 0], [0, 0]]),
    "pad value": lambda x: tf.pad(x, [[0, 0], [1, 2], [3, 0], [0, 0]], constant_values=0.5),
    "mirror": lambda x: tf.pad(x, [[0, 0], [1, 2], [3, 0], [0, 0]], "REFLECT"),
    "transpose": lambda x: tf.transpose(x, [0, 3, 1, 2]),
    "squeeze": lambda x: tf.squeeze(tf.reduce_mean(x, [1, 2], keepdims=True)),
    "reshape": lambda x: tf.reshape(x, [-1, 9, 48]),
    "flatten": _flattened,
    "attention": _attention,
    "einsum": lambda x: tf.einsum("bhwc,co->bhwo", x, _weights(6, 3)),
    "bilinear": lambda x: tf.image.resize(x, [13, 20]),
    "bilinear corners": lambda x: v1.image.resize_bilinear(x, [13, 20], align_corners=True),
    "bilinear of a computed size": _doubled,
    "nearest": lambda x: tf.image.resize(x, [16, 27], "nearest"),
    "nearest old": lambda x: v1.image.resize_nearest_neighbor(x, [13, 20]),
    "nearest corners": lambda x: v1.image.resize_nearest_neighbor(x, [13, 20], align_corners=True),
    "depth to space": lambda x: tf.nn.depth_to_space(tf.concat([x, x * 2.0], 3), 2),
    "space to depth": lambda x: tf.nn.space_to_depth(x[:, :, :8], 2),
    "branch": lambda x: tf.cond(tf.constant(True), lambda: x * 2.0, lambda: x * 3.0),
}
X = RANDOM.normal(0, 1, (2, 8, 9, 6)).astype(np.float32)


def _result(network: mpscnn.Network, x: Array) -> Array:
    found = network.compile().run(x)
    return np.asarray(found[0] if isinstance(found, (list, tuple)) else found)


def _check(path: Path, x: Array, expected: Array) -> None:
    found = _result(read_network([path]), x)
    assert found.size == expected.size
    scale = max(1.0, float(np.abs(expected).max()))
    assert float(np.abs(found.reshape(expected.shape) - expected).max()) <= TOLERANCE * scale


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("free", [False, True], ids=["one image", "free batch"])
def test_frozen_graphs(name: str, free: bool, tmp_path: Path) -> None:
    x = X if free else X[:1]
    with v1.Graph().as_default() as graph:
        image = v1.placeholder(tf.float32, [None if free else 1, 8, 9, 6], name="image")
        result = tf.identity(CASES[name](image), name="result")
        with v1.Session() as session:
            expected = session.run(result, {image: x})
            frozen = v1.graph_util.extract_sub_graph(graph.as_graph_def(), ["result"])
    path = tmp_path / "graph.pb"
    path.write_bytes(frozen.SerializeToString())
    _check(path, x, expected)


@pytest.mark.parametrize("name", ["dilated by batches", "flatten", "branch", "attention"])
def test_saved_models_of_functions(name: str, tmp_path: Path) -> None:
    module = tf.Module()
    module.factor = tf.Variable(_positive(6), name="factor")
    function = tf.function(
        lambda image: {"result": CASES[name](image * module.factor)},
        input_signature=[tf.TensorSpec([None, 8, 9, 6], name="image")],
    )
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=function.get_concrete_function())
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    expected = loaded.signatures["serving_default"](image=tf.constant(X))["result"].numpy()
    _check(tmp_path / "model", X, expected)


@pytest.mark.parametrize("number", ["int32", "int64"])
@pytest.mark.parametrize("kind", ["variable", "constant", "keras"])
def test_embeddings_of_an_input_of_integers(kind: str, number: str, tmp_path: Path) -> None:
    module = tf.Module()
    module.table = tf.Variable(_weights(20, 6)) if kind == "variable" else tf.constant(_weights(20, 6))
    module.kernel = tf.Variable(_weights(6, 3))
    words = RANDOM.integers(0, 20, (3, 7))
    given = tf.TensorSpec([None, 7], number, name="words")
    if kind == "keras":
        layers = [tf.keras.layers.Embedding(20, 6), tf.keras.layers.Conv1D(4, 3), tf.keras.layers.Dense(3)]
        model = tf.keras.Sequential([tf.keras.layers.Input((7,), dtype=number), *layers])
        model.export(str(tmp_path / "model"), verbose=False)
        expected = model(words.astype(number)).numpy()
    else:
        function = tf.function(
            lambda words: tf.nn.embedding_lookup(module.table, words) @ module.kernel, input_signature=[given]
        )
        tf.saved_model.save(module, str(tmp_path / "model"), signatures=function.get_concrete_function())
        expected = function(tf.constant(words, number)).numpy()
    _check(tmp_path / "model", words.astype(np.float32), expected)


@pytest.mark.parametrize("way", ["export", "save"])
@pytest.mark.parametrize(
    "kind", ["MobileNet", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "DenseNet121"]
)
def test_networks_of_keras(kind: str, way: str, tmp_path: Path) -> None:
    keras = tf.keras
    keras.utils.set_random_seed(3)
    model = getattr(keras.applications, kind)(input_shape=(64, 64, 3), weights=None, classes=10)
    for weight in model.weights:
        if "variance" in weight.name:
            weight.assign(_positive(*weight.shape))
        elif "mean" in weight.name or "bias" in weight.name or "beta" in weight.name:
            weight.assign(_weights(*weight.shape) * 0.3)
    folder = tmp_path / "model"
    if way == "export":
        model.export(str(folder), verbose=False)
    else:
        tf.saved_model.save(model, str(folder))
    x = RANDOM.uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    _check(folder, x, model(x, training=False).numpy())


def test_dense_layers_of_sequences(tmp_path: Path) -> None:
    """For the product, Keras reshapes batch and sequence into one axis."""
    layers = [tf.keras.layers.Conv1D(4, 3), tf.keras.layers.Dense(3)]
    model = tf.keras.Sequential([tf.keras.layers.Input((7, 6)), *layers])
    model.export(str(tmp_path / "model"), verbose=False)
    x = RANDOM.normal(size=(3, 7, 6)).astype(np.float32)
    found = _result(read_network([tmp_path / "model"]), x)
    np.testing.assert_allclose(found, model(x).numpy(), rtol=0, atol=TOLERANCE)


def test_a_variable_that_a_graph_of_tensorflow_1_restores(tmp_path: Path) -> None:
    with v1.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, [None, 8, 9, 6], name="image")
        training = v1.placeholder_with_default(False, [], name="is_training")
        kernel = v1.get_variable("kernel", initializer=_weights(3, 3, 6, 6))
        y = tf.nn.conv2d(image, kernel, 1, "SAME")
        result = v1.cond(training, lambda: y * 0.5, lambda: tf.nn.relu(y))
        session.run(v1.global_variables_initializer())
        expected = session.run(result, {image: X})
        v1.saved_model.simple_save(session, str(tmp_path / "model"), {"image": image}, {"result": result})
    _check(tmp_path / "model", X, expected)


@pytest.mark.parametrize("kind", ["frozen", "saved"])
def test_conversions_are_compared_with_tensorflow(kind: str, tmp_path: Path) -> None:
    with v1.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, [None, 8, 9, 6], name="image")
        kernel = v1.get_variable("kernel", initializer=_weights(3, 3, 6, 6))
        result = tf.nn.relu(tf.nn.conv2d(image, kernel, 1, "SAME"), name="result")
        session.run(v1.global_variables_initializer())
        path = tmp_path / "model.pb"
        if kind == "saved":
            path = tmp_path / "model"
            v1.saved_model.simple_save(session, str(path), {"image": image}, {"result": result})
        else:
            graph = session.graph.as_graph_def()
            frozen = v1.graph_util.convert_variables_to_constants(session, graph, ["result"])
            path.write_bytes(frozen.SerializeToString())
    network = read_network([path])
    found, sentence = check_conversion(network, [path], any_size(network))
    assert found is not None
    assert not differs(found)
    assert "equal" in sentence
    network.initialize_weights(seed=1)
    assert differs(check_conversion(network, [path], any_size(network))[0])


def _two_signatures(folder: Path) -> Path:
    """Save a model without serving_default, whose variables belong to modules in a list."""
    module = tf.Module()
    module.parts = [tf.Module() for _ in range(2)]
    for part, shape in zip(module.parts, ((3, 3, 6, 4), (3, 3, 4, 5)), strict=True):
        part.kernel = tf.Variable(_weights(*shape))
    module.step, module.momentum = tf.Variable(3, dtype=tf.int64), tf.Variable(_weights(5, 5))

    def body(x: Any) -> Any:
        for part in module.parts:
            x = tf.nn.relu(tf.nn.conv2d(x, part.kernel, 2, "SAME"))
        return x

    def signature(compute: Callable[..., Any], height: int | None) -> Any:
        given = [tf.TensorSpec([None, height, height, 6], name="image")]
        return tf.function(lambda image: compute(body(image)), input_signature=given)

    named = {
        "maps": signature(lambda x: {"maps": x, "means": tf.reduce_mean(x, [1, 2])}, None),
        "sums": signature(lambda x: {"sums": tf.reduce_sum(x, [1, 2])}, 12),
    }
    module.functions = list(named.values())
    tf.saved_model.save(module, str(folder), signatures=named)
    return folder


def test_one_of_several_signatures_is_converted_and_checked(tmp_path: Path) -> None:
    path = _two_signatures(tmp_path / "model")
    with pytest.raises(
        UnsupportedError, match=r"has the signatures 'maps', 'sums', and none .*--signature NAME"
    ):
        read_network([path])
    with pytest.raises(ParameterError, match="it has no signature 'other'; its signatures: 'maps', 'sums'"):
        read_network([path], signature="other")
    for name, outputs, size in (("maps", 2, (12, 12)), ("sums", 1, None)):
        network = read_network([path / "saved_model.pb"], signature=name)
        assert len(network.outputs) == outputs
        found, _ = check_conversion(network, [path], size, signature=name)
        assert found is not None
        assert not differs(found)
    assert differs(check_conversion(network, [path], signature="maps")[0])


def test_networks_of_integers_are_not_checked(tmp_path: Path) -> None:
    module = tf.Module()
    module.kernel = tf.Variable(_weights(3, 3, 3, 2))
    function = tf.function(
        lambda image: tf.nn.conv2d(tf.cast(image, tf.float32) / 255.0, module.kernel, 1, "VALID"),
        input_signature=[tf.TensorSpec([None, 8, 9, 3], tf.uint8, name="image")],
    )
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=function.get_concrete_function())
    network = read_network([tmp_path / "model"])
    sentence = check_conversion(network, [tmp_path / "model"])[1]
    assert sentence.startswith("not checked")
    assert "has the type uint8" in sentence


def test_variables_in_parts_are_read_from_frozen_graphs_only(tmp_path: Path) -> None:
    with v1.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, [None, 8, 9, 6], name="image")
        parts = v1.get_variable(
            "kernel",
            [3, 3, 6, 4],
            initializer=v1.random_normal_initializer(seed=1),
            partitioner=v1.fixed_size_partitioner(2, axis=3),
        )
        result = tf.nn.conv2d(image, tf.convert_to_tensor(parts), 1, "SAME", name="result")
        session.run(v1.global_variables_initializer())
        expected = session.run(result, {image: X})
        v1.saved_model.simple_save(session, str(tmp_path / "model"), {"image": image}, {"result": result})
        graph = session.graph.as_graph_def()
        frozen = v1.graph_util.convert_variables_to_constants(session, graph, ["result"])
        (tmp_path / "model.pb").write_bytes(frozen.SerializeToString())
    with pytest.raises(UnsupportedError, match="the variable 'kernel' is stored in parts"):
        read_network([tmp_path / "model"])
    _check(tmp_path / "model.pb", X, expected)


LOOPS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "loop": (
        lambda x: tf.while_loop(lambda i, _: i < x.shape[0], lambda i, y: (i + 1, y * 2.0), (0, x))[1],
        "loops are not supported",
    ),
    "LSTM": (tf.keras.layers.LSTM(3), "lists of tensors belong to loops"),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_are_refused_by_name(name: str, tmp_path: Path) -> None:
    module = tf.Module()
    compute, message = LOOPS[name]
    module.layer = compute
    function = tf.function(compute, input_signature=[tf.TensorSpec([2, 4, 5], name="x")])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=function.get_concrete_function())
    with pytest.raises(UnsupportedError, match=message):
        read_network([tmp_path / "model"])
