"""Compute feature maps: the outputs of layers inside a network, for photos or arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.literals import ChannelOrderName
from mpscnn._private.other_arguments import accept_foreign_arguments, conversion_hint
from mpscnn._private.other_names import Expected
from mpscnn._private.printable import printable
from mpscnn._private.settings import as_json
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.runtime.options import LOAD_FIELDS, load_options
from mpscnn.runtime.program import compile_graph, named_results
from mpscnn.runtime.session_pool import SessionPool
from mpscnn.vision.photo import open_photo
from mpscnn.vision.preprocessing import require_prepared

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.runtime.options import LoadArguments


def extractor_network(network: Network, layers: str | Sequence[str], pooling: str | None = None) -> Network:
    """Return the part of a network that computes the given layers. They become its outputs in this order.

    Args:
        network: any network. The result has copies of the weights that it needs.
        layers: a name or several names.
        pooling: None for feature maps (n, height, width, channels); "global" for each channel's mean over the image,
            (n, channels), in an output named "<layer>/pooled".

    Raises:
        ParameterError: there is no layer, a name is unknown or given twice, or the pooling is unknown.
    """
    if not hasattr(network, "subgraph"):
        raise ParameterError(f"expected a Network, got {type(network).__name__}{conversion_hint(network)}")
    names = (
        [layers] if isinstance(layers, str) else list(layers) if isinstance(layers, Iterable) else [layers]
    )
    if not all(isinstance(name, str) for name in names):
        raise ParameterError(f"network {network.name!r}: layers are extracted by their names, got {layers!r}")
    if not names:
        raise ParameterError(f"network {network.name!r}: no layer to extract; name at least one")
    for name in names:
        if names.count(name) > 1:
            raise ParameterError(f"network {network.name!r}: layer {name!r} is named twice")
    if pooling not in (None, "global"):
        raise ParameterError(f"pooling must be None or 'global', got {pooling!r}")
    part = network.subgraph(names)
    if pooling is None:
        return part
    pooled = part.restructured(part.to_dict() | {"outputs": []})
    for name in names:
        x = pooled[name]
        if len(x.shape) == 4:
            x = pooled.flatten(pooled.global_average_pool2d(x, name=f"{name}/pool"), name=f"{name}/pooled")
        pooled.output(x)
    return pooled


class FeatureExtractor(Expected):
    """Computes the outputs of some layers of a network, and only the layers that they need. Made by `Model.features`.

    Several threads may use it at the same time.

    Args:
        network: the whole network.
        layers, pooling: as for `extractor_network`.
        preprocess: how a photo becomes the input, as in a model file; None: the network's own settings. Without any,
            only arrays are accepted.
        options: the fields of `CompileOptions` and `RunOptions`, such as `device` and `threads`.
    """

    @accept_foreign_arguments(options=LOAD_FIELDS)
    def __init__(
        self,
        network: Network,
        layers: str | Sequence[str],
        *,
        pooling: str | None = None,
        preprocess: str | Mapping[str, Any] | None = None,
        **options: Unpack[LoadArguments],
    ) -> None:
        for_program, for_runs = load_options(options)
        self.network = extractor_network(network, layers, pooling)
        self.layers = (layers,) if isinstance(layers, str) else tuple(layers)
        self.pooling = pooling
        self.preprocess = network.preprocess if preprocess is None else preprocess
        self.program = compile_graph(self.network.graph, [], for_program)
        self._sessions = SessionPool(self.program, for_runs)

    def __repr__(self) -> str:
        shapes = ", ".join(
            f"{layer} {shape}"
            for layer, shape in zip(self.layers, self.program.outputs.values(), strict=True)
        )
        return f"<FeatureExtractor of {self.network.name!r} on {self.program.device}: {printable(shapes)}>"

    def run(self, image: Any, *, channel_order: ChannelOrderName | None = None) -> dict[str, NDArray[Any]]:
        """Return the features of a photo, of several photos, or of prepared inputs.

        Args:
            image: a photo (path, bytes, Pillow image or array (height, width[, channels]), see
                `mpscnn.photo.open_photo`); a list or a uint8 array (n, height, width, channels) of photos; or a NumPy
                array of floats (n, height, width, channels), which is the network's input.
            channel_order: the order of channels in photos that are arrays, such as "bgr", as for `open_photo`.

        Returns:
            The output of each layer, with the batch first: {"pointwise11": (1, 14, 14, 512), ...}.

        Raises:
            ImageError: a photo cannot be read, or floats are pixels from 0 to 255 in place of the network's input.
            ShapeError: an array does not fit, or the network's input has no fixed size for photos.
            UnsupportedError: photos for a network without preprocessing.
        """
        if is_network_input(image):
            inputs = image
            if self.preprocess is not None:
                require_prepared(inputs, self.preprocess)
        else:
            inputs = self._prepared(_photos(image), channel_order)
        with self._sessions.session() as session:
            return self._named(list(named_results(session, inputs).values()))

    __call__ = run

    def _named(self, outputs: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the program's outputs by the names of the requested layers."""
        return dict(zip(self.layers, outputs, strict=True))

    def _prepared(self, photos: list[Any], channel_order: ChannelOrderName | None) -> NDArray[np.float32]:
        height, width, channels = self._photo_extents()
        text = self._preprocess_json()
        shape = (len(photos), height, width, channels)
        # This call raises an error if `max_memory` is too small. The arrays are allocated only after it.
        self.program.output_shapes(shape)
        inputs = np.empty(shape, np.float32)
        for row, photo in zip(inputs, photos, strict=True):
            opened = open_photo(photo, channel_order=channel_order)
            _core.preprocess(opened.core, text, row)
        return inputs

    def _preprocess_json(self) -> str:
        """Return the preprocessing as JSON. Raises UnsupportedError if it is not known."""
        if self.preprocess is None:
            raise UnsupportedError(
                f"network {self.network.name!r} does not say how a photo becomes its input: give preprocess=, or "
                "floats (n, height, width, channels)"
            )
        return as_json("preprocess", self.preprocess)

    def _photo_extents(self) -> tuple[int, int, int]:
        """Return (height, width, channels) of the input for photos.

        Raises ShapeError unless the network has a single input, and this is an image of a fixed size.
        """
        if len(self.program.inputs) != 1:
            raise ShapeError(
                f"network {self.network.name!r} has {len(self.program.inputs)} inputs, photos fill one"
            )
        extents = next(iter(self.program.inputs.values()))[1:]
        if len(extents) != 3 or None in extents:
            raise ShapeError(
                f"network {self.network.name!r}: photos need an input (n, height, width, channels) of a fixed size, it "
                f"has (n, {', '.join('any' if extent is None else str(extent) for extent in extents)})"
            )
        height, width, channels = (int(extent or 0) for extent in extents)
        return height, width, channels


def is_network_input(image: Any) -> bool:
    """Return True if the value is an array for the network's input, False if it is a photo."""
    return isinstance(image, np.ndarray) and image.dtype.kind == "f" and image.ndim not in (2, 3)


def _photos(image: Any) -> list[Any]:
    several = isinstance(image, (list, tuple)) or (isinstance(image, np.ndarray) and image.ndim == 4)
    photos = list(image) if several else [image]
    if not photos:
        raise ParameterError("no photo given")
    return photos
