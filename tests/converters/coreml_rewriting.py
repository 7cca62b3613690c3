"""The networks whose Core ML files change when they are read and written again, and those that Core ML cannot express.

`tests/oracles/test_coreml_rewritten.py` walks all networks and keeps these lists up to date.
"""

from __future__ import annotations

_SEQUENCES = (
    "channel shuffle of tokens", "constant operand of tokens", "gather of tokens",
    "layer normalization of tokens", "mean of tokens", "slice of features", "tile of tokens",
    "group normalization of a vector", "group normalization of three axes", "prelu of three axes",
)  # fmt: skip
_NEIGHBOURS = (
    *("local response normalization, even size", "local response normalization of a vector"),
    *("case cross-channel normalization, 4 of 13 channels", "spatial normalization, clamped, elsewhere"),
)
_STATISTICS = (
    *("batch normalization by statistics.mlpackage", "case statistics of a batch.mlpackage"),
    "batch normalization of a vector by statistics",
)
_RECURRENT = (
    *("case LSTM", "case LSTM with states, backward", "case LSTM of many steps", "case GRU"),
    *("case GRU with a state, backward", "case GRU that resets before", "case GRU of many steps"),
)
CHANGED: dict[str, frozenset[str]] = {
    "Layers of vectors and sequences that a reshape makes of an image: when mpscnn reads the file, it moves elements "
    "as late as possible": (frozenset(_SEQUENCES)),
    "Flattened images of several pixels before a dense layer: mpscnn reads both as one layer": frozenset(
        {"flattened image before a dense layer"}
    ),
    "Local response normalizations of an even number of channels or of vectors, and spatial normalizations of a part "
    "of the image: the file has several operations for them, which mpscnn reads as other layers": frozenset(
        _NEIGHBOURS
    ),
    "Statistics of a batch: the file has a batch of one, so mpscnn reads no layer of statistics": (
        frozenset(_STATISTICS)
    ),
    "LSTM and GRU: mpscnn reads separate layers for the product of all inputs and for each result": (
        frozenset(_RECURRENT)
    ),
    "Positions of the largest elements, and elements at computed positions: mpscnn adds layers that round and reshape "
    "positions": (frozenset({"case take along channels", "case top k"})),
    "Constants that are joined with images, or added to images with a number for each pixel": (
        frozenset({"constant joined", "padding with values"})
    ),
    "Networks that begin with a transposition of the input: the network that mpscnn reads has an input with transposed "
    "axes, so the caller must transpose": frozenset({"case transpose"}),
}
"""The networks whose files change, by the reason. A suffix at the end of a name stands for one kind of file."""

NOT_EXPRESSED = frozenset(
    {
        *("max pooling, dilated", "max pooling, clamped", "case maximum, dilated"),
        *("constant put out", "case constant", "case constant features", "case transpose of five axes"),
        *("nearest, smaller", "nearest, ceil", "nearest, round_prefer_floor", "nearest, round_prefer_ceil"),
        *("case nearest resize, half_pixel", "case nearest resize, corners"),
        *("case nearest resize, pytorch_half_pixel", "case bilinear resize, pytorch_half_pixel"),
        *("case nearest resize, asymmetric, ceil", "case nearest resize, asymmetric, round_prefer_floor"),
        "case nearest resize, asymmetric, round_prefer_ceil",
    }
)
"""The networks that Core ML cannot express."""
NOT_EXPRESSED_OLD = frozenset(
    {
        *("transposed, groups", "transposed, stride beyond the kernel", "nearest, asymmetric", "bilinear"),
        *("transposed, widened by more than ONNX allows", "case transposed convolution, even window"),
        *(
            "case transposed convolution, groups",
            "case resize",
            "case GRU",
            "case GRU with a state, backward",
        ),
        *(
            "case GRU of many steps",
            "case nearest resize, asymmetric",
            "case nearest resize, asymmetric, floor",
        ),
    }
)
"""The networks that only programs (.mlpackage) can express."""
