"""Estimate the time of one photo on Apple's M1 from bytes, dispatches and multiplications, and print a Markdown table.

python benchmarks/metal_estimate.py

Nothing is measured. The constants below are the processor's peak rates, and the assumed shares of them that kernels
reach. In mpscnn's own kernels, either threads or simdgroups multiply matrices. The share for threads is the one that
they reached on an NVIDIA H100. The share for simdgroups is a guess: a simdgroup multiplies matrices at
the rate of its threads, but reads threadgroup memory less often. A layer takes the time for its bytes or the time for
its multiplications, whichever is longer. Each encoder and each dispatch takes additional time. Consecutive shaders
share one encoder, and each kernel of MPS has its own.
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
SHARE_OF_SIMDGROUPS = 0.6
TILE = 64
SMALL_TILE, FEW_TILES, LONG_SUM = 32, 64, 64
"""A layer with fewer than FEW_TILES tiles, and sums of at least LONG_SUM products, has tiles of SMALL_TILE."""
HALF = 2
MAX_CHANNELS, MAX_OUTPUTS = 96, 128
"""One kernel computes a depthwise convolution of at most MAX_CHANNELS and a pointwise one of at most MAX_OUTPUTS."""
KINDS = {"mps": None, "own, threads": SHARE_OF_OWN, "own, simdgroups": SHARE_OF_SIMDGROUPS}
"""The share of the peak that matrix products reach, by the kernels that compute a network; None: MPS computes it."""
MPS_OPERATIONS = ("pooling", "softmax")
"""Operations that kernels of MPS compute, even if mpscnn's own kernels compute the rest of the network."""


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
    """Return the multiplications of a matrix product in whole tiles, and the share of the cores that they keep busy."""
    rows, columns = elements(output[:-1]), output[-1]
    tiles = tiles_of(rows, columns, TILE)
    if tiles < FEW_TILES and depth >= LONG_SUM:
        tiles = tiles_of(rows, columns, SMALL_TILE)
        return float(tiles * SMALL_TILE**2 * depth), min(1.0, tiles / CORES)
    # A core needs two threadgroups of four simdgroups to hide the latency of its memory.
    return float(tiles * TILE**2 * depth), min(1.0, tiles / (2 * CORES))


def tiles_of(rows: int, columns: int, tile: int) -> int:
    """Return the number of tiles of a product."""
    return -(-rows // tile) * -(-columns // tile)


def merged_sums(nodes: dict[str, Any]) -> dict[str, str]:
    """Return the additions that mpscnn's own kernels fuse into a convolution, by the convolution's name."""
    readers = [name for node in nodes.values() for name in node["inputs"]]
    return {
        name: sum_name
        for sum_name, node in nodes.items()
        if node["operation"] == "add"
        for name in node["inputs"][-1:]
        if nodes[name]["operation"] == "convolution" and readers.count(name) == 1
    }


def merged_pairs(nodes: dict[str, Any], shapes: dict[str, list[int]]) -> dict[str, str]:
    """Return depthwise convolutions by the name of the pointwise one that the same kernel computes."""
    readers = [name for node in nodes.values() for name in node["inputs"]]
    pairs = {}
    for name, node in nodes.items():
        source = node["inputs"][0] if node["inputs"] else ""
        first = nodes.get(source, {"operation": ""})
        if node["operation"] != "convolution" or first["operation"] != "convolution":
            continue
        depthwise, channels = first["attributes"], shapes[source][-1]
        is_small = channels <= MAX_CHANNELS and shapes[name][-1] <= MAX_OUTPUTS
        is_pair = depthwise.get("groups", 1) == channels and node["attributes"].get("kernel_width", 1) == 1
        if is_small and is_pair and depthwise.get("kernel_width") == 3 and readers.count(source) == 1:
            pairs[name] = source
    return pairs


def estimate(net: mpscnn.Network, products: float | None) -> Estimate:
    """Estimate the time of a network in float16.

    `products` is the share of the peak rate that matrix products of mpscnn's own kernels reach; None: MPS computes.
    """
    own = products is not None
    nodes: dict[str, Any] = {node["name"]: node for node in net.to_dict()["nodes"]}
    layers = net.describe((224, 224))["layers"]
    shapes = {layer["name"]: layer["output"] for layer in layers} | {net.input.name: [1, 224, 224, 3]}
    merged = merged_sums(nodes) if own else {}
    pairs = merged_pairs(nodes, shapes) if own else {}
    by_name = {layer["name"]: layer for layer in layers}
    peak = CORES * LANES * CLOCK
    total = Estimate()
    is_open = False  # whether the next shader shares the encoder of the one before it
    for layer in layers:
        name, node, size = layer["name"], nodes[layer["name"]], elements(layer["output"])
        if name in merged.values() or name in pairs.values():
            continue
        first = by_name.get(pairs.get(name, ""), {"macs": 0, "parameters": 0})
        sources = nodes[pairs.get(name, name)]["inputs"]
        read = sum(elements(shapes[source]) for source in sources) + size * (name in merged)
        moved = HALF * (read + size + layer["parameters"] + first["parameters"])
        is_convolution, is_grouped = (
            node["operation"] == "convolution",
            node["attributes"].get("groups", 1) > 1,
        )
        by_mps = node["operation"] in MPS_OPERATIONS or (not own and is_convolution and not is_grouped)
        encoders = int(not is_open)
        if by_mps:
            # Between mpscnn's own kernels, shaders copy the inputs of a kernel of MPS to images, and its result back.
            encoders = encoders + 2 if own else 1
        is_open = own or not by_mps
        if products is None or not is_convolution:
            total = total.plus(moved, layer["macs"], peak * SHARE_OF_MPS, encoders)
        elif is_grouped:
            total = total.plus(moved, layer["macs"], peak * SHARE_OF_OWN, encoders)
        else:
            macs, cores = product_macs(layer["output"], layer["macs"] // size)
            macs += first["macs"] * -(-layer["output"][-1] // TILE)
            total = total.plus(moved, macs, peak * products * cores, encoders)
    return total


def main() -> None:
    """Print the table."""
    print("| network | kernels | MB | million multiplications | dispatches | encoders | ms |")
    print("|---|---|---|---|---|---|---|")
    for name in ("mobilenet_v1", "mobilenet_v2"):
        net = getattr(mpscnn.models, name)()
        net.initialize_weights(seed=0)
        for kernels, products in KINDS.items():
            found = estimate(net, products)
            print(
                f"| {name} | {kernels} | {found.bytes / 1e6:.1f} | {found.macs / 1e6:.0f} "
                f"| {found.dispatches} | {found.encoders} | {found.seconds * 1e3:.2f} |"
            )


if __name__ == "__main__":
    main()
