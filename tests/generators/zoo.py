"""Convert networks of public packages with random weights by from_torch, and write docs/zoo.md.

`python tests/generators/zoo.py` tries all packages that are installed; arguments choose packages, and `--seconds` stops
before another network after that time. The page lists the networks that were tried.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mpscnn

PAGE = Path(__file__).resolve().parents[2] / "docs" / "zoo.md"
Maker = Callable[[], Any]
_RUNS = 3


@dataclass(frozen=True)
class Entry:
    """A network: its package and name, a function that makes it, and the shape of its example."""

    package: str
    name: str
    make: Maker
    shape: tuple[int, ...] = (1, 3, 224, 224)


@dataclass(frozen=True)
class Outcome:
    """The result for a network: the error relative to the largest result and the time over torch's, or a reason."""

    error: float | None = None
    ratio: float | None = None
    reason: str = ""
    seconds: float = 0.0


# ---- The networks ----------------------------------------------------------------------------------------------------


class _Output(torch.nn.Module):  # type: ignore[misc]
    """A network of which one result is taken, by its key."""

    def __init__(self, network: Any, key: str) -> None:
        super().__init__()
        self.network, self.key = network, key

    def forward(self, x: Any) -> Any:
        found = self.network(x)
        return found[self.key] if isinstance(found, dict) else getattr(found, self.key)


class _Pair(torch.nn.Module):  # type: ignore[misc]
    """An optical flow of an image and the same image, moved by a pixel."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        return self.network(x, x.roll(1, -1), num_flow_updates=2)[-1]


def of_torchvision() -> Iterator[Entry]:
    """Yield all networks of torchvision but those of videos and of quantised integers."""
    from torchvision import models

    def made(name: str, **options: Any) -> Maker:
        return lambda: models.get_model(name, weights=None, **options)

    for name in models.list_models(module=models):
        side = 299 if name == "inception_v3" else 224
        yield Entry("torchvision", name, made(name), (1, 3, side, side))
    for name in models.list_models(module=models.segmentation):
        build = made(name, weights_backbone=None)
        yield Entry("torchvision", name, lambda build=build: _Output(build(), "out"))
    for name in models.list_models(module=models.detection):
        yield Entry("torchvision", name, made(name, weights_backbone=None), (1, 3, 320, 320))
    for name in models.list_models(module=models.optical_flow):
        build = made(name)
        yield Entry("torchvision", name, lambda build=build: _Pair(build()), (1, 3, 128, 128))


def of_timm() -> Iterator[Entry]:
    """Yield the first network of each of timm's modules, with its own size of images."""
    import timm

    for module in timm.list_modules():
        names = sorted(timm.list_models(module=module), key=lambda name: (len(name), name))
        if names:
            size = timm.models.get_pretrained_cfg(names[0])
            shape = (1, *(size.input_size if size is not None else (3, 224, 224)))
            yield Entry("timm", names[0], lambda name=names[0]: timm.create_model(name), shape)


def of_smp() -> Iterator[Entry]:
    """Yield each architecture of segmentation_models_pytorch, with a ResNet 18 or its own smallest encoder."""
    import segmentation_models_pytorch as smp

    for name in ("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "DeepLabV3", "DeepLabV3Plus"):
        yield Entry("segmentation_models_pytorch", name, _of_smp(smp, name, "resnet18"))
    for name, encoder in (("PAN", "resnet18"), ("UPerNet", "resnet18"), ("Segformer", "mit_b0")):
        yield Entry("segmentation_models_pytorch", name, _of_smp(smp, name, encoder))


def _of_smp(smp: Any, name: str, encoder: str) -> Maker:
    return lambda: getattr(smp, name)(encoder_name=encoder, encoder_weights=None)


def of_pytorchcv() -> Iterator[Entry]:
    """Yield small networks of pytorchcv's families."""
    from pytorchcv.model_provider import get_model

    names = (
        *("resnet10", "preresnet10", "seresnet10", "densenet121", "condensenet74_c4_g4", "dpn68", "dla34"),
        *("shufflenet_g1_w1", "shufflenetv2_wd2", "menet108_8x1_g3", "mobilenet_wd4", "fdmobilenet_wd4"),
        *("mobilenetv2_wd4", "igcv3_wd4", "mnasnet_b1", "darknet_tiny", "squeezenet_v1_1", "sqnxt23_w1"),
        *("proxylessnas_cpu", "fbnet_cb", "xception", "airnet50_1x64d_r2", "bamresnet18", "cbamresnet18"),
        *("hrnet_w18_small_v1", "vovnet27s", "selecsls42", "hardnet39ds", "ghostnet", "revnet38"),
    )
    for name in names:
        yield Entry("pytorchcv", name, lambda name=name: get_model(name))


def of_transformers() -> Iterator[Entry]:
    """Yield small configurations of transformers' networks for images."""
    import transformers as t

    classes = (
        *("ViT", "DeiT", "Beit", "Swin", "Swinv2", "ConvNext", "ConvNextV2", "ResNet", "RegNet", "MobileViT"),
        *(
            "MobileViTV2",
            "PoolFormer",
            "Segformer",
            "Pvt",
            "PvtV2",
            "Cvt",
            "Dinov2",
            "EfficientFormer",
            "LeViT",
        ),
        *("MobileNetV1", "MobileNetV2", "BiT", "VAN", "FocalNet", "SwiftFormer", "Hiera"),
    )
    for name in classes:
        config, model = getattr(t, f"{name}Config", None), getattr(t, f"{name}ForImageClassification", None)
        if config is None or model is None:
            continue
        build = lambda config=config, model=model: _Output(model(config()), "logits")  # noqa: E731
        side = getattr(config(), "image_size", 224)
        side = side if isinstance(side, int) else 224
        yield Entry("transformers", name, build, (1, 3, side, side))


def of_ultralytics() -> Iterator[Entry]:
    """Yield the smallest detector of each generation of ultralytics."""
    from ultralytics import YOLO

    for name in ("yolov5n", "yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n"):
        yield Entry("ultralytics", name, lambda name=name: YOLO(f"{name}.yaml").model, (1, 3, 320, 320))


PACKAGES: dict[str, Callable[[], Iterator[Entry]]] = {
    "torchvision": of_torchvision,
    "timm": of_timm,
    "segmentation_models_pytorch": of_smp,
    "pytorchcv": of_pytorchcv,
    "transformers": of_transformers,
    "ultralytics": of_ultralytics,
}

# ---- Trying them -----------------------------------------------------------------------------------------------------


def tried(entry: Entry) -> Outcome:
    """Convert a network, and compare its results and its time with torch's. Both have one thread."""
    torch.manual_seed(0)
    begun = time.process_time()
    try:
        module = entry.make().eval()
    except Exception as error:  # the package's own code may raise any error
        return Outcome(reason=f"cannot be made: {_line(error)}")
    x = torch.rand(entry.shape)
    try:
        network = mpscnn.from_torch(module, x)
        program = network.compile(device="cpu", precision="float32")
    except mpscnn.Error as error:
        return Outcome(
            reason=_line(error).partition(": ")[2] or _line(error), seconds=time.process_time() - begun
        )
    seconds = time.process_time() - begun
    session = program.session(threads=1)
    given = np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy() if x.dim() == 4 else x.numpy())
    with torch.inference_mode():
        theirs = _minimum(lambda: module(x))
    ours = _minimum(lambda: session.run(given))
    return Outcome(_error(network, session, given, module, x), ours / theirs, seconds=seconds)


def _error(network: Any, session: Any, given: Any, module: Any, x: Any) -> float:
    """Return the largest error of all results, relative to the largest magnitude of each."""
    from torch.utils import _pytree as pytree

    found = session.run(given)
    ours = list(found.values()) if isinstance(found, dict) else [found]
    with torch.inference_mode():
        leaves = pytree.tree_leaves(module(x))
    theirs = [one.float().numpy() for one in leaves if isinstance(one, torch.Tensor)]
    if network.source_ends or len(ours) != len(theirs):
        return float("nan")  # a detector, whose outputs are boxes and scores
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        b = b.transpose(0, 2, 3, 1) if b.ndim == 4 and a.ndim == 4 and a.shape != b.shape else b
        b = (
            b.transpose(0, 2, 3, 1)
            if a.ndim == b.ndim == 4 and not np.allclose(a, b.reshape(a.shape), atol=1e-2)
            else b
        )
        worst = max(worst, float(np.abs(a.reshape(-1) - b.reshape(-1)).max() / max(np.abs(b).max(), 1e-30)))
    return worst


def _minimum(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(_RUNS + 1):
        begun = time.process_time()
        call()
        times.append(time.process_time() - begun)
    return max(min(times[1:]), 1e-6)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


# ---- The page --------------------------------------------------------------------------------------------------------


def page(outcomes: dict[Entry, Outcome]) -> str:
    """Return the page."""
    right = sum(one.error is not None for one in outcomes.values())
    lines = [
        "# Networks of other packages",
        "",
        "After reading this page you know which networks of public packages `mpscnn.from_torch` converts.",
        "",
        f"`nox -s zoo` wrote this page: it made {len(outcomes)} networks with random weights, converted them, and "
        f"compared their results with torch {torch.__version__.partition('+')[0]}. {right} are right, and mpscnn "
        f"refused {len(outcomes) - right} with the reason that the table gives. "
        "[torch.compile](torch_compile.md) runs refused networks as well: torch computes the operators that mpscnn "
        "does not support.",
        "",
        "The error is the largest difference, relative to the largest magnitude of a result. The time is the minimum "
        f"of {_RUNS} runs in processor seconds on one thread, over that of torch (lower is better). A machine that "
        "does other work changes it.",
    ]
    for package in dict.fromkeys(entry.package for entry in outcomes):
        lines += ["", f"## {package}", "| network | result | time over torch |", "|---|---|---:|"]
        for entry, outcome in outcomes.items():
            if entry.package == package:
                lines.append(f"| {entry.name} | {_result(outcome)} | {_ratio(outcome)} |")
    return "\n".join([*lines, ""])


def _result(outcome: Outcome) -> str:
    if outcome.error is None:
        return f"refused: {outcome.reason}".replace("|", r"\|").replace("<", "&lt;")
    return "right" if np.isnan(outcome.error) else f"right ({outcome.error:.0e})"


def _ratio(outcome: Outcome) -> str:
    return "" if outcome.ratio is None else f"{outcome.ratio:.2f}"


def main() -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"one of {', '.join(PACKAGES)}")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="try no network after this time")
    parser.add_argument("--every", type=int, default=1, help="try each network of this number")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    begun, outcomes = time.monotonic(), {}
    for package in given.packages or PACKAGES:
        if find_spec(package) is None:
            print(f"{package} is not installed", file=sys.stderr)
            continue
        for entry in list(PACKAGES[package]())[:: given.every]:
            if time.monotonic() - begun > given.seconds:
                break
            try:
                outcomes[entry] = tried(entry)
            except Exception as error:  # a finding, which the page states
                outcomes[entry] = Outcome(reason=f"{type(error).__name__}: {_line(error)}")
            print(entry.package, entry.name, outcomes[entry], flush=True)
            gc.collect()
            PAGE.write_text(page(outcomes), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
