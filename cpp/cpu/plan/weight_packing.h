#pragma once

// Reads the weights of a convolution or dense layer, and packs them in the order that kernels read.

#include <span>
#include <string>

#include "cpu/isa/kernels.h"
#include "engine/backend/backend.h"
#include "engine/graph/graph.h"

namespace mpscnn::cpu {

/// Memory of one thread, which it reuses from layer to layer.
struct PackingMemory {
    AlignedBuffer<float> unpacked, paired, packed;
};

/// Return memory for at least `floats` floats.
float *reserve(AlignedBuffer<float> &memory, std::size_t floats);

/// The "weight" of a layer.
struct LayerWeights {
    const engine::WeightTensor &tensor;
    engine::Precision precision;
    const std::string &layer; ///< name for error messages

    /// Return some of the weights, rounded to the precision. They are in the original memory if possible,
    /// otherwise in `memory`. Throws WeightsError for a weight that is too large for the precision.
    std::span<const float> read(std::size_t first, std::size_t count, AlignedBuffer<float> &memory) const;
};

/// Return the layout of packed weights, with memory for them and with the packed bias. The weights are not
/// written. `bias` may be null.
PackedConvolution unpacked_convolution(const KernelTable &kernels, WeightMemory &memory, const float *bias,
                                       const ConvolutionShape &shape);

/// Pack weights [outputs][height][width][inputs of a group] in the order of their kernel. With bfloat16
/// elements, an odd number of inputs is rounded up to an even one with zero weights.
void pack_weights(const KernelTable &kernels, const ConvolutionShape &shape, const float *weights,
                  float *packed, PackingMemory &memory);

} // namespace mpscnn::cpu
