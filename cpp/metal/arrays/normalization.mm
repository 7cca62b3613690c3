#include <algorithm>

#include "metal/arrays/array_operations.h"
#include "metal/layers/neuron.h"
#include "shaders/array_channels_params.h"
#include "shaders/array_normalization_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ArrayChannelParams) == 13 * sizeof(int));
static_assert(sizeof(ArrayUnitParams) == 15 * sizeof(int));
static_assert(sizeof(ArrayNeighboursParams) == 8 * sizeof(int));

/// Return the index of a weight, or `otherwise` if it does not exist.
std::size_t weight_or(const ArrayProgram &program, const char *role, std::size_t otherwise) {
    const std::size_t *weight = program.weight(role);
    return weight ? *weight : otherwise;
}

// ---- With the statistics of a batch ----

ArrayChannelParams channel_params(const Shape &image, float epsilon) {
    ArrayChannelParams params{};
    params.channels = static_cast<unsigned int>(image.back());
    params.pixels = static_cast<unsigned int>(image.elements() / image.back());
    params.epsilon = epsilon;
    params.lanes = params.channels % 4 == 0 ? 4 : 1;
    return params;
}

/// Add kernels that compute two sums for each channel. Each threadgroup sums a part of the pixels, and
/// another kernel adds the parts.
void add_channel_sums(ArrayProgram &program, const char *shader, ArrayChannelParams params,
                      std::vector<std::size_t> sources, std::size_t to) {
    const ChannelParts parts(params.pixels, params.channels);
    parts.set(params);
    const bool once = parts.count == 1;
    const std::int64_t results = 2 * std::int64_t{params.channels};
    const std::size_t sums = once ? to : program.add_scratch(parts.count * results);
    sources.push_back(sums);
    program.add(shader, params, std::move(sources), parts.threads())
        .share(channel_threads, ChannelParts::threadgroup_bytes(2));
    if (!once) add_parts(program, sums, parts.count, to, results);
}

} // namespace

/// Add kernels that compute the mean first, and then deviations from it. A variance may be so small compared
/// with the square of the mean that other formulas would lose it.
void make_program(ArrayProgram &program, const ops::BatchStatistics &) {
    const Shape &image = program.shape(0);
    const ArrayChannelParams params = channel_params(image, 0.0f);
    const std::size_t means = program.add_scratch(params.channels),
                      sums = program.add_scratch(2 * std::int64_t{params.channels});
    add_sum(program, 0, array_image(image), means, {1, 1, 1, params.channels},
            1.0f / static_cast<float>(params.pixels));
    add_channel_sums(program, "array_channel_deviations", params, {0, means}, sums);
    program.add("array_channel_statistics", params, {means, sums, program.result()}, params.channels);
}

void make_program(ArrayProgram &program, const ops::BatchNormalization &operation) {
    ArrayChannelParams params = channel_params(program.shape(0), operation.epsilon);
    const Activation activation = activation_of(program.operands().activation);
    params.has_gamma = program.weight("gamma") ? 1 : 0;
    params.has_beta = program.weight("beta") ? 1 : 0;
    params.activation = activation.params;
    program
        .add("array_batch_normalization", params,
             {0, 1, weight_or(program, "gamma", 1), weight_or(program, "beta", 1), program.result()},
             program.shape(0).elements() / params.lanes)
        .activation = activation.kind;
}

void make_program(ArrayProgram &program, const ops::BatchNormalizationSums &operation) {
    const ArrayChannelParams params = channel_params(program.shape(0), operation.epsilon);
    add_channel_sums(program, "array_batch_sums", params, {0, 1, 2}, program.result());
}

void make_program(ArrayProgram &program, const ops::BatchNormalizationGradient &operation) {
    ArrayChannelParams params = channel_params(program.shape(0), operation.epsilon);
    params.has_gamma = program.operands().sources.size() == 5 ? 1 : 0;
    const std::size_t gamma = params.has_gamma != 0 ? 4 : 3;
    program.add("array_batch_gradient", params, {0, 1, 2, 3, gamma, program.result()},
                program.shape(0).elements() / params.lanes);
}

// ---- With the statistics of units ----

namespace {

/// Return the parameters of a group normalization. Its units, whose elements share statistics, are the groups
/// of channels of each image.
ArrayUnitParams group_params(const Shape &shape, const ops::GroupNormalization &operation) {
    const std::int64_t channels = shape.back(), image = shape.with_batch(1).elements();
    ArrayUnitParams params{};
    params.groups = static_cast<unsigned int>(operation.groups);
    params.image = static_cast<unsigned int>(image);
    params.pixels = static_cast<unsigned int>(image / channels);
    params.pitch = static_cast<unsigned int>(channels);
    params.channels = static_cast<unsigned int>(channels / operation.groups);
    params.epsilon = operation.epsilon;
    return params;
}

/// Return the parameters of a layer normalization. Its units, whose elements share statistics, are the
/// pixels.
ArrayUnitParams pixel_params(const Shape &shape, const ops::LayerNormalization &operation) {
    ArrayUnitParams params{};
    params.groups = params.pixels = 1;
    params.image = params.pitch = params.channels = static_cast<unsigned int>(shape.back());
    params.norm = static_cast<int>(operation.norm);
    params.epsilon_rule = static_cast<int>(operation.epsilon_rule);
    params.epsilon = operation.epsilon;
    return params;
}

std::int64_t units_of(const Shape &shape, const ArrayUnitParams &params) {
    return shape.elements() / params.image * params.groups;
}

/// Add a kernel that runs one threadgroup for each unit.
void add_unit_sums(ArrayProgram &program, const char *shader, const ArrayUnitParams &params,
                   std::vector<std::size_t> arrays, std::int64_t units) {
    program.add(shader, params, std::move(arrays), units * unit_threads)
        .share(unit_threads, unit_threads * sizeof(float));
}

std::size_t add_statistics(ArrayProgram &program, const ArrayUnitParams &params, std::size_t source) {
    const std::int64_t units = units_of(program.shape(source), params);
    const std::size_t statistics = program.add_scratch(5 * units);
    add_unit_sums(program, "array_unit_statistics", params, {source, statistics}, units);
    return statistics;
}

void add_normalization(ArrayProgram &program, ArrayUnitParams params) {
    const std::size_t statistics = add_statistics(program, params, 0);
    const Activation activation = activation_of(program.operands().activation);
    params.has_gamma = program.weight("gamma") ? 1 : 0;
    params.has_beta = program.weight("beta") ? 1 : 0;
    params.activation = activation.params;
    program
        .add("array_unit_normalization", params,
             {0, statistics, weight_or(program, "gamma", 0), weight_or(program, "beta", 0), program.result()},
             program.shape(0).elements())
        .activation = activation.kind;
}

/// Add the kernels of the gradient. The sources are the gradient of the result, the input and optionally
/// gamma.
void add_unit_gradient(ArrayProgram &program, ArrayUnitParams params) {
    const Shape &shape = program.shape(1);
    const std::int64_t units = units_of(shape, params);
    const std::size_t statistics = add_statistics(program, params, 1), means = program.add_scratch(2 * units);
    params.has_gamma = program.operands().sources.size() == 3 ? 1 : 0;
    const std::size_t gamma = params.has_gamma != 0 ? 2 : 0;
    add_unit_sums(program, "array_unit_means", params, {0, 1, statistics, gamma, means}, units);
    program.add("array_unit_gradient", params, {0, 1, statistics, gamma, means, program.result()},
                shape.elements());
}

} // namespace

void make_program(ArrayProgram &program, const ops::GroupNormalization &operation) {
    add_normalization(program, group_params(program.shape(0), operation));
}

void make_program(ArrayProgram &program, const ops::LayerNormalization &operation) {
    add_normalization(program, pixel_params(program.shape(0), operation));
}

void make_program(ArrayProgram &program, const ops::GroupNormalizationGradient &operation) {
    add_unit_gradient(program, group_params(program.shape(1), operation.normalization));
}

void make_program(ArrayProgram &program, const ops::LayerNormalizationGradient &operation) {
    add_unit_gradient(program, pixel_params(program.shape(1), operation.normalization));
}

// ---- Across channels ----

void make_program(ArrayProgram &program, const ops::CrossChannelNormalizationGradient &operation) {
    const ops::CrossChannelNormalization &normalization = operation.normalization;
    const Shape &shape = program.shape(1);
    const std::int64_t size = normalization.kernel_size;
    const auto limited = [&](std::int64_t reach) { return static_cast<int>(std::min(reach, shape.back())); };
    const ArrayNeighboursParams params{{},
                                       static_cast<unsigned int>(shape.back()),
                                       limited(size / 2),
                                       limited((size - 1) / 2),
                                       normalization.alpha / static_cast<float>(size),
                                       normalization.beta,
                                       normalization.delta};
    program.add("array_neighbours_gradient", params, {0, 1, program.result()}, shape.elements());
}

} // namespace mpscnn::metal
