"""Samples of Core AI's operations that have settings, written by Apple's package and computed by torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import agreement
import numpy as np
import pytest
from converters.setting_samples import Sample, settings_of
from numpy.typing import NDArray

import mpscnn
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.coreai.asset import open_asset
from mpscnn.converters.reading.coreai.operators import ROWS
from mpscnn.converters.reading.coreai.program import decode
from mpscnn.converters.reading.coreai.reader import convert

Array = NDArray[Any]
_DRAW = np.random.default_rng(12)
_X = _DRAW.uniform(-1, 1, (1, 4, 8, 6)).astype(np.float32)
_W = _DRAW.uniform(-1, 1, (6, 2, 3, 2)).astype(np.float32)
_BACK = _DRAW.uniform(-1, 1, (4, 3, 3, 2)).astype(np.float32)


class Case(NamedTuple):
    """An operation.

    Attributes:
        kind: the key of the row.
        stated: its settings.
        make: returns the operation of a program. It is called with Apple's package, the image and the settings.
        compute: returns the result. It is called with torch, the image as a tensor and the settings.
    """

    kind: str
    stated: Mapping[str, Any]
    make: Callable[..., Any]
    compute: Callable[..., Any]


def _unsigned(values: Any) -> Array:
    if np.any(np.asarray(values) < 0):
        raise LookupError("an unsigned number below 0")
    return np.array(values, np.uint32)


def _signed(values: Any) -> Array:
    return np.array(values, np.int32)


def _padded(torch: Any, x: Any, *, padding: list[int], padding_value: float, padding_mode: str) -> Any:
    amounts = [(padding[2 * axis], padding[2 * axis + 1]) for axis in range(4)]
    if padding_mode == "constant":
        made = np.pad(x.numpy(), amounts, constant_values=padding_value)
    else:
        modes = {"replicate": "edge", "circular": "wrap"}
        made = np.pad(x.numpy(), amounts, modes.get(padding_mode, padding_mode))
    return torch.from_numpy(made)


def _convolved(torch: Any, x: Any, *, stride: list[int], dilation: list[int], groups: int) -> Any:
    return torch.nn.functional.conv2d(x, torch.from_numpy(_W), None, stride, 0, dilation, groups)


def _convolved_back(torch: Any, x: Any, **settings: Any) -> Any:
    names = ("stride", "padding", "output_pad", "groups", "dilation")
    return torch.nn.functional.conv_transpose2d(
        x, torch.from_numpy(_BACK), None, *(settings[name] for name in names)
    )


def _summed(torch: Any, x: Any, *, kernel_size: list[int], strides: list[int], dilation: list[int]) -> Any:
    ones = torch.ones((4, 1, *kernel_size), dtype=x.dtype)
    return torch.nn.functional.conv2d(x, ones, None, strides, 0, dilation, 4)


def _taken(torch: Any, x: Any, *, axes: list[int], function: str) -> Any:
    made = x
    for axis in axes:
        made = getattr(torch, function)(made, axis, keepdim=True)
        made = made if isinstance(made, torch.Tensor) else made.values
    return made


def _scanned(torch: Any, x: Any, *, scan_op: str, axis: int, reverse: bool) -> Any:
    names = {"sum": "cumsum", "product": "cumprod", "min": "cummin", "max": "cummax"}
    found = getattr(torch, names[scan_op])(x.flip(axis) if reverse else x, axis)
    found = found if isinstance(found, torch.Tensor) else found.values
    return found.flip(axis) if reverse else found


CASES: dict[str, Case] = {
    "conv2d": Case(
        "conv2d",
        {"stride": [1, 2], "dilation": [2, 1], "groups": 2},
        lambda ai, x, stride, dilation, groups: ai.conv2d(
            x, _constant(_W), _unsigned(stride), _unsigned(dilation), _unsigned(groups)
        ),
        _convolved,
    ),
    "conv_transpose2d": Case(
        "conv_transpose2d",
        {"stride": [3, 2], "padding": [1, 0], "dilation": [1, 2], "output_pad": [1, 0], "groups": 2},
        lambda ai, x, stride, padding, dilation, output_pad, groups: ai.conv_transpose2d(
            x, _constant(_BACK), *map(_unsigned, (stride, padding, dilation, output_pad)), _unsigned(groups)
        ),
        _convolved_back,
    ),
    "sum_pool_2d": Case(
        "sum_pool_2d",
        {"kernel_size": [2, 3], "strides": [2, 1], "dilation": [1, 1]},
        lambda ai, x, kernel_size, strides, dilation: ai.sumpool2d(
            x, *(_constant(_unsigned(one)) for one in (kernel_size, strides, dilation))
        ),
        _summed,
    ),
    "pad": Case(
        "pad",
        {"padding": [0, 0, 0, 0, 1, 2, 0, 1], "padding_value": 0.5, "padding_mode": "constant"},
        lambda ai, x, padding, padding_value, padding_mode: ai.pad(
            x, _unsigned(padding), np.float32(padding_value), padding_mode
        ),
        _padded,
    ),
    "softmax": Case(
        "softmax",
        {"axis": 1},
        lambda ai, x, axis: ai.softmax(x, _signed(axis)),
        lambda torch, x, axis: torch.softmax(x, axis),
    ),
    "sort": Case(
        "sort",
        {"dim": 3, "descending": True, "stable": True},
        lambda ai, x, dim, descending, stable: ai.sort(
            x, _signed(dim), np.array(descending), np.array(stable)
        ),
        lambda torch, x, dim, descending, stable: torch.sort(x, dim, descending).values,
    ),
    "argmax": Case(
        "argmax",
        {"axis": 1},
        lambda ai, x, axis: ai.cast(ai.argmax(x, _signed(axis)), np.float32),
        lambda torch, x, axis: torch.argmax(x, axis, keepdim=True).float(),
    ),
    **{
        f"reduce_{name}": Case(
            f"reduce_{name}",
            {"axes": [2, 3]},
            lambda ai, x, axes, kind=f"reduce_{name}": getattr(ai, kind)(x, _signed(axes)),
            lambda torch, x, axes, function=function: _taken(torch, x, axes=axes, function=function),
        )
        for name, function in (
            ("mean", "mean"),
            ("sum", "sum"),
            ("product", "prod"),
            ("max", "max"),
            ("min", "min"),
        )
    },
    "transpose": Case(
        "transpose",
        {"permutation": [0, 3, 1, 2]},
        lambda ai, x, permutation: ai.reshape(
            ai.transpose(x, _unsigned(permutation)), _unsigned([1, _X.size])
        ),
        lambda torch, x, permutation: x.permute(permutation).reshape(1, -1),
    ),
    "tile": Case(
        "tile",
        {"dims": [1, 2, 1, 3]},
        lambda ai, x, dims: ai.tile(x, _unsigned(dims)),
        lambda torch, x, dims: x.tile(dims),
    ),
    "split": Case(
        "split",
        {"sizes": [1, 3], "dim": 1},
        lambda ai, x, sizes, dim: ai.split(x, _unsigned(sizes), _signed(dim))[1],
        lambda torch, x, sizes, dim: torch.split(x, sizes, dim)[1],
    ),
    "gelu": Case(
        "gelu",
        {"approximate": "none"},
        lambda ai, x, approximate: ai.gelu(x, approximate=approximate),
        lambda torch, x, approximate: (
            x * torch.sigmoid(1.702 * x)
            if approximate == "sigmoid"
            else torch.nn.functional.gelu(x, approximate=approximate)
        ),
    ),
    "scan": Case(
        "scan",
        {"scan_op": "sum", "axis": 2, "reverse": True},
        lambda ai, x, scan_op, axis, reverse: ai.scan(x, _unsigned(axis), np.array(reverse), scan_op),
        _scanned,
    ),
}


def _constant(values: Any) -> Any:
    from coreai.authoring.constant import constant

    return constant(values)


def coreai_samples(folder: Path) -> Iterator[Sample]:
    """Yield operations as assets. Apple's parser runs in this process, since the assets are its own."""
    pytest.importorskip("coreai.authoring", reason="coreai-core is not installed")
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    from converters.coreai.test_coreai_read import ai
    from converters.coreai.test_coreai_read import write as write_asset
    from coreai._compiler._mlir_libs._coreaiIR._bindings.compiler import load_module_from_bytecode
    from coreai.authoring.context import Context

    from mpscnn.converters.reading.coreai.extraction import Extraction

    path, context = folder / "one.aimodel", Context()._mlir_context

    def read(made: tuple[Path, Any]) -> mpscnn.Network:
        module = load_module_from_bytecode(context=context, path=made[0] / "main.mlirb")
        graphs = decode(Extraction(module).result(), path.name)
        return convert(open_asset(made[0]), graphs, ReadOptions("one"))

    def ours(made: tuple[Path, Any]) -> list[Array]:
        network = read(made)
        is_image = network.inputs[0].shape[-1] == _X.shape[1]  # whose channels are last here
        given = np.ascontiguousarray(_X.transpose(0, 2, 3, 1)) if is_image else _X
        (found,) = agreement.results(network, given)
        return [found.transpose(0, 3, 1, 2) if found.ndim == 4 else found]

    def theirs(made: tuple[Path, Any]) -> list[Array]:
        return [made[1]]

    for name, case in CASES.items():
        row = ROWS[case.kind]
        assert case.stated.keys() <= settings_of(row).keys(), name

        def write(settings: Mapping[str, Any], case: Case = case) -> tuple[Path, Any]:
            try:
                wanted = case.compute(torch, torch.from_numpy(_X), **settings).numpy()

                def body(x: Any) -> Any:
                    return case.make(ai, x, **settings)

                made = write_asset(path, body, [ai.TensorType(_X.shape, np.float32)], [wanted.shape])
            except LookupError:
                raise
            except Exception as error:  # one of both engines refuses it
                raise LookupError(str(error)) from None
            return made, wanted

        yield Sample(name, row, case.stated, write, read, ours, theirs)
