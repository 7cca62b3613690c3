#include "cpu/plan/weight_packing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/bfloat16.h"
#include "core/bfloat16_arrays.h"
#include "core/half.h"

namespace mpscnn::cpu {

using engine::Precision;

namespace {

/// Round floats to halves. Return true if any is too large for a half.
bool round_to_halves(std::span<float> floats) {
    std::array<std::uint16_t, 2048> halves;
    bool large = false;
    for (std::size_t done = 0; done < floats.size(); done += halves.size()) {
        const std::span block = floats.subspan(done, std::min(halves.size(), floats.size() - done));
        const std::span converted(halves.data(), block.size());
        // After an overflow, the caller reads the weights again to find the one for its message.
        if (halves_from_floats(block, converted) > 0)
            large = true;
        else
            floats_from_halves(converted, block);
    }
    return large;
}

void round_weights(std::span<float> weights, const LayerWeights &source, std::size_t first) {
    const bool half = source.precision == Precision::float16;
    if (!(half ? round_to_halves(weights) : round_to_bfloat16s(weights))) return;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        float weight;
        source.tensor.read(first + i, {&weight, 1});
        if (!std::isfinite(half ? round_to_half(weight) : round_to_bfloat16(weight)))
            fail(ErrorKind::weights,
                 {"layer ", quoted(source.layer), ": weight ", weight, " does not fit into ",
                  name_of(source.precision), ", whose largest number is ", (half ? "65504" : "3.39e38"),
                  "; use float32 precision (batch normalization is folded into the weights)"});
    }
}

bool has_pairs(const ConvolutionShape &shape) {
    return shape.element == Element::bfloat16 && !shape.is_depthwise();
}

/// Round weights to bfloat16 and join two inputs to one 32-bit number: [rows][pairs of inputs]. The last of
/// an odd number of inputs is paired with a zero.
const float *paired_weights(const float *weights, std::int64_t rows, std::int64_t inputs,
                            AlignedBuffer<float> &memory) {
    float *const paired = reserve(memory, static_cast<std::size_t>(rows * ((inputs + 1) / 2)));
    if (inputs % 2 == 0) { // the rows have no gaps between them
        inputs *= rows;
        rows = 1;
    }
    std::array<std::uint16_t, 2048> block;
    float *to = paired;
    for (std::int64_t row = 0; row < rows; ++row, weights += inputs)
        for (std::int64_t i = 0; i < inputs;) {
            const std::int64_t count =
                std::min(inputs - i, static_cast<std::int64_t>(block.size())); // even, except at the end
            bfloat16s_from_floats({weights + i, static_cast<std::size_t>(count)},
                                  {block.data(), static_cast<std::size_t>(count)});
            if (count % 2 != 0) block[static_cast<std::size_t>(count)] = 0;
            const std::int64_t pairs = (count + 1) / 2;
            std::memcpy(to, block.data(), static_cast<std::size_t>(pairs) * sizeof(float));
            to += pairs;
            i += count;
        }
    return paired;
}

/// Return the shape in which kernels read packed weights. In bfloat16, two inputs are one number
/// (Bfloat16Kernels). With Algorithm::packed_groups, several groups share a vector (gemm_group_tile.h).
ConvolutionShape packed_shape(ConvolutionShape shape, std::int64_t vector_width) {
    if (has_pairs(shape)) shape.inputs_per_group = (shape.inputs_per_group + 1) / 2;
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

float *reserve(AlignedBuffer<float> &memory, std::size_t floats) {
    if (memory.size() < floats) memory = AlignedBuffer<float>(floats);
    return memory.data();
}

std::span<const float> LayerWeights::read(std::size_t first, std::size_t count,
                                          AlignedBuffer<float> &memory) const {
    const std::byte *floats = tensor.in_place(engine::WeightType::float32);
    if (floats && precision == Precision::float32)
        return {reinterpret_cast<const float *>(floats) + first, count};
    const std::span weights(reserve(memory, count), count);
    tensor.read(first, weights);
    if (precision != Precision::float32) round_weights(weights, *this, first);
    return weights;
}

PackedConvolution unpacked_convolution(const KernelTable &kernels, WeightMemory &memory, const float *bias,
                                       const ConvolutionShape &shape) {
    PackedConvolution packed;
    static_cast<ConvolutionShape &>(packed) = packed_shape(shape, kernels.vector_width);
    const std::size_t size = kernels.packed_size(packed);
    packed.weights = memory.take(shape.half_weights ? (size + 1) / 2 : size);
    const auto outputs = static_cast<std::size_t>(shape.outputs),
               width = static_cast<std::size_t>(kernels.vector_width);
    packed.bias = memory.take((outputs + width - 1) / width * width);
    std::fill_n(packed.bias.data(), packed.bias.size(), 0.0f);
    if (bias) std::copy_n(bias, outputs, packed.bias.data());
    return packed;
}

void pack_weights(const KernelTable &kernels, const ConvolutionShape &shape, const float *weights,
                  float *packed, PackingMemory &memory) {
    const ConvolutionShape order = packed_shape(shape, kernels.vector_width);
    if (has_pairs(shape)) {
        const std::int64_t rows = shape.outputs * shape.kernel_height * shape.kernel_width;
        weights = paired_weights(weights, rows, shape.inputs_per_group, memory.paired);
    }
    if (!shape.half_weights) return kernels.pack(order, weights, packed);
    const std::size_t size = kernels.packed_size(order);
    float *const floats = reserve(memory.packed, size);
    kernels.pack(order, weights, floats);
    kernels.halves_from_floats(floats, reinterpret_cast<std::uint16_t *>(packed),
                               static_cast<std::int64_t>(size));
}

PackedConvolution KernelTable::pack_convolution(WeightMemory &memory, const float *weights,
                                                const float *bias_values,
                                                const ConvolutionShape &shape) const {
    PackedConvolution packed = unpacked_convolution(*this, memory, bias_values, shape);
    PackingMemory own;
    pack_weights(*this, shape, weights, packed.weights.data(), own);
    if (shape.algorithm == Algorithm::winograd)
        packed.plain = std::make_shared<PackedConvolution>(
            pack_convolution(memory, weights, bias_values, plain_products(shape)));
    return packed;
}

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

} // namespace mpscnn::cpu
