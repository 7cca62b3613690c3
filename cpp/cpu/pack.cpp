#include <algorithm>
#include <cstring>
#include <vector>

#include "core/bfloat16.h"
#include "cpu/kernels.h"

namespace mpscnn::cpu {

namespace {

/// Rounded and in pairs, [outputs][height][width][pairs of inputs]; an odd input becomes a pair with a zero.
std::vector<float> paired_weights(const float *weights, std::int64_t rows, std::int64_t inputs) {
    const std::int64_t pairs = (inputs + 1) / 2;
    std::vector<float> paired(static_cast<std::size_t>(rows * pairs));
    for (std::int64_t row = 0; row < rows; ++row)
        for (std::int64_t i = 0; i < inputs; i += 2) {
            const float *first = weights + row * inputs + i;
            const std::uint32_t high = i + 1 < inputs ? bfloat16_from_float(first[1]) : 0;
            const std::uint32_t pair = bfloat16_from_float(first[0]) | high << 16;
            std::memcpy(&paired[static_cast<std::size_t>(row * pairs + i / 2)], &pair, sizeof(pair));
        }
    return paired;
}

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

PackedConvolution KernelTable::pack_convolution(WeightMemory &memory, const float *weights,
                                                const float *bias_values, std::int64_t outputs,
                                                std::int64_t kernel_height, std::int64_t kernel_width,
                                                std::int64_t inputs_per_group, std::int64_t groups,
                                                ConvolutionMethod method) const {
    PackedConvolution packed;
    static_cast<ConvolutionShape &>(packed) = {.outputs = outputs,
                                               .inputs_per_group = inputs_per_group,
                                               .groups = groups,
                                               .kernel_height = kernel_height,
                                               .kernel_width = kernel_width,
                                               .depthwise = inputs_per_group == 1 && groups > 1};
    packed.bfloat16 = method == ConvolutionMethod::bfloat16_products;
    packed.winograd = method == ConvolutionMethod::winograd;
    std::vector<float> paired;
    if (packed.bfloat16 && !packed.depthwise) {
        paired = paired_weights(weights, outputs * kernel_height * kernel_width, inputs_per_group);
        packed.inputs_per_group = (inputs_per_group + 1) / 2;
        weights = paired.data();
    } else {
        merge_narrow_groups(packed, vector_width);
    }
    packed.weights = memory.take(packed_size(packed));
    pack(packed, weights, packed.weights.data());
    const auto padded = static_cast<std::size_t>((outputs + vector_width - 1) / vector_width * vector_width);
    packed.bias = AlignedBuffer<float>(padded);
    std::fill_n(packed.bias.data(), padded, 0.0f);
    if (bias_values) std::copy_n(bias_values, outputs, packed.bias.data());
    if (packed.winograd)
        packed.plain = std::make_unique<PackedConvolution>(
            pack_convolution(memory, weights, bias_values, outputs, kernel_height, kernel_width,
                             inputs_per_group, groups, ConvolutionMethod::products));
    return packed;
}

} // namespace mpscnn::cpu
