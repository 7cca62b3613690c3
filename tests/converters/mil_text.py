"""Write programs as text in compiled models, with types in both forms that Core ML's compiler writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from converters.coreml_writer import Program
from numpy.typing import NDArray

_NAMES = {2: "string", 1: "bool", 10: "fp16", 11: "fp32", 12: "fp64", 21: "int8", 23: "int32", 31: "uint8"}


def compiled(made: Program, folder: Path, *, new: bool, inputs: Sequence[dict[str, Any]] = ()) -> Path:
    """Write a compiled model, and return its folder.

    Args:
        made: the program.
        folder: the folder to make.
        new: whether a scalar's type is the name of its elements, as from iOS 18 on.
        inputs: the descriptions of the inputs in metadata.json.
    """
    (folder / "weights").mkdir(parents=True)
    (folder / "model.mil").write_text(text_of(made, new=new))
    (folder / "weights" / "weight.bin").write_bytes(made.blobs)
    (folder / "metadata.json").write_text(json.dumps([{"inputSchema": list(inputs)}]))
    return folder


def text_of(made: Program, *, new: bool) -> str:
    text = "string" if new else "tensor<string, []>"
    given = ", ".join(f"{_type(one.type, new)} {one.name}" for one in made.function.inputs)
    lines = [
        "program(1.3)" if new else "program(1.0)",
        f'[buildInfo = dict<{text}, {text}>({{{{"coremlc-component-MIL", "3402.3.2"}}, {{"other", ""}}}})]',
        "{",
        f"    func main<ios16>({given}) {{",
    ]
    lines += [f"            {_operation(one, new)}" for one in made.block.operations]
    lines += [f"        }} -> ({', '.join(made.block.outputs)});", "}"]
    return "\n".join(lines) + "\n"


def _type(kind: Any, new: bool) -> str:
    if kind.HasField("listType"):
        return f"list<{'string' if new else 'tensor<string, []>'}, ?>"
    tensor = kind.tensorType
    if not tensor.dataType:  # the tests' programs leave out the types of results
        return "tensor<fp32, [?]>"
    name = _NAMES[tensor.dataType]
    if new and not tensor.dimensions:
        return name
    extents = [str(one.constant.size) if one.HasField("constant") else "?" for one in tensor.dimensions]
    return f"tensor<{name}, [{', '.join(extents)}]>"


def _operation(message: Any, new: bool) -> str:
    results = ", ".join(f"{_type(one.type, new)} {one.name}" for one in message.outputs)
    operands = []
    for entry in message.inputs:
        listed = [one.name or _value(one.value, new) for one in entry.value.arguments]
        operands.append(f"{entry.key} = {listed[0] if len(listed) == 1 else '(' + ', '.join(listed) + ')'}")
    attributes = [f"{one.key} = {_value(one.value, new)}" for one in message.attributes]
    named = f"name = {_text(message.outputs[0].name, new)}"
    return f"{results} = {message.type}({', '.join(operands)})[{', '.join([named, *attributes])}];"


def _text(text: str, new: bool) -> str:
    return f"{'string' if new else 'tensor<string, []>'}({json.dumps(text)})"


def _value(message: Any, new: bool) -> str:
    if message.HasField("blobFileValue"):
        blob = message.blobFileValue
        number = f"{'uint64' if new else 'tensor<uint64, []>'}({blob.offset})"
        return f"{_type(message.type, new)}(BLOBFILE(path = {_text(blob.fileName, new)}, offset = {number}))"
    if message.type.HasField("listType"):
        texts = [one.immediateValue.tensor.strings.values[0] for one in message.immediateValue.list.values]
        kind = f"list<{'string' if new else 'tensor<string, []>'}, {len(texts)}>"
        return f"{kind}([{', '.join(map(json.dumps, texts))}])"
    tensor, held = message.type.tensorType, message.immediateValue.tensor
    shape = [int(one.constant.size) for one in tensor.dimensions]
    name = _NAMES[tensor.dataType]
    values: list[Any]
    if name == "string":
        values = [json.dumps(one) for one in held.strings.values]
    elif held.HasField("bytes"):
        values = np.frombuffer(held.bytes.values, np.int8 if name == "int8" else np.uint8).tolist()
    elif held.HasField("floats"):
        values = [float(one).hex() for one in held.floats.values]
    elif held.HasField("bools"):
        values = ["true" if one else "false" for one in held.bools.values]
    else:
        values = list(held.ints.values)
    return f"{_type(message.type, new)}({_nested(np.array([str(one) for one in values]).reshape(shape))})"


def _nested(values: NDArray[Any]) -> str:
    if values.ndim == 0:
        return str(values)
    return f"[{', '.join(map(_nested, values))}]" if values.ndim > 1 else f"[{', '.join(values.tolist())}]"
