#include "metal/arrays/array_program.h"

#include <algorithm>

#include "metal/device/image.h"
#include "shaders/array_channels_params.h"

namespace mpscnn::metal {

static_assert(sizeof(ArrayRun) == 2 * sizeof(int) && sizeof(ArrayImage) == 4 * sizeof(int));

ArrayImage array_image(const Shape &shape) {
    const Shape extents = image_extents(shape);
    return {static_cast<unsigned int>(shape[0]), static_cast<unsigned int>(extents[0]),
            static_cast<unsigned int>(extents[1]), static_cast<unsigned int>(extents[2])};
}

std::size_t ArrayProgram::add_scratch(std::int64_t elements) {
    scratch_.push_back(static_cast<std::size_t>(elements) * sizeof(float));
    return result() + scratch_.size();
}

const std::size_t *ArrayProgram::weight(const std::string &role) const {
    const auto found = operands_->weights.find(role);
    return found == operands_->weights.end() ? nullptr : &found->second;
}

bool ArrayProgram::multiplies_halves() const {
    const std::size_t *weights = weight("weight");
    return operands_->sources[0].half && weights && operands_->sources[*weights].half;
}

std::string ArrayProgram::variant_of(const std::string &shader, NeuronKind activation) const {
    const std::string variant = shader + "_of_halves";
    return multiplies_halves() && choice_->may_take(variant, activation) ? variant : shader;
}

ArrayRun ArrayProgram::run_of(const std::vector<std::size_t> &arrays, std::int64_t threads) const {
    ArrayRun run{static_cast<unsigned int>(threads), 0};
    for (std::size_t i = 0; i < arrays.size(); ++i) {
        const bool half = arrays[i] < result()    ? operands_->sources[arrays[i]].half
                          : arrays[i] == result() ? operands_->result.half
                                                  : false;
        if (half) run.halves |= 2u << i; // bit 0 stands for buffer 0, the parameters
    }
    return run;
}

ArrayStage &ArrayProgram::add_stage(std::string shader, std::span<const std::byte> params,
                                    std::vector<std::size_t> arrays, std::int64_t threads) {
    ArrayStage stage;
    stage.shader = std::move(shader);
    stage.params.assign(params.begin(), params.end());
    stage.arrays = std::move(arrays);
    stage.threads = threads;
    stages_.push_back(std::move(stage));
    return stages_.back();
}

/// Choose the number of parts: enough threads for a large GPU, but only as many parts as one thread can add
/// quickly.
SumParts::SumParts(std::int64_t results, std::int64_t elements) {
    constexpr std::int64_t threads = 1 << 17, minimum = 256, maximum = 1024;
    const std::int64_t wanted = std::clamp<std::int64_t>(threads / results, 1, maximum);
    part = std::max(minimum, (elements + wanted - 1) / wanted);
    count = std::max<std::int64_t>(1, (elements + part - 1) / part);
}

SumParts SumParts::of_length(std::int64_t part, std::int64_t elements) {
    SumParts parts;
    parts.part = part;
    parts.count = std::max<std::int64_t>(1, (elements + part - 1) / part);
    return parts;
}

namespace {

std::int64_t quotient_up(std::int64_t number, std::int64_t divisor) {
    return (number + divisor - 1) / divisor;
}

} // namespace

/// Choose the number of parts. It gives a large GPU enough threadgroups. A thread has several pixels, and
/// there are so few parts that one threadgroup can add the parts of a channel quickly.
ChannelParts::ChannelParts(std::int64_t pixels, std::int64_t all_channels) : channels(all_channels) {
    constexpr std::int64_t groups = 512, min_pixels = 4, few_pixels = 512;
    // One threadgroup sums few pixels without a second kernel, if few of its threads have other channels.
    const std::int64_t max_columns = pixels <= few_pixels ? 4 : 16;
    if (channels % 4 == 0) lanes = 4;
    const std::int64_t quads = channels / lanes;
    while (columns < std::min(quads, max_columns)) columns *= 2;
    const std::int64_t rows = channel_threads / columns, limit = pixels / (rows * min_pixels);
    count =
        std::clamp<std::int64_t>(groups / quotient_up(quads, columns), 1, std::max<std::int64_t>(limit, 1));
}

std::int64_t ChannelParts::threads() const {
    return quotient_up(channels / lanes, columns) * count * channel_threads;
}

std::size_t ChannelParts::threadgroup_bytes(std::size_t sums) {
    return sums * channel_threads * 4 * sizeof(float);
}

} // namespace mpscnn::metal
