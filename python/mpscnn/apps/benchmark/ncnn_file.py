"""Help pnnx to convert ONNX files to files for ncnn."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network

RESIZES = ("bilinear, corners", "bilinear, half_pixel", "nearest, asymmetric")
"""The kinds of resize that can be written for all engines: interpolation and alignment."""


def pnnx_command(onnx: Path, input_shape: tuple[int, ...]) -> list[str]:
    """Return the command that converts the ONNX file of a network with this input shape, (n, height, width, channels).

    The batch is 1 in the file for ncnn, because ncnn has no batches.
    """
    # Call the program pnnx, because importing its package imports torch.
    spec = importlib.util.find_spec("pnnx")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).with_name("pnnx").absolute()
    shape = ",".join(str(input_shape[axis]) for axis in (3, 1, 2))
    return [str(program), str(onnx), f"inputshape=[1,{shape}]", "fp16=0"]


def replace_resizes(network: Network, path: Path) -> None:
    """Replace ONNX's Resize by ncnn's Interp in a file that pnnx wrote, because pnnx does not convert Resize.

    Raises UnsupportedError for other resizes than RESIZES.
    """
    resizes = _resizes(network)
    lines = [_with_resize(line, resizes) for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")


def _resizes(network: Network) -> Iterator[str]:
    """Yield the settings of ncnn's Interp for each resize, in the order of computation."""
    shapes = {layer["name"]: layer["output"] for layer in network.describe()["layers"]}
    for entry in network.to_dict()["nodes"]:
        if entry["operation"] == "resize":
            kind = resize_kind(entry["name"], entry["attributes"], "ncnn")
            _, height, width, _ = shapes[entry["name"]]
            corners = " 6=1" if kind.endswith("corners") else ""
            yield f"0={1 if kind.startswith('nearest') else 2} 3={height} 4={width}{corners}"


def resize_kind(name: str, attributes: Mapping[str, Any], engine: str) -> str:
    """Return the kind of a resize, one of RESIZES. Raises UnsupportedError for other kinds."""
    kind = f"{attributes['kind']}, {attributes['alignment']}"
    extras = ("magnification_y", "magnification_x", "offset_y", "offset_x")
    if kind not in RESIZES or any(attributes[extra] for extra in extras):
        raise UnsupportedError(
            f"layer {name!r}: a resize other than {' or '.join(RESIZES)} is not written for {engine}"
        )
    return kind


def _with_resize(line: str, resizes: Iterator[str]) -> str:
    if line.split(maxsplit=1)[0] != "Resize":
        return line
    return f"{line.replace('Resize', 'Interp', 1)} {next(resizes)}"
