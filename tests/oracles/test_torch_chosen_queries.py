"""Convert a detector that chooses queries by scores, as RT-DETR v2 and D-FINE do, and compare it with torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from oracles.torchvision_models import assert_close

import mpscnn
from mpscnn import Network, converters

torch = pytest.importorskip("torch", reason="torch is not installed")

nn = torch.nn
FEATURES, HEADS, QUERIES, CLASSES, STEPS = 8, 2, 5, 3, 4
POINTS = (2, 3)  # the number of samples in each map
EDGE = 0.4
DEFAULT = {(False, "script"), (True, "torch")}
LARGEST = torch.finfo(torch.float32).max


def samples_of(value: Any, sizes: list[Any], places: Any, weights: Any) -> Any:
    """Return the weighted samples of the heads of all maps: the heads are in the batch of each map."""
    images, _, heads, width = value.shape
    values = value.permute(0, 2, 3, 1).flatten(0, 1).split([height * wide for height, wide in sizes], dim=-1)
    grids = (2.0 * places - 1.0).permute(0, 2, 1, 3, 4).flatten(0, 1).split(POINTS, dim=-2)
    samples = [
        nn.functional.grid_sample(one.reshape(images * heads, width, *size), grid, align_corners=False)
        for one, grid, size in zip(values, grids, sizes, strict=True)
    ]
    weights = weights.permute(0, 2, 1, 3).reshape(images * heads, 1, QUERIES, sum(POINTS))
    return (
        (torch.concat(samples, -1) * weights).sum(-1).view(images, -1, QUERIES).transpose(1, 2).contiguous()
    )


class Layer(nn.Module):  # type: ignore[misc, name-defined]
    """A layer of the decoder: the queries attend to each other and to samples of the maps around their boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Linear(FEATURES, HEADS * sum(POINTS) * 2)
        self.weights = nn.Linear(FEATURES, HEADS * sum(POINTS))
        self.value = nn.Linear(FEATURES, FEATURES)
        self.own = nn.MultiheadAttention(FEATURES, HEADS, batch_first=True)
        self.norm = nn.LayerNorm(FEATURES)
        self.register_buffer("scale", torch.tensor([1.0 / count for count in POINTS for _ in range(count)]))

    def forward(self, x: Any, position: Any, memory: Any, boxes: Any, sizes: list[Any]) -> Any:
        queries = x + position
        x = self.norm(x + self.own(queries, queries, x, need_weights=False)[0])
        value = self.value(memory).view(*memory.shape[:2], HEADS, -1)
        moved = self.places(x + position).view(len(x), QUERIES, HEADS, sum(POINTS), 2)
        moved = moved * self.scale.unsqueeze(-1) * boxes[:, :, None, None, 2:] * 0.5
        weights = self.weights(x + position).view(len(x), QUERIES, HEADS, sum(POINTS)).softmax(-1)
        return self.norm(x + samples_of(value, sizes, boxes[:, :, None, None, :2] + moved, weights))


class Detector(nn.Module):  # type: ignore[misc, name-defined]
    """Chooses the best places of two maps, and moves their boxes.

    Args:
        integral: each move is the mean of fixed steps, by a product with a vector, as in D-FINE.
        edge: anchors nearer to an edge are not valid; their features are zeros, so that their scores are all equal.
    """

    def __init__(self, *, integral: bool, edge: float) -> None:
        super().__init__()
        self.integral, self.edge = integral, edge
        self.large, self.small = nn.Conv2d(3, FEATURES, 3, 4, 1), nn.Conv2d(FEATURES, FEATURES, 3, 2, 1)
        self.out = nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.LayerNorm(FEATURES))
        self.scores, self.boxes = nn.Linear(FEATURES, CLASSES), nn.Linear(FEATURES, 4)
        self.position, self.classes = nn.Linear(4, FEATURES), nn.Linear(FEATURES, CLASSES)
        self.layer = Layer()
        self.move = nn.Linear(FEATURES, 4 * (STEPS + 1) if integral else 4)
        self.register_buffer("steps", torch.linspace(-1.0, 1.0, STEPS + 1))
        nn.init.normal_(self.scores.weight)  # scores that differ by more than rounding

    def anchors(self, sizes: list[Any]) -> tuple[Any, Any]:
        found = []
        for level, (height, width) in enumerate(sizes):
            rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            places = torch.stack([columns, rows], -1).unsqueeze(0) + 0.5
            places[..., 0] /= width
            places[..., 1] /= height
            extents = torch.ones_like(places) * 0.05 * 2.0**level
            found.append(torch.concat([places, extents], -1).reshape(-1, height * width, 4))
        anchors = torch.concat(found, 1)
        valid = ((anchors[..., :2] > self.edge) * (anchors[..., :2] < 1.0 - self.edge)).all(-1, keepdim=True)
        return torch.where(valid, torch.log(anchors / (1.0 - anchors)), torch.full((), LARGEST)), valid

    def forward(self, x: Any) -> Any:
        maps = [self.large(x).relu()]
        maps.append(self.small(maps[0]))
        sizes = [tuple(one.shape[-2:]) for one in maps]
        room = torch.empty((len(maps), 2), dtype=torch.long)
        for level, (height, width) in enumerate(sizes):
            room[level, 0] = height
            room[level, 1] = width
        memory = torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)
        anchors, valid = self.anchors(sizes)
        features = self.out(valid.to(memory.dtype) * memory)
        best = torch.topk(self.scores(features).max(-1).values, QUERIES, dim=1)[1].unsqueeze(-1)
        boxes = (self.boxes(features) + anchors).gather(1, best.repeat(1, 1, 4)).sigmoid()
        queries = features.gather(1, best.repeat(1, 1, FEATURES))
        queries = self.layer(queries, self.position(boxes), memory, boxes, sizes)
        moves = self.move(queries)
        if self.integral:
            shares = moves.reshape(-1, STEPS + 1).softmax(-1)
            moves = nn.functional.linear(shares, self.steps).reshape(-1, QUERIES, 4)
        boxes = boxes.clip(0.0, 1.0)
        ratios = torch.log(boxes.clip(min=1e-5) / (1.0 - boxes).clip(min=1e-5))
        return self.classes(queries), (moves + ratios).sigmoid()


def network_of(module: Any, example: Any, way: str, path: Path) -> Network:
    if way == "torch":
        return mpscnn.from_torch(module, example, check=False)
    if way == "dynamo":
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    torch.onnx.export(module, example, path, dynamo=way == "dynamo", verbose=False, opset_version=18)
    return converters.read_network([path])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("integral", "edge", "way"),
    [
        pytest.param(integral, edge, way, marks=() if (integral, way) in DEFAULT else pytest.mark.full)
        for way in ("torch", "script", "dynamo")
        for integral, edge in ((False, EDGE), (True, 0.0))
    ],
)
def test_chosen_queries(tmp_path: Path, integral: bool, edge: float, way: str) -> None:
    """Each of three images has the results that it has alone in torch. Exports take some two processor seconds."""
    torch.manual_seed(2)
    module = Detector(integral=integral, edge=edge).eval()
    x = torch.rand(3, 3, 32, 40)
    network = network_of(module, x[:1], way, tmp_path / "x.onnx")
    with torch.no_grad():
        expected = [torch.cat(parts).numpy() for parts in zip(*(module(one[None]) for one in x), strict=True)]
    session = network.compile(device="cpu", precision="float32").session()
    found = list(session.run(x.permute(0, 2, 3, 1).contiguous().numpy()).values())
    for here, there in zip(found, expected, strict=True):
        assert_close(here.reshape(there.shape), there)
