#include "cpu/plan/weight_slices.h"

#include <algorithm>
#include <span>

namespace mpscnn::cpu {

namespace {

/// Return the number of outputs in each slice except the last one, which has all remaining outputs. Return 0
/// for a layer that is packed as a whole.
std::int64_t outputs_of_slice(const ConvolutionShape &shape) {
    constexpr std::int64_t weights_of_slice = 1 << 17; // unpacked and packed, they take 1 MiB as floats,
                                                       // which fits L2 of many processors
    constexpr std::int64_t panels =
        96; // a multiple of the outputs of a panel in every instruction set (pack.h)
    if (shape.algorithm != Algorithm::gemm || shape.groups != 1) return 0;
    const std::int64_t each =
        std::max<std::int64_t>(weights_of_slice / shape.weights_per_output() / panels, 1) * panels;
    return shape.outputs >= 2 * each ? each : 0;
}

} // namespace

bool WeightSlices::add(const LayerWeights &weights, const ConvolutionShape &shape,
                       PackedConvolution &packed) {
    const std::int64_t each = outputs_of_slice(shape);
    if (each == 0) return false;
    const std::lock_guard lock(mutex_);
    for (std::int64_t first = 0, count = each; first < shape.outputs; first += count) {
        if (shape.outputs - first < 2 * each) count = shape.outputs - first;
        Slice slice{weights, shape, static_cast<std::size_t>(first * shape.weights_per_output()),
                    packed.weights.data()};
        slice.shape.outputs = count;
        const std::int64_t before = first * packed.weights_per_output();
        slice.packed += shape.half_weights ? before / 2 : before;
        slices_.push_back(slice);
    }
    return true;
}

void WeightSlices::pack(const KernelTable &kernels, std::size_t index, PackingMemory &memory) const {
    const Slice &slice = slices_[index];
    const auto count = static_cast<std::size_t>(slice.shape.outputs * slice.shape.weights_per_output());
    const std::span weights = slice.weights.read(slice.first, count, memory.unpacked);
    pack_weights(kernels, slice.shape, weights.data(), slice.packed, memory);
}

} // namespace mpscnn::cpu
