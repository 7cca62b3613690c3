"""Use your own function as a layer of a network, and the same function as a kernel on Metal.

python examples/python/custom_layer.py
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import mpscnn

SHARPNESS = 4.0

SOURCE = """
#include <metal_stdlib>
using namespace metal;

constant float sharpness [[function_constant(0)]];

kernel void squash(texture2d_array<float, access::read> source [[texture(0)]],
                   texture2d_array<float, access::write> result [[texture(1)]],
                   uint3 place [[thread_position_in_grid]]) {
    if (place.x >= result.get_width() || place.y >= result.get_height()) return;
    const float4 x = source.read(place.xy, place.z);
    result.write(x / (1.0f + sharpness * fabs(x)), place.xy, place.z);
}
"""


def squash(x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Compute x / (1 + sharpness |x|) into `out`."""
    np.absolute(x, out=out)
    out *= SHARPNESS
    out += 1.0
    np.divide(x, out, out=out)


def network() -> mpscnn.Network:
    """Build a network of a convolution, the function, and a pooling."""
    net = mpscnn.Network((8, 8, 3), name="squashed")
    x = net.conv2d(net.input, 4, 3, padding="same", name="conv")
    x = net.custom(squash, x, name="squash")
    net.output(net.max_pool2d(x, 2))
    net.initialize_weights(1)
    return net


def on_metal(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the function with a Metal kernel on images (n, height, width, channels)."""
    kernel = mpscnn.kernels.MetalKernel(SOURCE, "squash", constants={"sharpness": SHARPNESS})
    source = mpscnn.Image.from_numpy(x)
    result = mpscnn.Image(source.width, source.height, source.feature_channels, number_of_images=len(x))
    with mpscnn.CommandQueue("metal").command_buffer() as commands:
        kernel.encode(commands, source, result)
    return result.read()


def main() -> None:
    """Run the network on the CPU engine. If there is a Metal device, compare the kernel with the function."""
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    session = network().compile(device="cpu").session()
    print("result", session.run(x).shape)
    metal = next(device for device in mpscnn.devices() if device["name"] == "metal")
    if not metal["available"]:
        print("without Metal:", metal["reason"])
        return
    expected = np.empty_like(x)
    squash(x, expected)
    print("largest difference on Metal", float(np.abs(on_metal(x) - expected).max()))


if __name__ == "__main__":
    main()
