"""Estimates the time of one photo on Apple's M1, from bytes, dispatches and multiplications: a table in Markdown.

python benchmarks/metal_estimate.py

Nothing is measured. The rates below are those of the processor, and shares of them that are assumed; the share of own
kernels is what they reached on an NVIDIA H100 (docs/metal.md). A layer takes the longer of the times for its bytes and
for its multiplications, and each encoder and each dispatch takes time of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import mpscnn

CORES = 8
LANES = 128
CLOCK = 1.278e9
BYTES_PER_SECOND = 0.85 * 68.25e9
SECONDS_PER_ENCODER = 5e-6
SECONDS_PER_DISPATCH = 1.5e-6
SHARE_OF_MPS = 0.5
SHARE_OF_OWN = 0.35
TILE = 64
HALF = 2


class Estimate(NamedTuple):
    """The sums over the layers of a network."""

    bytes: float = 0.0
    macs: float = 0.0
    dispatches: int = 0
    encoders: int = 0
    seconds: float = 0.0

    def plus(self, bytes_moved: float, macs: float, rate: float, encoders: int) -> Estimate:
        """Add a layer with one dispatch."""
        seconds = max(bytes_moved / BYTES_PER_SECOND, macs / rate)
        seconds += SECONDS_PER_DISPATCH + encoders * SECONDS_PER_ENCODER
        return Estimate(
            self.bytes + bytes_moved,
            self.macs + macs,
            self.dispatches + 1,
            self.encoders + encoders,
            self.seconds + seconds,
        )


def elements(extents: list[int]) -> int:
    """Return the product of extents."""
    count = 1
    for extent in extents:
        count *= extent
    return count


def product_macs(output: list[int], depth: int) -> tuple[float, float]:
    """Return the multiplications of whole tiles, and the share of the cores that they can use."""
    rows, columns = elements(output[:-1]), output[-1]
    tiles = -(-rows // TILE) * -(-columns // TILE)
    # A core needs two threadgroups to hide the latency of its memory.
    return float(tiles * TILE * TILE * depth), min(1.0, tiles / (2 * CORES))


def merged_sums(nodes: dict[str, Any]) -> dict[str, str]:
    """Return, for each convolution into which own kernels fuse an addition, the name of the addition."""
    readers = [name for node in nodes.values() for name in node["inputs"]]
    return {
        name: sum_name
        for sum_name, node in nodes.items()
        if node["operation"] == "add"
        for name in node["inputs"][-1:]
        if nodes[name]["operation"] == "convolution" and readers.count(name) == 1
    }


def estimate(net: mpscnn.Network, *, own: bool) -> Estimate:
    """Estimate a network in float16, by MPS or by own kernels."""
    nodes: dict[str, Any] = {node["name"]: node for node in net.to_dict()["nodes"]}
    layers = net.describe((224, 224))["layers"]
    shapes = {layer["name"]: layer["output"] for layer in layers} | {net.input.name: [1, 224, 224, 3]}
    merged = merged_sums(nodes) if own else {}
    peak = CORES * LANES * CLOCK
    total = Estimate()
    for layer in layers:
        name, node, size = layer["name"], nodes[layer["name"]], elements(layer["output"])
        if name in merged.values():
            continue
        read = sum(elements(shapes[source]) for source in node["inputs"]) + size * (name in merged)
        moved = HALF * (read + size + layer["parameters"])
        if not own or node["operation"] != "convolution":
            # A network of own kernels copies to images and back for such a layer.
            total = total.plus(moved, layer["macs"], peak * SHARE_OF_MPS, 3 if own else 1)
        elif node["attributes"]["groups"] > 1:
            total = total.plus(moved, layer["macs"], peak * SHARE_OF_OWN, 1)
        else:
            macs, cores = product_macs(layer["output"], layer["macs"] // size)
            total = total.plus(moved, macs, peak * SHARE_OF_OWN * cores, 1)
    return total


def main() -> None:
    """Print the table."""
    print("| network | kernels | MB | million multiplications | dispatches | encoders | ms |")
    print("|---|---|---|---|---|---|---|")
    for name in ("mobilenet_v1", "mobilenet_v2"):
        net = getattr(mpscnn.models, name)()
        net.initialize_weights(seed=0)
        for own in (False, True):
            found = estimate(net, own=own)
            print(
                f"| {name} | {'own' if own else 'mps'} | {found.bytes / 1e6:.1f} | {found.macs / 1e6:.0f} "
                f"| {found.dispatches} | {found.encoders} | {found.seconds * 1e3:.2f} |"
            )


if __name__ == "__main__":
    main()
