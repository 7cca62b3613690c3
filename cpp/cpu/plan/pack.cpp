#include <algorithm>
#include <cstring>
#include <vector>

#include "core/bfloat16.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {

namespace {

/// Round weights to bfloat16 and join two inputs to one 32-bit number: [outputs][height][width][pairs of
/// inputs]. The last of an odd number of inputs is paired with a zero.
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

/// Return the shape in which kernels read packed weights. In bfloat16, two inputs are one number
/// (Bfloat16Kernels). With Algorithm::packed_groups, several groups share a vector (gemm_group_tile.h).
ConvolutionShape packed_shape(ConvolutionShape shape, std::int64_t vector_width) {
    if (shape.element == Element::bfloat16 && !shape.is_depthwise())
        shape.inputs_per_group = (shape.inputs_per_group + 1) / 2;
    if (shape.algorithm == Algorithm::packed_groups) {
        shape.merged = vector_width / shape.inputs_per_group;
        shape.inputs_per_group = vector_width;
        shape.groups /= shape.merged;
    }
    return shape;
}

ConvolutionShape plain_products(ConvolutionShape shape) {
    shape.algorithm = Algorithm::gemm;
    return shape;
}

} // namespace

PackedConvolution KernelTable::packed_later(const ConvolutionShape &shape) const {
    PackedConvolution packed;
    static_cast<ConvolutionShape &>(packed) = packed_shape(shape, vector_width);
    const auto width = static_cast<std::size_t>(vector_width);
    const auto whole_vectors = [&](std::size_t floats) { return (floats + width - 1) / width * width; };
    packed.weights = WeightBuffer::view(nullptr, whole_vectors(packed_size(packed)));
    packed.bias = WeightBuffer::view(nullptr, whole_vectors(static_cast<std::size_t>(shape.outputs)));
    if (shape.algorithm == Algorithm::winograd)
        packed.plain = std::make_shared<PackedConvolution>(packed_later(plain_products(shape)));
    return packed;
}

PackedConvolution KernelTable::pack_convolution(WeightMemory &memory, const float *weights,
                                                const float *bias_values,
                                                const ConvolutionShape &shape) const {
    PackedConvolution packed;
    static_cast<ConvolutionShape &>(packed) = packed_shape(shape, vector_width);
    const float *ordered = weights;
    std::vector<float> paired;
    if (shape.element == Element::bfloat16 && !shape.is_depthwise()) {
        const std::int64_t rows = shape.outputs * shape.kernel_height * shape.kernel_width;
        paired = paired_weights(weights, rows, shape.inputs_per_group);
        ordered = paired.data();
    }
    const std::size_t size = packed_size(packed);
    if (shape.half_weights) {
        AlignedBuffer<float> floats(size);
        pack(packed, ordered, floats.data());
        packed.weights = memory.take((size + 1) / 2);
        halves_from_floats(floats.data(), reinterpret_cast<std::uint16_t *>(packed.weights.data()),
                           static_cast<std::int64_t>(size));
    } else {
        packed.weights = memory.take(size);
        pack(packed, ordered, packed.weights.data());
    }
    const auto outputs = static_cast<std::size_t>(shape.outputs),
               width = static_cast<std::size_t>(vector_width);
    packed.bias = memory.take((outputs + width - 1) / width * width);
    std::fill_n(packed.bias.data(), packed.bias.size(), 0.0f);
    if (bias_values) std::copy_n(bias_values, outputs, packed.bias.data());
    if (shape.algorithm == Algorithm::winograd) {
        packed.plain = std::make_shared<PackedConvolution>(
            pack_convolution(memory, weights, bias_values, plain_products(shape)));
    }
    return packed;
}

} // namespace mpscnn::cpu
