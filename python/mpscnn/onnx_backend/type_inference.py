"""Infer the types of a model's outputs by the package onnx, whose native code crashes on some hostile models.

So it runs in a confined process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mpscnn._private.confined import Limits, run_confined
from mpscnn.errors import UnsupportedError, WeightsError

if TYPE_CHECKING:
    import onnx

# These hold for a model of any size and for each of its bytes. The package takes some 100 MiB.
_MEMORY, _MEMORY_PER_BYTE = 400 << 20, 8
_SECONDS, _SECONDS_PER_BYTE, _WALL = 5.0, 1e-7, 30.0


def with_inferred_types(model: onnx.ModelProto, title: str) -> onnx.ModelProto:
    """Return the model with the types of all results that onnx can infer.

    Raises WeightsError with `title` if the model is damaged, and UnsupportedError if the inference crashes.
    """
    import onnx

    content = model.SerializeToString()
    seconds = _SECONDS + _SECONDS_PER_BYTE * len(content)
    limits = Limits(_MEMORY + _MEMORY_PER_BYTE * len(content), seconds, _WALL + 2 * seconds)
    try:
        return onnx.load_from_string(run_confined(f"{__name__}:prepare", content, limits))
    except WeightsError as error:
        raise WeightsError(f"damaged: {title}: {error}") from error
    except UnsupportedError as error:
        raise UnsupportedError(f"{title}: onnx cannot infer the types of its outputs: {error}") from error


def reason_of(error: Exception) -> str:
    """Return the text of an error of the package onnx.

    onnx puts names of the model into its messages, which Python decodes. If it cannot, it raises an error of its own,
    or onnx' error without a message.
    """
    undecoded = isinstance(error, UnicodeDecodeError) or not str(error)
    return "a name is not UTF-8" if undecoded else str(error)


def prepare() -> Callable[[bytes], bytes]:
    """Import onnx, and return the function that infers the types of a model's bytes."""
    import onnx
    import onnx.shape_inference

    def answer(content: bytes) -> bytes:
        try:
            made: bytes = onnx.shape_inference.infer_shapes(
                onnx.load_from_string(content)
            ).SerializeToString()
        except (RuntimeError, ValueError) as error:
            raise WeightsError(reason_of(error)) from error
        return made

    return answer
