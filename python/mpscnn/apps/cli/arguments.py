"""Define options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from mpscnn._private.literals import ChannelOrderName, ScoresName
from mpscnn._private.other_arguments import DEVICES, canonical_device
from mpscnn.errors import ParameterError
from mpscnn.graph.structure import checked_scores
from mpscnn.runtime.library import devices

MAX_THREADS = 1024

AUTO_DEVICE = "auto"


def parse_device(text: str) -> str:
    """Check the value of --device. Whether a Metal device of that name exists is checked by `Network.compile`."""
    listed = devices()
    name = canonical_device(text)
    if name != text and name in DEVICES.values():
        found = next(device for device in listed if device["name"] == name.partition(":")[0])
        if not found["available"]:
            raise typer.BadParameter(f"{text!r} means {name!r}: {found['reason']}")
        return name
    if (
        name == AUTO_DEVICE
        or name.startswith(("metal:", "coreml:"))
        or name in [device["name"] for device in listed]
    ):
        return name
    known = [f"{device['name']} ({device.get('description') or device['reason']})" for device in listed]
    raise typer.BadParameter(
        f"expected auto, one of {', '.join(known)}, metal:NAME with a Metal device's name, or coreml:UNITS with "
        f"compute units of Core ML, got {text!r}"
    )


def above_zero(value: float | None) -> float | None:
    """Check that the value of an option is above 0, if it is given."""
    if value is not None and not value > 0.0:
        raise typer.BadParameter(f"must be above 0, got {value}")
    return value


def parse_scores(text: str) -> ScoresName | None:
    """Check the value of --scores."""
    try:
        return checked_scores(text)
    except ParameterError as error:
        raise typer.BadParameter(str(error)) from error


PhotosArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTO",
        help="Image files; folders for the image files in them and in their subfolders; patterns such as "
        "'*.jpg'; - for standard input. Or one video: a file, camera:N or an rtsp:// address. With an option for "
        "videos, a GIF is a video, and so is a folder of photos, with 25 frames a second.",
    ),
]
_MODEL_HELP = "a name (see `mpscnn models`), a model file, or hf://OWNER/NAME of the Hugging Face hub."
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=f"The model: {_MODEL_HELP}")]
ModelOption = Annotated[
    str, typer.Option("--model", metavar="NAME_OR_FILE", help=f"Use this model: {_MODEL_HELP}")
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",  # without this name, typer 0.27 would derive one from the metavar of an option with a parser
        parser=parse_device,
        metavar="DEVICE",
        help="Compute on auto (a GPU whose self-check succeeds, else the CPU), cpu, metal (the default "
        "GPU), or a GPU by name or registry id, such as 'metal:Apple M2'.",
    ),
]
#: The device of commands that compare precisions, for which auto is not a GPU.
CpuDeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        parser=parse_device,
        metavar="DEVICE",
        help="Compute on this device (see `mpscnn devices`); auto: the CPU.",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=MAX_THREADS, metavar="N", help="Use N CPU threads; default: all that this process may use."
    ),
]
ChannelOrderOption = Annotated[
    ChannelOrderName | None,
    typer.Option(
        help="Read photos that are arrays (.npy files) with this order of channels; default: gray, RGB or "
        "RGBA, by their number."
    ),
]
ScoresOption = Annotated[
    ScoresName | None,
    typer.Option(
        parser=parse_scores,
        metavar="NAME",
        help="Say what the probabilities of a classifier are. softmax: of classes that exclude each other; sigmoid: of "
        "each class on its own. The function is applied unless the network ends in it. as-is: the network's own "
        "numbers. Default: what the file says, or else the end of the network; softmax for logits.",
    ),
]
InflightOption = Annotated[
    int, typer.Option(min=1, max=32, metavar="N", help="Keep N photos in progress at a time.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs instead of a table.")]
JsonLinesOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object per photo and line, and nothing else.")
]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print comma-separated values, and nothing else.")]
TilesOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="PIXELS",
        help="Compute on square tiles of this size, for small things on large photos; default: without tiles.",
    ),
]
OverlapOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        metavar="SHARE",
        help="Let neighbours of --tiles have this share of their side in common, from 0 to below 1; default: 0.2.",
    ),
]


def split_names(text: str) -> list[str]:
    """Split names at commas."""
    return [name.strip() for name in text.split(",") if name.strip()]
