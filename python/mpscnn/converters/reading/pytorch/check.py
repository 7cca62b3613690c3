"""Check whether a converted network computes the same results as its module, also for more images and other sizes."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.finishing.agreement import (
    exceeds_tolerance,
    require_results,
    running_original,
)
from mpscnn.converters.reading.onnx.reader import Converted
from mpscnn.converters.reading.pytorch.batch_sizes import batches_to_compare
from mpscnn.converters.reading.pytorch.image_mixing import (
    changes_first_image,
    find_mixing,
    first_images,
    results_of_images,
    with_other_images,
)
from mpscnn.converters.reading.pytorch.kept_values import restored, results_without_state
from mpscnn.converters.reading.pytorch.tracing import separate_operators
from mpscnn.errors import ShapeError, UnsupportedError
from mpscnn.runtime.program import Session

Array = NDArray[Any]

_IMAGES = 3
#: The relative change of the inputs that must not change a module's results, and how often it is tried.
_SMALL_CHANGE, _TRIALS = 1e-6, 3


def require_equal(
    converted: Converted, module: Any, inputs: Sequence[Any], title: str, others: Iterable[Sequence[Any]] = ()
) -> None:
    """Run the network and the module on the example inputs, on the CPU in float32, and compare the results.

    Inputs whose elements are all equal, such as zeros, are replaced by random numbers, which find more errors. If the
    network takes any number of images, the results for a batch of three are compared, too, and for larger batches for
    which the module may compute something else.

    Args:
        converted: the network, and the layouts of its inputs and outputs.
        module: the module in inference mode. Its buffers, its attributes and torch's random state are restored
            afterwards.
        inputs: tensors of float32.
        title: the name of the module in messages.
        others: inputs of other sizes. If the module computes them, its results are compared, too.

    Raises UnsupportedError if results differ too much, see `require_results`, if the module combines or reorders the
    images of a batch, or if its results depend on attributes that it changes.
    """
    other_sizes = [*others]
    try:
        _require_all(converted, module, inputs, title, other_sizes)
    except UnsupportedError:
        if not _has_fused_attention(module):
            raise
        with separate_operators():
            _require_all(converted, module, inputs, title, other_sizes)
        converted.network.notes.append(
            "compared without PyTorch's fused attention (torch.backends.mha), which gives other results than the "
            "operators that it stands for where a query may see no key and where keys are padded"
        )


def _has_fused_attention(module: Any) -> bool:
    """Return True if PyTorch may compute attention of a module by one fused operator."""
    import torch

    return torch.backends.mha.get_fastpath_enabled() and any(
        isinstance(part, torch.nn.MultiheadAttention) for part in module.modules()
    )


def _require_all(
    converted: Converted, module: Any, inputs: Sequence[Any], title: str, others: Sequence[Sequence[Any]]
) -> None:
    session = converted.network.compile(device="cpu", precision="float32").session()
    given = _replace_uniform_inputs(inputs)
    expected = results_without_state(module, partial(_run_module, module, given, title), title)
    _require_equal(converted, session, module, given, expected, title)
    _require_separate_images(converted, session, module, given, expected, title)
    for other in others:
        try:
            expected = _results_of(module, other)
        except Exception:  # the module's own code may exclude this size by any error
            continue
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in other)
        _require_equal(converted, session, module, other, expected, f"{title} with inputs of {shapes}")


def _require_separate_images(
    converted: Converted, session: Session, module: Any, given: Sequence[Any], alone: list[Array], title: str
) -> None:
    """Compare the results for a batch of three images, because the network computes each image by itself.

    Larger batches are compared, too, if the module's code has a condition on the number of images. `alone` are the
    module's results for `given`. If that is a batch of several images, its first image is taken in their place. Nothing
    is compared if the whole batch is one input of the network.
    """
    has_batch = [layout.has_batch for layout in converted.inputs]
    first = first_images(given, has_batch)
    if first is None:
        return
    count = next(len(tensor) for tensor, batched in zip(given, has_batch, strict=True) if batched)
    try:
        if count > 1:
            given, alone = first, _results_of(module, first)
        batch = with_other_images(first, has_batch, _IMAGES)
        together = _results_of(module, batch)
    except Exception:  # the module's own code may raise any error
        known, unknown = ("one image", _IMAGES) if count == 1 else (f"{count} images", f"1 or {_IMAGES}")
        note = f"compared for {known} only, because the module takes no batch of {unknown}"
        converted.network.notes.append(note)
        return
    _require_images(converted, session, module, batch, alone, together, title)
    try:
        changes = changes_first_image(
            lambda inputs: _results_of(module, inputs), batch, has_batch, alone, together
        )
    except Exception:  # the module's own code may exclude such numbers by any error
        changes = False
    if changes:
        raise _mixes_images(module, batch, has_batch, title)
    for count in batches_to_compare(module, batch, has_batch):
        larger = with_other_images(given, has_batch, count)
        try:
            together = _results_of(module, larger)
        except Exception:  # the module's own code may exclude this batch by any error
            continue
        _require_images(converted, session, module, larger, alone, together, title)


def _require_images(
    converted: Converted,
    session: Session,
    module: Any,
    batch: Sequence[Any],
    alone: list[Array],
    together: list[Array],
    title: str,
) -> None:
    """Compare the network's results for the images of a batch with those of the module, which are `together`."""
    found = _run(converted, session, batch, title)
    count = len(found[0]) if found else 0
    exact = functools.cache(partial(_results_in_float64, module, batch))

    def of_image(image: int, results: Sequence[Array]) -> list[Array]:
        parts = (results_of_images(result, one, count) for result, one in zip(results, alone, strict=False))
        return [np.empty(0) if one is None else one[image] for one in parts]

    def exact_of_image(image: int) -> list[Array] | None:
        return None if (results := exact()) is None else of_image(image, results)

    try:
        for image in range(count):
            one = [array[image : image + 1] for array in found]
            _require(converted, one, of_image(image, together), title, partial(exact_of_image, image))
    except UnsupportedError as error:
        has_batch = [layout.has_batch for layout in converted.inputs]
        cause = _cause(error, module, batch, title)
        if cause is not error or _computes_each_image(module, batch, has_batch, together):
            raise cause from error
        raise _mixes_images(module, batch, has_batch, title) from error


def _computes_each_image(
    module: Any, batch: Sequence[Any], has_batch: Sequence[bool], together: list[Array]
) -> bool:
    """Return True if the module's results for a batch are those of each of its images alone."""
    count = next(len(tensor) for tensor, batched in zip(batch, has_batch, strict=True) if batched)
    for image in range(count):
        inputs = [
            tensor[image : image + 1] if batched else tensor
            for tensor, batched in zip(batch, has_batch, strict=True)
        ]
        try:
            alone = _results_of(module, inputs)
        except Exception:  # the module's own code may exclude one image by any error
            return False
        if len(alone) != len(together):
            return False
        parts = [results_of_images(result, one, count) for result, one in zip(together, alone, strict=True)]
        if None in parts or exceeds_tolerance([part[image] for part in parts if part], alone) is not None:
            return False
    return True


def _mixes_images(
    module: Any, batch: Sequence[Any], has_batch: Sequence[bool], title: str
) -> UnsupportedError:
    """Return the error for a module in which an image changes the result of another one."""
    mixing = find_mixing(module, batch, has_batch)
    cause = (
        f"it calls {mixing}"
        if mixing
        else f"its results for a batch of {max(map(len, batch))} are not those of each image"
    )
    return UnsupportedError(
        f"{title}: the network computes each image of a batch by itself, but the module does not: {cause}. "
        "Compute along other axes, or give an example with as many images as the network will get, which makes the "
        "whole batch one input. check=False leaves out this comparison"
    )


def _require_equal(
    converted: Converted,
    session: Session,
    module: Any,
    given: Sequence[Any],
    expected: Sequence[Array],
    title: str,
) -> None:
    found = _run(converted, session, given, title)
    try:
        _require(converted, found, expected, title, partial(_results_in_float64, module, given))
    except UnsupportedError as error:
        raise _cause(error, module, given, title) from error


def _cause(error: UnsupportedError, module: Any, given: Sequence[Any], title: str) -> UnsupportedError:
    """Return the error for results that differ: `error`, or that rounding alone changes the module's results."""
    change = _change_by_rounding(module, given)
    if change is None:
        return error
    return UnsupportedError(
        f"{title}: the network cannot be compared with the module, whose own results change by {change:.2g} of the "
        f"largest magnitude if its inputs change by {_SMALL_CHANGE:g}. It may choose by nearly equal numbers, as "
        "detectors with random weights do. Convert it with trained weights or another example; check=False leaves out "
        "this comparison"
    )


def _change_by_rounding(module: Any, given: Sequence[Any]) -> float | None:
    """Return the change of a module's results for inputs that differ by rounding; None if it is within the tolerance.

    The module runs in float64 where it can, so that its own rounding changes nothing. Inputs for which it fails tell
    nothing.
    """
    import torch

    generator = torch.Generator().manual_seed(0)

    def changed(one: Any) -> Any:
        if not one.is_floating_point():
            return one
        noise = torch.rand(one.shape, generator=generator, dtype=torch.float64) * 2.0 - 1.0
        return one * (1.0 + _SMALL_CHANGE * noise)

    exact = _results_in_float64(module, given)
    expected = _results_if_any(module, given) if exact is None else exact
    for _ in range(_TRIALS):
        inputs = [changed(one) for one in given]
        if exact is None:
            single = [one.to(other.dtype) for one, other in zip(inputs, given, strict=True)]
            found = _results_if_any(module, single)
        else:
            found = _results_in_float64(module, inputs)
        if found is None or expected is None:
            continue
        if (change := exceeds_tolerance(found, expected)) is not None:
            return change
    return None


def _run(converted: Converted, session: Session, given: Sequence[Any], title: str) -> list[Array]:
    """Return the network's results. Inputs without a batch are the same for all images."""
    arrays = [
        np.ascontiguousarray(layout.arranged(tensor.numpy()), np.float32)
        for tensor, layout in zip(given, converted.inputs, strict=True)
    ]
    images = max(map(len, arrays), default=1)
    arrays = [array if len(array) == images else np.repeat(array, images, 0) for array in arrays]
    try:
        computed = session.run(arrays)
    except ShapeError as error:
        raise UnsupportedError(
            f"{title}: the network cannot compute what the module does: {error}"
        ) from error
    return list(computed.values()) if isinstance(computed, dict) else [computed]


def _require(
    converted: Converted,
    found: Sequence[Array],
    expected: Sequence[Array],
    title: str,
    exact: Callable[[], Sequence[Array] | None],
) -> None:
    def moved(results: Sequence[Array]) -> list[Array]:
        known = [
            other.transpose(layout.axes) if other.ndim == len(layout.axes) else other
            for other, layout in zip(results, converted.outputs, strict=False)
        ]
        return [*known, *results[len(known) :]]

    def moved_exact() -> list[Array] | None:
        return None if (results := exact()) is None else moved(results)

    names = [tensor.name for tensor in converted.network.outputs]
    require_results(title, "module", names, found, moved(expected), moved_exact)


def _replace_uniform_inputs(inputs: Sequence[Any]) -> list[Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    return [
        torch.rand(tensor.shape, generator=generator) * 2.0 - 1.0
        if tensor.is_floating_point() and tensor.numel() > 1 and bool((tensor == tensor.reshape(-1)[0]).all())
        else tensor
        for tensor in inputs
    ]


def _results_in_float64(module: Any, inputs: Sequence[Any]) -> list[Array] | None:
    """Return the module's results in float64; None if its code computes in float32 only, or cannot be copied."""
    given = [one.double() if one.is_floating_point() else one for one in inputs]
    try:
        doubled = copy.deepcopy(module).double()
    except Exception:  # the module's own code may raise any error
        return None
    return _results_if_any(doubled, given)


def _results_if_any(module: Any, inputs: Sequence[Any]) -> list[Array] | None:
    """Return the results of a module; None if it fails."""
    try:
        return _results_of(module, inputs)
    except Exception:  # the module's own code may raise any error
        return None


def _results_of(module: Any, inputs: Sequence[Any]) -> list[Array]:
    """Return the results of a module, which is afterwards as it was before."""
    with restored(module):
        return _call(module, inputs)


def _run_module(module: Any, inputs: Sequence[Any], title: str) -> list[Array]:
    with running_original(title, "module"):
        return _call(module, inputs)


def _call(module: Any, inputs: Sequence[Any]) -> list[Array]:
    import torch
    from torch.utils import _pytree as pytree

    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        results = module(*(tensor.clone() for tensor in inputs))
        leaves = pytree.tree_leaves(results)
        return [leaf.detach().numpy().copy() for leaf in leaves if isinstance(leaf, torch.Tensor)]
