"""Draw small files of TensorFlow Lite, Keras and Caffe with one layer each, whose operands and settings are extreme."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from google.protobuf.text_format import MessageToString

from mpscnn.converters.reading.caffe.layers import ROWS as CAFFE
from mpscnn.converters.reading.caffe.schema import parameter_name
from mpscnn.converters.reading.keras.layers import ROWS as KERAS
from mpscnn.converters.reading.tflite.names import operator_name
from mpscnn.converters.reading.tflite.operators import ROWS

sys.path.append(str(Path(__file__).parent.parent))
from converters import caffe_writer, keras_writer  # type: ignore[import-not-found]
from converters.protobuf_messages import caffe_net
from converters.tflite_writer import OPTIONS, Operator, Tensor, constant, write_tflite  # type: ignore[import-not-found]

_INTEGERS = (0, 1, 1, 2, 3, 4, -1, 1 << 13, 1 << 20, (1 << 31) - 1)
_FLOATS = (0.0, 0.5, 1e38, -1.0)
_IMAGES = (
    (1, 8, 8, 4),
    (1, 1 << 12, 1 << 12, 3),
    (1, 4),
    (1, 1 << 24),
    (1, 1, 1 << 13, 1 << 11),
    (1, 1 << 13, 1 << 13),
)
_WEIGHTS = ((4,), (1, 3, 3, 4), (4, 4), (8, 1, 1, 4), (3, 3, 4, 4))
_SETTINGS = """axis axes filters units kernel_size strides dilation_rate pool_size groups depth_multiplier size padding
    cropping n dims target_shape height width num_heads key_dim input_dim output_dim rate negative_slope alpha max_value
    output_size epsilon use_bias scale center return_sequences output_padding keepdims factor"""


def _integers(random: Random) -> list[int]:
    return [random.choice(_INTEGERS) for _ in range(random.choice((1, 2, 3, 4)))]


def _small(random: Random) -> Any:
    return np.full(random.choice(_WEIGHTS), 0.5, np.float32)


# ---- TensorFlow Lite -----------------------------------------------------------------------------------------------


def draw_tflite(kind: str, random: Random) -> bytes:
    """Return a file with an operator of a kind, and a ReLU after it."""
    shape = random.choice(_IMAGES)
    tensors, inputs = [Tensor("x", shape)], [0] if random.random() < 0.9 else []
    for place in range(random.choice((0, 1, 1, 2, 2, 3))):
        form = random.choice(("image", "integers", "integer", "weights"))
        inputs.append(0 if form == "image" else len(tensors))
        if form == "integers":
            tensors.append(constant(f"c{place}", _integers(random), "int32"))
        elif form == "integer":
            tensors.append(constant(f"c{place}", random.choice(_INTEGERS), "int32"))
        elif form == "weights":
            tensors.append(constant(f"c{place}", _small(random)))
    result = tuple(random.choice((shape, random.choice(_IMAGES), tuple(map(abs, _integers(random))))))
    tensors += [Tensor("made", result), Tensor("y", result)]
    fields = [(place, "Int32", random.choice(_INTEGERS)) for place in range(random.choice((0, 2, 6)))]
    code = next(number for number in range(256) if operator_name(number) == kind)
    made, y = len(tensors) - 2, len(tensors) - 1
    operators = [Operator(code, inputs, [made], OPTIONS.get(kind, 0), fields), Operator(19, [made], [y])]
    return bytes(write_tflite(tensors, operators, [0], [y]))


def tflite_draws(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` files of TensorFlow Lite for each operator, with their names."""
    codes = set(map(operator_name, range(256)))
    for kind in sorted(codes.intersection(ROWS)):
        for number in range(count):
            yield f"{kind}-{seed}-{number}", draw_tflite(kind, Random(f"{kind}/{seed}/{number}"))


# ---- Keras ---------------------------------------------------------------------------------------------------------


def draw_keras(kind: str, random: Random) -> bytes:
    """Return a file with a layer of a kind, and a ReLU after it."""
    names = _SETTINGS.split()
    settings: dict[str, Any] = {}
    for name in random.sample(names, random.choice((4, 12, len(names)))):
        forms = (
            random.choice(_INTEGERS),
            random.choice(_FLOATS),
            _integers(random),
            random.choice(("same", "valid")),
        )
        settings[name] = random.choice(forms[:3] if name != "padding" else forms)
    weights = {f"w{place}": _small(random) for place in range(random.choice((0, 1, 2, 3)))}
    layers = [
        keras_writer.image(*random.choice(_IMAGES)[1:]),
        keras_writer.layer(kind, "extreme", *["image"] * random.choice((1, 1, 1, 2)), **settings),
        keras_writer.layer("ReLU", "result", "extreme"),
    ]
    file = io.BytesIO()
    keras_writer.write_h5(file, keras_writer.functional(layers), {"extreme": weights} if weights else {})
    return file.getvalue()


def keras_draws(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` files of Keras for each layer, with their names."""
    for kind in sorted(KERAS):
        for number in range(count):
            yield f"{kind}-{seed}-{number}", draw_keras(kind, Random(f"{kind}/{seed}/{number}"))


# ---- Caffe ---------------------------------------------------------------------------------------------------------


def draw_caffe(kind: str, random: Random) -> bytes:
    """Return the text of a network with a layer of a kind, and a ReLU after it."""
    layer = caffe_net()().layer.add(name="extreme", type=kind, bottom=["data"] * random.choice((1, 1, 1, 2)))
    layer.top.append("extreme")
    if parameter_name(kind) in layer.DESCRIPTOR.fields_by_name:
        _fill(getattr(layer, parameter_name(kind)), random)
    text = caffe_writer.image(*random.choice(_IMAGES)) + f"layer {{ {MessageToString(layer)} }}"
    return (text + caffe_writer.layer("ReLU", "result", "extreme")).encode()


def _fill(message: Any, random: Random) -> None:
    """Set fields of a message to extreme numbers."""
    for field in message.DESCRIPTOR.fields:
        if random.random() < 0.4 or field.cpp_type == field.CPPTYPE_STRING:
            continue
        if field.message_type is not None:
            _fill(
                getattr(message, field.name).add() if field.is_repeated else getattr(message, field.name),
                random,
            )
            continue
        whole = field.cpp_type not in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE, field.CPPTYPE_BOOL)
        numbers = [random.choice(_INTEGERS if whole else _FLOATS) for _ in range(random.choice((1, 2, 3)))]
        if field.cpp_type in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64):
            numbers = list(map(abs, numbers))
        if field.is_repeated:
            getattr(message, field.name).extend(numbers)
        else:
            setattr(
                message, field.name, bool(numbers[0]) if field.cpp_type == field.CPPTYPE_BOOL else numbers[0]
            )


def caffe_draws(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` networks of Caffe for each layer, with their names."""
    for kind in sorted(CAFFE):
        for number in range(count):
            yield f"{kind}-{seed}-{number}", draw_caffe(kind, Random(f"{kind}/{seed}/{number}"))
