"""Find the operation of a module that combines or reorders the images of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.layer_names import quote_name

Array = NDArray[Any]

_FACTOR, _OFFSET = 0.5, 0.25
_SMALL, _LARGE = 1e-3, 1e4
_TWO = 2  # the number of small images
#: Operators whose results are whatever the memory has, and so would differ from run to run.
_WITHOUT_NUMBERS = ("empty", "new_empty")
_ROUNDING = 1e-5  # the largest change of a result for rounding, as a share of the largest number


def other_image(image: Any) -> Any:
    """Return another image of the same shape, whose numbers are likely to be valid for the module, too.

    Floating-point numbers between 0 and 1 or between -1 and 1 stay in this range. Other numbers are reordered.
    """
    reversed_ = image.flip(list(range(image.dim())))
    return reversed_ * _FACTOR + _OFFSET if image.is_floating_point() else reversed_


def first_images(inputs: Sequence[Any], has_batch: Sequence[bool]) -> list[Any] | None:
    """Return the inputs with the first image of their batch; None if no input has a batch, or if the batches differ."""
    batches = {tensor.shape[0] for tensor, batched in zip(inputs, has_batch, strict=True) if batched}
    if len(batches) != 1 or 0 in batches:
        return None
    return [tensor[:1] if batched else tensor for tensor, batched in zip(inputs, has_batch, strict=True)]


def with_other_images(inputs: Sequence[Any], has_batch: Sequence[bool], count: int) -> list[Any]:
    """Return example inputs of one image with other images after it, so that their batch is `count`.

    Args:
        inputs: the example inputs.
        has_batch: for each input, whether its first axis is the batch. Other inputs are the same for all images.
        count: the number of images.
    """
    import torch

    made = []
    for tensor, batched in zip(inputs, has_batch, strict=True):
        images = list(accumulate(range(count - 1), lambda image, _: other_image(image), initial=tensor))
        made.append(torch.cat(images) if batched else tensor)
    return made


def changes_first_image(
    run: Callable[[Sequence[Any]], list[Array]],
    batch: Sequence[Any],
    has_batch: Sequence[bool],
    alone: list[Array],
    together: list[Array],
) -> bool:
    """Return True if the result of the first image changes when the other images get large numbers of both signs.

    A limit or a condition can hide that images of usual numbers change each other, as in x / x.max().clamp(min=5). So
    this compares the results for the images of `batch`, and for two small ones.

    Args:
        run: computes the module's results.
        batch: inputs with a batch of images.
        has_batch: as for `with_other_images`.
        alone: the results for one image.
        together: the results for `batch`.
    """
    small = [
        (tensor[:_TWO] if batched else tensor) * (_SMALL if tensor.is_floating_point() else 1)
        for tensor, batched in zip(batch, has_batch, strict=True)
    ]
    return _changes(batch, together, run, has_batch, alone) or _changes(
        small, run(small), run, has_batch, alone
    )


def _changes(
    batch: Sequence[Any],
    results: list[Array],
    run: Callable[[Sequence[Any]], list[Array]],
    has_batch: Sequence[bool],
    alone: list[Array],
) -> bool:
    """Return True if the result of the first image of a batch, which has `results`, changes."""
    count = next(len(tensor) for tensor, batched in zip(batch, has_batch, strict=True) if batched)
    extreme = run(_with_large_images(batch, has_batch))
    for one, before, after in zip(alone, results, extreme, strict=True):
        parts = [results_of_images(result, one, count) for result in (before, after)]
        if None not in parts and not _is_kept(*(part[0] for part in parts if part is not None)):
            return True
    return False


def _with_large_images(inputs: Sequence[Any], has_batch: Sequence[bool]) -> list[Any]:
    """Return inputs whose images after the first one are random numbers from -10,000 to 10,000."""
    import torch

    generator = torch.Generator().manual_seed(0)
    made = []
    for tensor, batched in zip(inputs, has_batch, strict=True):
        given = tensor.clone()
        if batched and tensor.is_floating_point():
            given[1:] = (torch.rand(given[1:].shape, generator=generator) * 2.0 - 1.0) * _LARGE
        made.append(given)
    return made


def _is_kept(before: Array, after: Array) -> bool:
    largest = np.abs(before[np.isfinite(before)]).max(initial=0.0)
    return bool(np.allclose(before, after, rtol=0.0, atol=_ROUNDING * largest, equal_nan=True))


def results_of_images(together: Array, alone: Array, count: int) -> list[Array] | None:
    """Return the result for each image of a batch, with the shape of the result for one image.

    Args:
        together: the result for a batch of `count` images.
        alone: the result for one image. The batch may be any of its axes, or a module may have removed it.
        count: the number of images.

    Returns None if no axis of `together` has the results of the images one after another.
    """
    if together.size == alone.size:
        return [together.reshape(alone.shape)] * count
    splits = [
        np.split(together, count, axis) for axis, extent in enumerate(together.shape) if extent % count == 0
    ]
    for form in (tuple, _without_ones):
        for parts in splits:
            if form(parts[0].shape) == form(alone.shape):
                return [part.reshape(alone.shape) for part in parts]
    return None


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(extent for extent in shape if extent != 1)


def find_mixing(module: Any, inputs: Sequence[Any], has_batch: Sequence[bool]) -> str | None:
    """Return the operation that combines or reorders images, and the layer in which it is; None if none is found.

    Each image in turn is changed, while the others stay. An operation combines images if an element of its result
    changes for two of them. It reorders them if elements of a later image come first, or if one image is left out.

    Args:
        module: the module in inference mode.
        inputs: inputs with a batch of different images.
        has_batch: as for `with_other_images`.
    """
    import torch

    try:
        graph = torch.export.export(module, tuple(inputs)).module()
    except Exception:  # the module's code may raise any error
        return None
    images = next(len(tensor) for tensor, batched in zip(inputs, has_batch, strict=True) if batched)
    changed = [_with_changed_image(inputs, has_batch, place) for place in range(images)]
    with torch.no_grad():
        values = _values(graph, inputs)
        masks = [_values(graph, given, lambda name, value: _differ(value, values[name])) for given in changed]
    for node in graph.graph.nodes:
        for of_images in zip(*(one.get(node.name, []) for one in masks), strict=False):
            if bool((sum(mask.int() for mask in of_images) > 1).any()):
                return f"{_operation(node)}, which combines the images of a batch"
            if _reorders(of_images):
                return f"{_operation(node)}, which combines, reorders or leaves out images of a batch"
    return None


def _with_changed_image(inputs: Sequence[Any], has_batch: Sequence[bool], place: int) -> list[Any]:
    changed = []
    for tensor, batched in zip(inputs, has_batch, strict=True):
        given = tensor.clone()
        if batched:
            for _ in range(len(given)):  # to differ from all images of the batch
                given[place] = other_image(given[place])
        changed.append(given)
    return changed


def _values(
    graph: Any, inputs: Sequence[Any], keep: Callable[[str, list[Any]], Any] | None = None
) -> dict[str, Any]:
    """Run a graph, and return the tensors of each node's result, by the node's name, or what `keep` makes of them."""
    import torch
    from torch.utils import _pytree as pytree

    kept: dict[str, Any] = {}

    class Recorder(torch.fx.Interpreter):  # type: ignore[misc]
        def run_node(self, node: Any) -> Any:
            result = super().run_node(node)
            if node.op == "call_function":
                if _kind(node).startswith(_WITHOUT_NUMBERS):
                    result.zero_()
                tensors = [one for one in pytree.tree_leaves(result) if isinstance(one, torch.Tensor)]
                # A later operator may write into these tensors, such as an activation in place.
                kept[node.name] = (
                    [one.clone() for one in tensors] if keep is None else keep(node.name, tensors)
                )
            return result

    Recorder(graph).run(*(tensor.clone() for tensor in inputs))
    return kept


def _differ(found: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Return for each tensor which elements differ. NaN does not differ from NaN."""
    return [
        (one != other) & ~((one != one) & (other != other))
        for one, other in zip(found, values, strict=True)
        if one.shape == other.shape
    ]


def _reorders(of_images: Sequence[Any]) -> bool:
    """Return True if elements of an image come after those of a later one, or if an image is missing.

    `of_images` says for each image which elements of a result belong to it.
    """
    starts = [mask.reshape(-1).nonzero().reshape(-1)[:1].tolist() for mask in of_images]
    return any(starts) and (not all(starts) or starts != sorted(starts))


def _operation(node: Any) -> str:
    """Return the name of an operation, and the path of the module whose code calls it."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if path]
    return f"{_kind(node)} in {quote_name(paths[-1])}" if paths else _kind(node)


def _kind(node: Any) -> str:
    return str(node.target).removeprefix("aten.").partition(".")[0]
