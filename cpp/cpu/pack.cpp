#include <algorithm>

#include "core/platform.h"
#include "cpu/kernels.h"

namespace mpscnn::cpu {

namespace {

/// Makes groups of as many outputs as inputs, of which several fill a register, one (gemm_merged_tile.h).
void merge_narrow_groups(ConvolutionShape &shape, std::int64_t width) {
    const std::int64_t size = shape.inputs_per_group, merged = width / size;
    if ((size != 4 && size != 8) || merged < 2) return;
    if (shape.outputs != shape.groups * size || shape.groups % merged != 0) return;
    shape.merged = merged;
    shape.inputs_per_group = width;
    shape.groups /= merged;
}

} // namespace

PackedConvolution KernelTable::pack_convolution(const float *weights, const float *bias_values,
                                                std::int64_t outputs, std::int64_t kernel_height,
                                                std::int64_t kernel_width, std::int64_t inputs_per_group,
                                                std::int64_t groups) const {
    PackedConvolution packed;
    static_cast<ConvolutionShape &>(packed) = {.outputs = outputs,
                                               .inputs_per_group = inputs_per_group,
                                               .groups = groups,
                                               .kernel_height = kernel_height,
                                               .kernel_width = kernel_width,
                                               .depthwise = inputs_per_group == 1 && groups > 1};
    merge_narrow_groups(packed, vector_width);
    packed.weights = AlignedBuffer<float>(packed_size(packed));
    platform::advise_huge_pages(packed.weights.data(), packed.weights.size() * sizeof(float));
    pack(packed, weights, packed.weights.data());
    const auto padded = static_cast<std::size_t>((outputs + vector_width - 1) / vector_width * vector_width);
    packed.bias = AlignedBuffer<float>(padded);
    std::fill_n(packed.bias.data(), padded, 0.0f);
    if (bias_values) std::copy_n(bias_values, outputs, packed.bias.data());
    return packed;
}

} // namespace mpscnn::cpu
