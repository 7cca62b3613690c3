#pragma once

// The two usual kinds of steps: an MPS kernel and a shader of the engine's own.

#include <span>
#include <string>
#include <vector>

#include "metal/layer.h"

namespace mpscnn::metal {

/// An MPS kernel with one source. `offset` depends on the extents, which the kernel itself does not know.
std::unique_ptr<Step> mps_step(MPSCNNKernel *kernel, Operands operands, const MPSOffset &offset);

/// A shader whose textures are the sources and the destination, whose buffers are its parameters and
/// `buffers`, and whose grid are the pixels of the destination.
struct ShaderCall {
    std::string label;
    id<MTLComputePipelineState> pipeline = nil;
    std::vector<std::byte> params;
    std::vector<objc_ptr<id<MTLBuffer>>> buffers;

    template <class Params> void set_params(const Params &values) {
        static_assert(std::is_trivially_copyable_v<Params>);
        const auto bytes = std::as_bytes(std::span(&values, 1));
        params.assign(bytes.begin(), bytes.end());
    }
};
std::unique_ptr<Step> shader_step(ShaderCall call, Operands operands);

} // namespace mpscnn::metal
