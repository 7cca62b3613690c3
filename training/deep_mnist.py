"""Train the digit networks on MNIST: the article's Deep MNIST, and the small one that mpscnn brings.

    python training/deep_mnist.py --data DIR --output DIR [--device cuda|cpu] [--epochs N] [--seed N]

The data are the four gzipped IDX files of MNIST. For each network the output receives a folder with its eight raw
weight files, as `mpscnn.models.deep_mnist` reads them: float32, [out][height][width][in]. report.json holds how many
of the test images each names correctly; they are looked at once, after the last epoch.

On the CPU torch computes with one thread unless told otherwise, and --epochs 10 suffices for more than 99.2%.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

# cuBLAS adds in a fixed order only with a workspace of fixed size.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

BATCH = 250
EPOCHS = 60
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.02
WARMUP_SHARE = 0.05
AVERAGE_DECAY = 0.998
DROPOUT = 0.5
SIDE = 28
CLASSES = 10

# Views as hands and pens differ: radians, shares of the image's half side, logarithms of scales.
ROTATION = 0.22
SHEAR = 0.25
LOG_SCALE = 0.16
SHIFT = 0.1
BEND = 0.09
BEND_CELLS = 5


@dataclass(frozen=True)
class Architecture:
    """Two convolutions 5x5 and two fully connected layers."""

    name: str
    conv1: int
    conv2: int
    hidden: int


ARCHITECTURES = (
    Architecture("lenet", conv1=16, conv2=32, hidden=128),
    Architecture("deep_mnist", conv1=32, conv2=64, hidden=1024),
)


class DigitNetwork(nn.Module):
    """Images (n, 1, 28, 28) in 0..1 to logits (n, 10)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, architecture.conv1, 5, padding=2)
        self.conv2 = nn.Conv2d(architecture.conv1, architecture.conv2, 5, padding=2)
        self.fc1 = nn.Linear(architecture.conv2 * (SIDE // 4) ** 2, architecture.hidden)
        self.fc2 = nn.Linear(architecture.hidden, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(images)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = functional.relu(self.fc1(x.flatten(1)))
        return self.fc2(functional.dropout(x, DROPOUT, self.training))

    def files(self) -> dict[str, Tensor]:
        """The eight files: the article's names, channels last."""
        side = SIDE // 4
        weights = {
            "conv1": self.conv1.weight.permute(0, 2, 3, 1),
            "conv2": self.conv2.weight.permute(0, 2, 3, 1),
            "fc1": self.fc1.weight.unflatten(1, (-1, side, side)).permute(0, 2, 3, 1),
            "fc2": self.fc2.weight,
        }
        biases = {layer: getattr(self, layer).bias for layer in weights}
        return {f"W_{layer}": weights[layer] for layer in weights} | {f"b_{k}": v for k, v in biases.items()}


@dataclass(frozen=True)
class Data:
    """Images (n, 1, 28, 28) in 0..1 and their digits, on the training device."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def read_idx(path: Path, header: int) -> np.ndarray:
    """The bytes behind the header."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header).copy()


def load_data(directory: Path, device: torch.device) -> Data:
    parts = []
    for half in ("train", "t10k"):
        pixels = torch.from_numpy(read_idx(directory / f"{half}-images-idx3-ubyte.gz", 16)).to(device)
        labels = torch.from_numpy(read_idx(directory / f"{half}-labels-idx1-ubyte.gz", 8)).to(device)
        parts += [pixels.view(-1, 1, SIDE, SIDE).float() / 255, labels.long()]
    return Data(*parts)


# ---- Views -----------------------------------------------------------------------------------------------------


def spread(count: int, reach: float, device: torch.device) -> Tensor:
    """`count` random numbers in -reach..reach."""
    return (torch.rand(count, device=device) * 2 - 1) * reach


def random_geometry(images: Tensor) -> Tensor:
    """Turned, sheared, scaled, moved and bent."""
    count, device = len(images), images.device
    angle, shear = spread(count, ROTATION, device), spread(count, SHEAR, device)
    width, height = (torch.exp(spread(2 * count, LOG_SCALE, device))).view(2, count)
    shift_x, shift_y = spread(2 * count, SHIFT, device).view(2, count)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    row_x = torch.stack((width * cosine, height * (shear * cosine - sine), shift_x), dim=1)
    row_y = torch.stack((width * sine, height * (shear * sine + cosine), shift_y), dim=1)
    matrices = torch.stack((row_x, row_y), dim=1)
    grid = functional.affine_grid(matrices, [count, 1, SIDE, SIDE], align_corners=False)
    cells = spread(count * 2 * BEND_CELLS**2, BEND, device).view(count, 2, BEND_CELLS, BEND_CELLS)
    bend = functional.interpolate(cells, size=(SIDE, SIDE), mode="bicubic", align_corners=True)
    return functional.grid_sample(images, grid + bend.permute(0, 2, 3, 1), align_corners=False)


def random_pen(images: Tensor) -> Tensor:
    """Thicker or thinner strokes, softer edges, paler ink."""
    count, device = len(images), images.device
    thick = functional.max_pool2d(images, 3, stride=1, padding=1)
    thin = -functional.max_pool2d(-images, 3, stride=1, padding=1)
    soft = functional.avg_pool2d(images, 3, stride=1, padding=1)
    share = spread(count, 1.0, device)[:, None, None, None]
    # A third of the views each; one erosion takes more than one dilation gives, so it is used half as much.
    kind = torch.randint(3, (count, 1, 1, 1), device=device)
    images = torch.where(kind == 0, torch.lerp(images, thick, share.clamp(min=0)), images)
    images = torch.where(kind == 1, torch.lerp(images, thin, share.clamp(min=0) / 2), images)
    images = torch.where(kind == 2, torch.lerp(images, soft, share.clamp(min=0)), images)
    ink = 1 + spread(count, 0.25, device)[:, None, None, None]
    return (images * ink).clamp(0, 1)


def batches(data: Data) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of random views and their digits."""
    order = torch.randperm(len(data.images), device=data.images.device)
    for index in order.split(BATCH):
        yield random_pen(random_geometry(data.images[index])), data.labels[index]


# ---- Training --------------------------------------------------------------------------------------------------


def learning_rate_factor(progress: float) -> float:
    """Linear warm-up, then half a cosine down to zero; progress in 0..1."""
    if progress < WARMUP_SHARE:
        return progress / WARMUP_SHARE
    return 0.5 * (1 + math.cos(math.pi * (progress - WARMUP_SHARE) / (1 - WARMUP_SHARE)))


def train(architecture: Architecture, data: Data, epochs: int, seed: int) -> DigitNetwork:
    """The network with the exponential average of its weights."""
    torch.manual_seed(seed)
    network = DigitNetwork(architecture).to(data.images.device)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE_DECAY))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * math.ceil(len(data.images) / BATCH)
    step, started = 0, time.perf_counter()
    for epoch in range(epochs):
        losses = []
        for views, labels in batches(data):
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * learning_rate_factor(step / steps)
            loss = functional.cross_entropy(network(views), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            average.update_parameters(network)
            losses.append(loss.detach())
            step += 1
        mean, seconds = float(torch.stack(losses).mean()), time.perf_counter() - started
        print(f"{architecture.name} epoch {epoch + 1}/{epochs}: loss {mean:.4f}, {seconds:.0f} s", flush=True)
    trained = average.module
    assert isinstance(trained, DigitNetwork)
    return trained.eval()


def count_right(network: DigitNetwork, data: Data) -> int:
    """How many of the test images it names correctly."""
    with torch.no_grad():
        found = torch.cat([network(images).argmax(1) for images in data.test_images.split(1000)])
    return int((found == data.test_labels).sum())


def export(network: DigitNetwork, directory: Path) -> None:
    """Writes the eight files."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, values in network.files().items():
        (directory / name).write_bytes(values.detach().cpu().contiguous().numpy().astype("<f4").tobytes())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the four files of MNIST")
    parser.add_argument("--output", type=Path, required=True, help="folder, created if missing")
    parser.add_argument("--only", choices=[entry.name for entry in ARCHITECTURES], help="one network")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument(
        "--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu"
    )
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    data = load_data(options.data, torch.device(options.device))
    chosen = [entry for entry in ARCHITECTURES if options.only in (None, entry.name)]
    report = []
    for architecture in chosen:
        network = train(architecture, data, options.epochs, options.seed)
        export(network, options.output / architecture.name)
        right, total = count_right(network, data), len(data.test_labels)
        print(f"{architecture.name}: {right} of {total} test images right ({right / total:.2%})", flush=True)
        report.append({**asdict(architecture), "epochs": options.epochs, "right": right, "of": total})
    (options.output / "report.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
