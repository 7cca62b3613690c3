#include "cpu/plan/algorithm.h"

namespace mpscnn::cpu {

namespace {

/// True if vectors should hold inputs instead of outputs. With few outputs, most lanes of a vector of outputs
/// would be empty. The answer is the same for every vector width, because Algorithm::dot adds in another
/// order than Algorithm::gemm.
bool is_dot(const ConvolutionShape &shape) {
    // The sums of the lanes are added at the end. That must take a small part of the time.
    constexpr std::int64_t sums = 16, min_depth = 16 * sums; // common_sums.h
    const std::int64_t depth = shape.kernel_height * shape.kernel_width * shape.inputs_per_group;
    return shape.outputs / shape.groups <= max_dot_outputs && shape.inputs_per_group % sums == 0 &&
           depth >= min_depth;
}

/// True if groups are narrow, have as many outputs as inputs, and several groups fit one vector.
bool packs_groups(const VectorTraits &vectors, const ConvolutionShape &shape) {
    const std::int64_t size = shape.inputs_per_group, together = vectors.vector_width / size;
    return (size == 4 || size == 8) && together >= 2 && shape.outputs == shape.groups * size &&
           shape.groups % together == 0;
}

Algorithm plain_algorithm(const VectorTraits &vectors, const ConvolutionShape &shape) {
    if (shape.inputs_per_group == 1 && shape.groups > 1) return Algorithm::depthwise;
    if (shape.element == Element::bfloat16) return Algorithm::gemm;
    if (packs_groups(vectors, shape)) return Algorithm::packed_groups;
    return is_dot(shape) ? Algorithm::dot : Algorithm::gemm;
}

/// True if Winograd's algorithm is faster than a plain convolution. With few channels, its transforms cost
/// more than they save. With few pixels, reading its larger weights costs more than it saves.
bool is_faster_by_winograd(const ops::Convolution &convolution, const Shape &weights, const Shape &result) {
    constexpr std::int64_t min_channels = 16;
    const ops::Window &window = convolution.window;
    const std::int64_t kernel = weights[1], outputs = weights[0], inputs = weights[3];
    if (convolution.groups != 1 || weights[2] != kernel || window.stride_y != 1 || window.stride_x != 1 ||
        window.dilation_y != 1 || window.dilation_x != 1 || outputs < min_channels || inputs < min_channels)
        return false;
    const auto both_sides_reach = [&](std::int64_t extent) {
        const auto is_large = [&](std::int64_t own) { return own == Shape::any || own >= extent; };
        return is_large(result[1]) && is_large(result[2]);
    };
    if (kernel == 5) return both_sides_reach(4);
    // The weights of a 3x3 kernel grow by a factor of four, and the weights of a 5x5 kernel by 1.5.
    constexpr std::int64_t min_pixels = 96, cached_weights = 32 * 1024; // for each tap
    // An image of any size may have few pixels. So only the size of the weights counts for it.
    const bool any_size = result[1] == Shape::any || result[2] == Shape::any;
    return kernel == 3 && both_sides_reach(7) &&
           ((!any_size && result[1] * result[2] >= min_pixels) || outputs * inputs <= cached_weights);
}

} // namespace

ConvolutionShape plain_convolution(const VectorTraits &vectors, const Shape &weights, std::int64_t groups,
                                   Element element) {
    ConvolutionShape shape{.outputs = weights[0],
                           .inputs_per_group = weights[3],
                           .groups = groups,
                           .kernel_height = weights[1],
                           .kernel_width = weights[2],
                           .element = element};
    shape.algorithm = plain_algorithm(vectors, shape);
    return shape;
}

ConvolutionShape fastest_convolution(const VectorTraits &vectors, const ops::Convolution &convolution,
                                     const Shape &weights, const Shape &result) {
    ConvolutionShape shape = plain_convolution(vectors, weights, convolution.groups);
    // Winograd's algorithm has no kernels without FMA, because almost no processor in use lacks FMA.
    if (vectors.has_fma && is_faster_by_winograd(convolution, weights, result))
        shape.algorithm = Algorithm::winograd;
    return shape;
}

bool can_keep_halves(const VectorTraits &vectors, const ConvolutionShape &shape) {
    return vectors.has_fma && shape.algorithm == Algorithm::gemm && shape.element == Element::float32;
}

} // namespace mpscnn::cpu
