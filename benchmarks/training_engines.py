"""Build training steps of mpscnn and its peers. For each engine a function returns a step for a network.

A step takes images (n, h, w, c) and classes (n,), updates the weights, and returns the loss before the update. Weights
have the same random distribution in all engines. Batch normalization uses the batch's statistics and updates running
statistics.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
from training_networks import Case

Step = Callable[[np.ndarray, np.ndarray], float]

_MOMENTUM = 0.9
_ADAM_RATE, _SGD_RATE = 1e-3, 0.05
_EPSILON = 1e-5
_KEPT = 0.9  # the share of the old running statistics that is kept in each step


class _Weights:
    """The weights of a network. They are created in its first run, and returned in the same order in later runs."""

    def __init__(self, wrap: Callable[[np.ndarray], Any]) -> None:
        self.values: list[Any] = []
        self._wrap, self._random, self._next = wrap, np.random.default_rng(0), 0

    def begin(self) -> None:
        """Start a run of the network. `take` then returns the weights from the first one on."""
        self._next = 0

    def take(self, make: Callable[[], np.ndarray]) -> Any:
        self._next += 1
        if self._next > len(self.values):
            self.values.append(self._wrap(make().astype(np.float32)))
        return self.values[self._next - 1]

    def normal(self, shape: tuple[int, ...], inputs: int) -> Any:
        """Return a weight with He's initialization. `inputs` is the number of products that are added."""
        return self.take(lambda: self._random.normal(0, sqrt(2 / inputs), shape))

    def full(self, channels: int, value: float) -> Any:
        return self.take(lambda: np.full(channels, value))


# ---- mpscnn --------------------------------------------------------------------------------------------------


class _Ours:
    def __init__(self, net: Any) -> None:
        self._net = net

    def convolution(
        self, x: Any, inputs: int, outputs: int, kernel: int, stride: int = 1, *, bias: bool = True
    ) -> Any:
        return self._net.conv2d(x, outputs, kernel, strides=stride, padding=kernel // 2)

    def depthwise(self, x: Any, inputs: int, kernel: int, stride: int) -> Any:
        return self._net.depthwise_conv2d(x, kernel, strides=stride, padding=kernel // 2)

    def batch_norm(self, x: Any, inputs: int) -> Any:
        return self._net.batch_norm(x, epsilon=_EPSILON)

    def relu(self, x: Any) -> Any:
        return self._net.activation(x, "relu")

    def relu6(self, x: Any) -> Any:
        return self._net.activation(x, "relu6")

    def add(self, x: Any, y: Any) -> Any:
        return self._net.add(x, y)

    def max_pool(self, x: Any) -> Any:
        return self._net.max_pool2d(x, 2)

    def mean_of_image(self, x: Any) -> Any:
        return self._net.flatten(self._net.global_average_pool2d(x))

    def flatten(self, x: Any) -> Any:
        return self._net.flatten(x)

    def dropout(self, x: Any, rate: float) -> Any:
        return self._net.dropout(x, rate)

    def dense(self, x: Any, inputs: int, outputs: int) -> Any:
        return self._net.dense(x, outputs)


def mpscnn_trainer(case: Case, threads: int, precision: str = "float32") -> Any:
    """Return a `mpscnn.Trainer` for the network."""
    import mpscnn

    net = mpscnn.Network(input=case.shape)
    net.output(net.softmax(case.apply(_Ours(net), net.input)))
    net.initialize_weights(seed=0)
    optimizer = mpscnn.Adam(_ADAM_RATE) if case.adam else mpscnn.Sgd(_SGD_RATE, momentum=_MOMENTUM)
    return mpscnn.Trainer(net, optimizer=optimizer, threads=threads, precision=precision)


def mpscnn(case: Case, threads: int) -> Step:
    step: Step = mpscnn_trainer(case, threads).step
    return step


def mpscnn_bfloat16(case: Case, threads: int) -> Step:
    step: Step = mpscnn_trainer(case, threads, "bfloat16").step
    return step


# ---- PyTorch -------------------------------------------------------------------------------------------------


class _Torch:
    """Builds networks in PyTorch. Images and weights use the memory format channels_last."""

    def __init__(self) -> None:
        import torch

        def parameter(values: np.ndarray) -> Any:
            result = torch.from_numpy(values)
            if values.ndim == 4:
                result = result.contiguous(memory_format=torch.channels_last)
            return result.requires_grad_()

        self.weights = _Weights(parameter)
        self._running = _Weights(torch.from_numpy)
        self._functions = torch.nn.functional

    def begin(self) -> None:
        self.weights.begin()
        self._running.begin()

    def convolution(
        self, x: Any, inputs: int, outputs: int, kernel: int, stride: int = 1, *, bias: bool = True
    ) -> Any:
        weights = self.weights.normal((outputs, inputs, kernel, kernel), inputs * kernel**2)
        added = self.weights.full(outputs, 0) if bias else None
        return self._functions.conv2d(x, weights, added, stride, kernel // 2)

    def depthwise(self, x: Any, inputs: int, kernel: int, stride: int) -> Any:
        weights = self.weights.normal((inputs, 1, kernel, kernel), kernel**2)
        return self._functions.conv2d(x, weights, None, stride, kernel // 2, groups=inputs)

    def batch_norm(self, x: Any, inputs: int) -> Any:
        gamma, beta = self.weights.full(inputs, 1), self.weights.full(inputs, 0)
        running = self._running.full(inputs, 0), self._running.full(inputs, 1)
        return self._functions.batch_norm(x, *running, gamma, beta, True, 1 - _KEPT, _EPSILON)

    def relu(self, x: Any) -> Any:
        return self._functions.relu(x)

    def relu6(self, x: Any) -> Any:
        return self._functions.relu6(x)

    def add(self, x: Any, y: Any) -> Any:
        return x + y

    def max_pool(self, x: Any) -> Any:
        return self._functions.max_pool2d(x, 2)

    def mean_of_image(self, x: Any) -> Any:
        return self._functions.adaptive_avg_pool2d(x, 1).flatten(1)

    def flatten(self, x: Any) -> Any:
        return x.flatten(1)

    def dropout(self, x: Any, rate: float) -> Any:
        return self._functions.dropout(x, rate)

    def dense(self, x: Any, inputs: int, outputs: int) -> Any:
        return self._functions.linear(
            x, self.weights.normal((outputs, inputs), inputs), self.weights.full(outputs, 0)
        )


def torch(case: Case, threads: int, *, compiled: bool = False) -> Step:
    """Return a step of PyTorch: eager (or compiled), with channels last."""
    import torch

    torch.set_num_threads(threads)
    layers = _Torch()

    def apply(x: Any) -> Any:
        layers.begin()
        return case.apply(layers, x)

    def images(x: np.ndarray) -> Any:
        return torch.from_numpy(x).permute(0, 3, 1, 2)

    with torch.no_grad():
        apply(images(np.zeros((case.batch, *case.shape), np.float32)))  # the first run creates the weights
    values = layers.weights.values
    optimizer: Any = (
        torch.optim.Adam(values, _ADAM_RATE)
        if case.adam
        else torch.optim.SGD(values, _SGD_RATE, momentum=_MOMENTUM)
    )
    if compiled:
        apply = torch.compile(apply)

    def step(x: np.ndarray, y: np.ndarray) -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(apply(images(x)), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def torch_compile(case: Case, threads: int) -> Step:
    return torch(case, threads, compiled=True)


# ---- TensorFlow ----------------------------------------------------------------------------------------------


class _TensorFlow:
    def __init__(self) -> None:
        import tensorflow

        self._tf = tensorflow
        self.weights = _Weights(tensorflow.Variable)
        self._running = _Weights(lambda values: tensorflow.Variable(values, trainable=False))

    def begin(self) -> None:
        self.weights.begin()
        self._running.begin()

    def _padded(self, x: Any, kernel: int, stride: int) -> tuple[Any, str]:
        """Pad as the other engines do. With strides, TensorFlow's "SAME" would put less padding before an image."""
        if stride == 1:
            return x, "SAME"
        return self._tf.pad(x, [[0, 0], *[[kernel // 2, kernel // 2]] * 2, [0, 0]]), "VALID"

    def convolution(
        self, x: Any, inputs: int, outputs: int, kernel: int, stride: int = 1, *, bias: bool = True
    ) -> Any:
        weights = self.weights.normal((kernel, kernel, inputs, outputs), inputs * kernel**2)
        x, padding = self._padded(x, kernel, stride)
        x = self._tf.nn.conv2d(x, weights, stride, padding)
        return self._tf.nn.bias_add(x, self.weights.full(outputs, 0)) if bias else x

    def depthwise(self, x: Any, inputs: int, kernel: int, stride: int) -> Any:
        weights = self.weights.normal((kernel, kernel, inputs, 1), kernel**2)
        x, padding = self._padded(x, kernel, stride)
        return self._tf.nn.depthwise_conv2d(x, weights, [1, stride, stride, 1], padding)

    def batch_norm(self, x: Any, inputs: int) -> Any:
        gamma, beta = self.weights.full(inputs, 1), self.weights.full(inputs, 0)
        running = self._running.full(inputs, 0), self._running.full(inputs, 1)
        x, *statistics = self._tf.compat.v1.nn.fused_batch_norm(
            x, gamma, beta, epsilon=_EPSILON, is_training=True
        )
        for kept, new in zip(running, statistics, strict=True):
            kept.assign_sub((kept - new) * (1 - _KEPT))
        return x

    def relu(self, x: Any) -> Any:
        return self._tf.nn.relu(x)

    def relu6(self, x: Any) -> Any:
        return self._tf.nn.relu6(x)

    def add(self, x: Any, y: Any) -> Any:
        return x + y

    def max_pool(self, x: Any) -> Any:
        return self._tf.nn.max_pool2d(x, 2, 2, "VALID")

    def mean_of_image(self, x: Any) -> Any:
        return self._tf.reduce_mean(x, [1, 2])

    def flatten(self, x: Any) -> Any:
        return self._tf.reshape(x, [x.shape[0], -1])

    def dropout(self, x: Any, rate: float) -> Any:
        return self._tf.nn.dropout(x, rate)

    def dense(self, x: Any, inputs: int, outputs: int) -> Any:
        return x @ self.weights.normal((inputs, outputs), inputs) + self.weights.full(outputs, 0)


def tensorflow(case: Case, threads: int, *, compiled: bool = False) -> Step:
    """Return a step of TensorFlow: a graph (tf.function)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    layers = _TensorFlow()

    def apply(x: Any) -> Any:
        layers.begin()
        return case.apply(layers, x)

    apply(tensorflow.zeros((case.batch, *case.shape)))  # the first run creates the weights
    values = layers.weights.values
    optimizers = tensorflow.keras.optimizers
    optimizer = optimizers.Adam(_ADAM_RATE) if case.adam else optimizers.SGD(_SGD_RATE, momentum=_MOMENTUM)
    optimizer.build(values)

    @tensorflow.function(jit_compile=compiled)
    def step(x: Any, y: Any) -> Any:
        with tensorflow.GradientTape() as tape:
            losses = tensorflow.nn.sparse_softmax_cross_entropy_with_logits(y, apply(x))
            loss = tensorflow.reduce_mean(losses)
        optimizer.apply_gradients(zip(tape.gradient(loss, values), values, strict=True))
        return loss

    return lambda x, y: float(step(tensorflow.constant(x), tensorflow.constant(y)))


def tensorflow_xla(case: Case, threads: int) -> Step:
    return tensorflow(case, threads, compiled=True)


# ---- JAX -----------------------------------------------------------------------------------------------------


class _Jax:
    """Builds networks in JAX as pure functions: `kept` gets the new running statistics, `running` stays unchanged."""

    def __init__(self, weights: _Weights, running: _Weights, key: Any) -> None:
        self.weights, self.running, self._key = weights, running, key
        self.kept: list[Any] = []

    def _convolved(self, x: Any, weights: Any, kernel: int, stride: int, groups: int) -> Any:
        from jax import lax

        return lax.conv_general_dilated(
            x,
            weights,
            (stride, stride),
            [(kernel // 2, kernel // 2)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )

    def convolution(
        self, x: Any, inputs: int, outputs: int, kernel: int, stride: int = 1, *, bias: bool = True
    ) -> Any:
        weights = self.weights.normal((kernel, kernel, inputs, outputs), inputs * kernel**2)
        x = self._convolved(x, weights, kernel, stride, 1)
        return x + self.weights.full(outputs, 0) if bias else x

    def depthwise(self, x: Any, inputs: int, kernel: int, stride: int) -> Any:
        weights = self.weights.normal((kernel, kernel, 1, inputs), kernel**2)
        return self._convolved(x, weights, kernel, stride, inputs)

    def batch_norm(self, x: Any, inputs: int) -> Any:
        from jax import lax

        gamma, beta = self.weights.full(inputs, 1), self.weights.full(inputs, 0)
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        for new, before in (
            (mean, self.running.full(inputs, 0)),
            (variance, self.running.full(inputs, 1)),
        ):
            self.kept.append(before - (before - new) * (1 - _KEPT))
        return (x - mean) * (gamma * lax.rsqrt(variance + _EPSILON)) + beta

    def relu(self, x: Any) -> Any:
        return x.clip(min=0)

    def relu6(self, x: Any) -> Any:
        return x.clip(0, 6)

    def add(self, x: Any, y: Any) -> Any:
        return x + y

    def max_pool(self, x: Any) -> Any:
        from jax import lax

        return lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def mean_of_image(self, x: Any) -> Any:
        return x.mean((1, 2))

    def flatten(self, x: Any) -> Any:
        return x.reshape(x.shape[0], -1)

    def dropout(self, x: Any, rate: float) -> Any:
        import jax

        self._key, key = jax.random.split(self._key)
        return x * jax.random.bernoulli(key, 1 - rate, x.shape) / (1 - rate)

    def dense(self, x: Any, inputs: int, outputs: int) -> Any:
        return x @ self.weights.normal((inputs, outputs), inputs) + self.weights.full(outputs, 0)


def jax(case: Case, threads: int) -> Step:
    """Return a compiled step of JAX with optax. JAX uses one thread for each core of the process."""
    import jax
    import optax

    weights, running = _Weights(lambda values: values), _Weights(lambda values: values)

    def apply(values: Any, statistics: Any, key: Any, x: Any) -> tuple[Any, Any]:
        weights.values, running.values = values, statistics
        weights.begin()
        running.begin()
        layers = _Jax(weights, running, key)
        return case.apply(layers, x), layers.kept

    key = jax.random.key(0)
    apply([], [], key, jax.numpy.zeros((case.batch, *case.shape)))  # the first run creates the weights
    optimizer = optax.adam(_ADAM_RATE) if case.adam else optax.sgd(_SGD_RATE, momentum=_MOMENTUM)
    state: Any = (weights.values, running.values, optimizer.init(weights.values), key)
    state = jax.tree.map(jax.numpy.asarray, state)

    def loss_of(values: Any, statistics: Any, key: Any, x: Any, y: Any) -> tuple[Any, Any]:
        result, kept = apply(values, statistics, key, x)
        return optax.softmax_cross_entropy_with_integer_labels(result, y).mean(), kept

    def change(state: Any, x: Any, y: Any) -> tuple[Any, Any]:
        values, statistics, moments, key = state
        key, own = jax.random.split(key)
        (loss, kept), gradients = jax.value_and_grad(loss_of, has_aux=True)(values, statistics, own, x, y)
        updates, moments = optimizer.update(gradients, moments, values)
        return (optax.apply_updates(values, updates), kept, moments, key), loss

    changed = jax.jit(change, donate_argnums=0)

    def step(x: np.ndarray, y: np.ndarray) -> float:
        nonlocal state
        state, loss = changed(state, x, y)
        jax.block_until_ready(state)
        return float(loss)

    return step


# ---- MNN -----------------------------------------------------------------------------------------------------


class _Mnn:
    """Builds networks in MNN, whose layers create their weights themselves."""

    def __init__(self, module: Any) -> None:
        import MNN

        self._nn, self._expr, self._module = MNN.nn, MNN.expr, module
        self._layers: list[Any] = []
        self._next = 0

    def begin(self) -> None:
        self._next = 0

    def _layer(self, make: Callable[[], Any]) -> Any:
        self._next += 1
        if self._next > len(self._layers):
            self._layers.append(make())
            setattr(self._module, f"layer{self._next}", self._layers[-1])
        return self._layers[self._next - 1]

    def _convolved(self, x: Any, *settings: Any) -> Any:
        inputs, outputs, kernel, stride, depthwise, bias = settings
        same = self._expr.Padding_Mode.SAME  # with this mode the explicit padding below is ignored
        sizes = [kernel] * 2, [stride] * 2, [0, 0], [1, 1]
        return self._layer(lambda: self._nn.conv(inputs, outputs, *sizes, depthwise, bias, same))(x)

    def convolution(
        self, x: Any, inputs: int, outputs: int, kernel: int, stride: int = 1, *, bias: bool = True
    ) -> Any:
        return self._convolved(x, inputs, outputs, kernel, stride, False, bias)

    def depthwise(self, x: Any, inputs: int, kernel: int, stride: int) -> Any:
        return self._convolved(x, inputs, inputs, kernel, stride, True, False)

    def batch_norm(self, x: Any, inputs: int) -> Any:
        return self._layer(lambda: self._nn.batch_norm(inputs, 4, 1 - _KEPT, _EPSILON))(x)

    def relu(self, x: Any) -> Any:
        return self._expr.relu(x)

    def relu6(self, x: Any) -> Any:
        return self._expr.relu6(x)

    def add(self, x: Any, y: Any) -> Any:
        return x + y

    def max_pool(self, x: Any) -> Any:
        return self._expr.max_pool(x, [2, 2], [2, 2])

    def mean_of_image(self, x: Any) -> Any:
        return self.flatten(self._expr.reduce_mean(x, [2, 3], True))

    def flatten(self, x: Any) -> Any:
        x = self._expr.convert(x, self._expr.NCHW)
        return self._expr.reshape(x, [x.shape[0], -1])

    def dropout(self, x: Any, rate: float) -> Any:
        return self._layer(lambda: self._nn.dropout(rate))(x)

    def dense(self, x: Any, inputs: int, outputs: int) -> Any:
        return self._layer(lambda: self._nn.linear(inputs, outputs))(x)


def mnn(case: Case, threads: int) -> Step:
    """Return a step of MNN in deferred mode (lazy_eval), without which its weights would not change."""
    import MNN

    expr = MNN.expr
    expr.lazy_eval(True)
    expr.set_thread_number(threads)

    class Network(MNN.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._own = _Mnn(self)

        def forward(self, x: Any) -> Any:
            self._own.begin()
            return expr.softmax(case.apply(self._own, expr.convert(x, expr.NC4HW4)), 1)

    network = Network()

    def images(x: np.ndarray) -> Any:
        planes = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        return expr.const(planes, list(planes.shape), expr.NCHW)

    # The first run creates the weights.
    network.forward(images(np.zeros((case.batch, *case.shape), np.float32)))
    optimizer = (
        MNN.optim.ADAM(network, _ADAM_RATE) if case.adam else MNN.optim.SGD(network, _SGD_RATE, _MOMENTUM)
    )
    network.train(True)

    def step(x: np.ndarray, y: np.ndarray) -> float:
        target = np.eye(case.classes, dtype=np.float32)[y]
        labels = expr.const(target, list(target.shape), expr.NCHW)
        loss = MNN.nn.loss.cross_entropy(network.forward(images(x)), labels)
        value = float(loss.read())
        optimizer.step(loss)
        return value

    return step


ENGINES: dict[str, Callable[[Case, int], Step]] = {
    engine.__name__: engine
    for engine in (mpscnn, mpscnn_bfloat16, torch, torch_compile, tensorflow, tensorflow_xla, jax, mnn)
}
