"""Compare the speed of torch.compile with the backend "mpscnn", with inductor, and of torch in eager mode.

The networks have random weights and get one photo of 224 x 224 pixels. Needs torch, torchvision and timm, and a C++
compiler for inductor.

    python benchmarks/torch_compile.py [--threads 1] [--runs 20] [--networks resnet18 timm:vit_tiny_patch16_224]
"""

from __future__ import annotations

import argparse
import importlib
import sys
import types
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from harness import measure, table_head, table_row

import mpscnn

NETWORKS = (
    *("resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "shufflenet_v2_x1_0"),
    *("densenet121", "regnet_y_400mf", "timm:vit_tiny_patch16_224", "timm:mobilenetv4_conv_small"),
    *("timm:efficientvit_b0", "timm:repvgg_a0"),
)
BACKENDS = ("eager", "inductor", "mpscnn")


def made(name: str) -> Any:
    """Return a network for inference."""
    # torchvision's compiled operators need a matching build of torch. They are disabled, since no network uses them.
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("_meta_registrations"))
    torchvision = importlib.import_module("torchvision")
    torch.manual_seed(0)
    if name.startswith("timm:"):
        return importlib.import_module("timm").create_model(name.removeprefix("timm:")).eval()
    return torchvision.models.get_model(name, weights=None).eval()


def compiled(module: Any, backend: str) -> Callable[[torch.Tensor], Any]:
    """Return a function that computes the module with a backend."""
    run: Callable[[torch.Tensor], Any] = module
    if backend != "eager":
        run = torch.compile(module, backend=backend)
    return run


def main() -> None:
    """Print a table of milliseconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--backends", nargs="+", default=BACKENDS, choices=BACKENDS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    (device, *_) = mpscnn.devices()
    print(f"{device['name']}, threads: {options.threads}, torch {torch.__version__}\n")
    print(
        table_head("network", *(f"{backend}, ms" for backend in options.backends), "mpscnn / fastest other")
    )
    x = torch.randn(1, 3, 224, 224)
    for name in options.networks:
        module = made(name)
        torch._dynamo.reset()
        with torch.inference_mode():
            calls = {backend: compiled(module, backend) for backend in options.backends}
            times = measure(
                {key: partial(run, x) for key, run in calls.items()}, options.runs, options.threads
            )
        best = {backend: figures.minimum / 1000 for backend, figures in times.items()}
        others = [time for backend, time in best.items() if backend != "mpscnn"]
        ratio = f"{best['mpscnn'] / min(others):.2f}" if others and "mpscnn" in best else ""
        print(table_row([name, *(f"{best[backend]:.2f}" for backend in options.backends), ratio]), flush=True)


if __name__ == "__main__":
    main()
