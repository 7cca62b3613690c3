#pragma once

// Divides the weights of large layers into slices of output channels, so that all threads pack them together.

#include <mutex>
#include <span>
#include <vector>

#include "cpu/plan/weight_packing.h"
#include "cpu/runtime/thread_pool.h"

namespace mpscnn::cpu {

/// Weights that wait until all threads pack them.
class WeightSlices {
public:
    /// Divide a layer's weights into slices, if it is large enough and its packed order allows it. Otherwise
    /// return false. The weights and the memory of `packed` must live until pack() returns. Several threads
    /// may call this at the same time.
    bool add(const LayerWeights &weights, const ConvolutionShape &shape, PackedConvolution &packed);

    /// Pack all slices with the threads of a pool. `memory` has an element for each thread.
    void pack(const KernelTable &kernels, ThreadPool &pool, std::span<PackingMemory> memory) const;

private:
    struct Slice {
        LayerWeights weights;
        ConvolutionShape shape; ///< of the slice
        std::size_t first;      ///< index of its first weight
        float *packed;
    };

    std::mutex mutex_;
    std::vector<Slice> slices_;
};

} // namespace mpscnn::cpu
