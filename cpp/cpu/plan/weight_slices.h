#pragma once

// Divides the weights of large layers into slices of output channels, so that all threads pack them together.

#include <cstddef>
#include <mutex>
#include <vector>

#include "cpu/plan/weight_packing.h"

namespace mpscnn::cpu {

/// Weights that wait until all threads pack them.
class WeightSlices {
public:
    /// Divide a layer's weights into slices, if it is large enough and its packed order allows it. Otherwise
    /// return false. The weights and the memory of `packed` must live until all slices are packed. Several
    /// threads may call this at the same time.
    bool add(const LayerWeights &weights, const ConvolutionShape &shape, PackedConvolution &packed);

    std::size_t size() const { return slices_.size(); }
    /// Pack one slice. Several threads may pack different slices at the same time.
    void pack(const KernelTable &kernels, std::size_t index, PackingMemory &memory) const;

private:
    struct Slice {
        LayerWeights weights;
        ConvolutionShape shape; ///< shape of the slice
        std::size_t first;      ///< index of the slice's first weight in `weights`
        float *packed;
    };

    std::mutex mutex_;
    std::vector<Slice> slices_;
};

} // namespace mpscnn::cpu
