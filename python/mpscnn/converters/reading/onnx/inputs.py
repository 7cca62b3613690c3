"""Find out which axes of an ONNX file's inputs are the batch, and which are height, width and channels."""

from __future__ import annotations

import heapq
from collections.abc import Set
from dataclasses import dataclass, replace

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.opening.unsupported import CHOOSE_SHAPE
from mpscnn.converters.reading.onnx.file import Described, OnnxFile
from mpscnn.converters.reading.onnx.layouts import IN_BETWEEN, Extents, InputLayout
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.values.layout import TO_NCHW, TO_NHWC
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError

_FLOATS = frozenset({"float", "float16", "bfloat16"})
_INTEGERS = frozenset({f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {"bool"})
_MAX_RANK = 6  # the maximum number of axes of mpscnn's tensors
_MAX_IN_BETWEEN = 64
# Operators that do not change channels before the first convolution, besides `IN_BETWEEN`, and their maximum number.
_KEEPING_CHANNELS = frozenset({"BatchNormalization", "Pad", "Resize", "Transpose", "Unsqueeze", "Upsample"})
_MAX_BEFORE_CONVOLUTION = 8
# Operators that may come before the transposition of an image (n, height, width, channels), and keep its axes.
_BEFORE_TRANSPOSITION = IN_BETWEEN | {"Clip", "Max", "Min", "Neg", "Pad"}


@dataclass(frozen=True)
class FileInput:
    """An input of a file, and the corresponding input of the network.

    Attributes:
        name: the name of the input.
        extents: the extents of the file's input, with a batch of 1 in front if it has no batch.
        own: the extents of the network's input, without the batch.
        axes: axis i of `extents` is axis axes[i] of the network's input.
        has_batch: whether the first axis of the file's input is the batch.
        whole_numbers: whether the file's input has integers.
    """

    name: str
    extents: Extents
    own: Extents
    axes: tuple[int, ...]
    has_batch: bool = True
    whole_numbers: bool = False

    @property
    def is_number(self) -> bool:
        """True if the file's input is a scalar, without axes."""
        return len(self.axes) == 1

    @property
    def layout(self) -> InputLayout:
        """The permutation from the file's axes to those of the network, the inverse of `axes`."""
        places = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        lacks = next((axis for axis in range(len(self.own) + 1) if axis not in self.axes), None)
        return InputLayout(tuple(places), self.has_batch, None if self.is_number else lacks)

    @property
    def ends_free(self) -> bool:
        """True if the network's input has one more axis, of extent 1, because the file's last extent is free."""
        return not self.is_number and len(self.own) + 1 > len(self.axes) and len(self.own) not in self.axes

    def seen(self, plain: FileTensor) -> FileTensor:
        """Return the network's input as a tensor of the file, with the file's axes."""
        if not plain.has_batch_first:  # a network without a batch
            own = replace(plain, axes=plain.axes[: len(self.axes) - 1])
            return own.mark_as_integers() if self.whole_numbers else own
        value = replace(plain, axes=tuple(plain.axes[axis] for axis in self.axes))
        if self.is_number:
            value = replace(value, axes=())
        elif not self.has_batch:
            value = value.squeeze([0])
        return value.mark_as_integers() if self.whole_numbers else value


def add_batch(one: FileInput) -> FileInput:
    """Return the input with a new batch of 1 in front. Its former first axis is then no longer the batch."""
    if not one.has_batch or one.is_number:
        return one
    extents = (1, *one.extents)
    return replace(one, extents=extents, own=one.extents, axes=tuple(range(len(extents))), has_batch=False)


def read_input(file: OnnxFile, described: Described, options: ReadOptions) -> FileInput:
    """Return an input of the file. Raises UnsupportedError for a type or shape that mpscnn does not support."""
    where = f"{file.origin}: input {quote_name(described.name)}"
    if described.type == "string":
        raise UnsupportedError(f"{where} is text, which is not supported: give the network numbers")
    if described.type not in _FLOATS | _INTEGERS:
        raise UnsupportedError(
            f"{where} is of {described.type}; supported are float, float16, bfloat16 and integers"
        )
    if described.shape is None:
        shape = options.shape_of(described.name, None, where)
    else:
        shape = options.shape_of(described.name, described.shape, where)
    rank = described.rank if shape is None else len(shape)
    if rank is not None and rank > _MAX_RANK:
        raise UnsupportedError(f"{where} has {rank} axes; supported are {_MAX_RANK}")
    if shape is None:
        raise UnsupportedError(f"{where} has no stated shape: choose one with {CHOOSE_SHAPE}")
    whole_numbers = described.type in _INTEGERS
    if not options.has_batch:
        return replace(_without_batch(described.name, shape, where), whole_numbers=whole_numbers)
    made = _axes_of_input(file, described.name, shape, options, where)
    is_image = len(shape) == 4
    if (is_image and made.own[-1] is None) or (file.keeps_axes and not is_image and None in made.own):
        raise UnsupportedError(
            f"{where} is {shape}; only its batch, and height and width of images, may be free: choose a shape with "
            f"{CHOOSE_SHAPE}"
        )
    if made.own[-1] is None:
        made = replace(made, own=(*made.own, 1))
    return replace(made, whole_numbers=whole_numbers)


def _axes_of_input(file: OnnxFile, name: str, shape: Extents, options: ReadOptions, where: str) -> FileInput:
    """Find out which of the file's axes are the batch, height, width and channels, by the rank and the first nodes."""
    if not shape:
        return FileInput(name, (1,), (1,), (0,), has_batch=False)
    if len(shape) == 1:
        return FileInput(name, (1, *shape), shape, (0, 1), has_batch=False)
    if file.keeps_axes:
        return FileInput(name, shape, shape[1:], tuple(range(len(shape))))
    if len(shape) == 4:
        channels_first = shape[1] is not None and shape[3] is None  # the number of channels is never free
        nhwc = not channels_first and _is_nhwc(file, name)
        shape = _with_channels(file, name, shape, 3 if nhwc else 1)
        image = shape if nhwc else tuple(shape[axis] for axis in TO_NHWC)
        image = options.sized(image, where)
        extents = image if nhwc else tuple(image[axis] for axis in TO_NCHW)
        axes = (0, 1, 2, 3) if nhwc else TO_NCHW
        return FileInput(name, extents, image[1:], axes)
    if len(shape) == 3 and _gets_batch(file, name):
        shape = _with_channels(file, name, (1, *shape), 1)
        image = options.sized(tuple(shape[axis] for axis in TO_NHWC), where)
        return FileInput(name, shape, image[1:], TO_NCHW, has_batch=False)
    if len(shape) == 3 and _reaches(file, name, "Conv"):
        shape = _with_channels(file, name, shape, 1)
        return FileInput(name, shape, (1, shape[2], shape[1]), (0, 3, 2))
    if None not in shape and _gets_axis_first(file, name):
        return FileInput(name, (1, *shape), shape, tuple(range(len(shape) + 1)), has_batch=False)
    return FileInput(name, shape, shape[1:], tuple(range(len(shape))))


def _with_channels(file: OnnxFile, name: str, shape: Extents, axis: int) -> Extents:
    """Return a shape whose channels, if they are free, are those of the weights of the first convolution."""
    if shape[axis] is not None:
        return shape
    user = _first_user(file, name)
    for _ in range(_MAX_BEFORE_CONVOLUTION):
        if user is None or user.kind == "Conv" or user.kind not in _KEEPING_CHANNELS:
            break
        user = _first_user(file, user.outputs[0])
    weight = file.stored_shape(user.input(1)) if user is not None and user.kind == "Conv" else None
    if user is None or weight is None or len(weight) < 2:
        return shape
    return (*shape[:axis], weight[1] * user.integer("group", 1), *shape[axis + 1 :])


def _without_batch(name: str, shape: Extents, where: str) -> FileInput:
    """Return an input for a file without a batch. All its axes are those of one image."""
    if None in shape or len(shape) >= _MAX_RANK:
        raise UnsupportedError(f"{where} is {shape}; supported are up to {_MAX_RANK - 1} known extents")
    return FileInput(name, (1, *shape), shape or (1,), tuple(range(len(shape) + 1)), has_batch=False)


def _is_nhwc(file: OnnxFile, name: str) -> bool:
    """Return True if the first operation on an image transposes it to NCHW. Arithmetic and borders may come before."""
    user = _first_user(file, name, _BEFORE_TRANSPOSITION)
    return user is not None and user.kind == "Transpose" and tuple(user.integers("perm", ())) == TO_NCHW


def _gets_batch(file: OnnxFile, name: str) -> bool:
    """Return True if the file adds the batch to an image (channels, height, width).

    Elementwise arithmetic may come before that.
    """
    return "Conv" in file.kinds and _gets_axis_first(file, name)


def _gets_axis_first(file: OnnxFile, name: str) -> bool:
    """Return True if the file adds a first axis to a tensor. Elementwise arithmetic may come before that."""
    user = _first_user(file, name)
    if user is None or user.kind != "Unsqueeze":
        return False
    given = user.input(1)
    if user.has("axes"):
        return user.integers("axes") == [0]
    constant = file.tensors.get(given) if given else None
    maker = file.makers.get(given) if given else None
    if constant is None and maker is not None and maker.kind == "Constant":
        constant = maker.attributes.get("value")
    return constant is not None and file.array(constant).reshape(-1).tolist() == [0]


def _reaches(file: OnnxFile, name: str, kind: str) -> bool:
    user = _first_user(file, name)
    return user is not None and user.kind == kind


def _first_user(file: OnnxFile, name: str, passed: Set[str] = IN_BETWEEN) -> Node | None:
    """Return the first node that reads a tensor, or reads what operators of the kinds `passed` make of it."""
    position = file.positions
    places = {position[id(node)] for node in file.users.get(name, ())}
    waiting = sorted(places)
    for _ in range(_MAX_IN_BETWEEN):
        if not waiting:
            break
        node = file.nodes[heapq.heappop(waiting)]
        if node.kind not in passed:
            return node
        users = {position[id(user)] for output in node.outputs for user in file.users.get(output, ())}
        for place in users - places:
            heapq.heappush(waiting, place)
        places |= users
    return None


def unify_batch(inputs: list[FileInput], file: OnnxFile) -> list[FileInput]:
    """Give all inputs the same batch.

    If their first axes have different fixed extents, only inputs with an extent of 1 have a batch. The others
    get a batch of 1 in front.
    """
    batches = {one.extents[0] for one in inputs}
    if len(batches) == 1:
        return inputs
    if None in batches:
        raise UnsupportedError(
            f"{file.origin}: its inputs have different batches: {sorted(map(str, batches))}; choose one with "
            f"{CHOOSE_SHAPE}"
        )
    return [one if one.extents[0] == 1 else add_batch(one) for one in inputs]
