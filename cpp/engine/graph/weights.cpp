#include "engine/graph/weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/half.h"
#include "engine/graph/weight_values.h"

namespace mpscnn::engine {

namespace {

bool is_aligned(const std::byte *address, std::size_t size) {
    return reinterpret_cast<std::uintptr_t>(address) % size == 0;
}

template <class T> std::span<const T> elements_of(const std::byte *aligned, std::size_t count) {
    return {reinterpret_cast<const T *>(aligned), count};
}

/// Call work(channel, values) for each part of `target` that belongs to one channel. `target` holds the
/// values from index `first` on of a tensor that consists of `channels` equal parts.
template <class Work>
void for_each_channel(std::int64_t elements, std::size_t channels, std::size_t first, std::span<float> target,
                      Work work) {
    const std::size_t size = static_cast<std::size_t>(elements) / channels;
    for (std::size_t done = 0; done < target.size();) {
        const std::size_t channel = (first + done) / size;
        const std::size_t end = std::min(target.size(), (channel + 1) * size - first);
        work(channel, target.subspan(done, end - done));
        done = end;
    }
}

void read_halves(const std::byte *source, std::span<float> target) {
    if (is_aligned(source, sizeof(std::uint16_t)))
        return floats_from_halves(elements_of<std::uint16_t>(source, target.size()), target);
    std::array<std::uint16_t, 2048> halves; // the file's bytes need not be aligned
    for (std::size_t done = 0; done < target.size(); done += halves.size()) {
        const std::size_t count = std::min(halves.size(), target.size() - done);
        std::memcpy(halves.data(), source + done * sizeof(std::uint16_t), count * sizeof(std::uint16_t));
        floats_from_halves({halves.data(), count}, target.subspan(done, count));
    }
}

} // namespace

const char *name_of(WeightType type) {
    constexpr const char *names[] = {"float32", "float16", "uint8", "int32"};
    return names[static_cast<int>(type)];
}

std::size_t size_of(WeightType type) {
    constexpr std::size_t sizes[] = {4, 2, 1, 4};
    return sizes[static_cast<int>(type)];
}

WeightTensor::WeightTensor(Shape shape, WeightType type, std::shared_ptr<const std::byte> bytes)
    : shape_(shape), type_(type), bytes_(std::move(bytes)) {}

WeightTensor WeightTensor::from_floats(Shape shape, std::vector<float> values) {
    auto owner = std::make_shared<const std::vector<float>>(std::move(values));
    const auto *first = reinterpret_cast<const std::byte *>(owner->data());
    return {shape, WeightType::float32, std::shared_ptr<const std::byte>(owner, first)};
}

void WeightTensor::set_quantization(std::vector<float> scales, std::vector<float> zero_points) {
    const auto channels = static_cast<std::size_t>(shape_.rank() > 0 ? shape_[0] : 1);
    if (scales.size() != zero_points.size() || (scales.size() != 1 && scales.size() != channels))
        fail(ErrorKind::weights,
             {"quantization needs one scale and zero point, or ", channels, " (one per output channel), got ",
              scales.size(), " and ", zero_points.size()});
    scales_ = std::move(scales);
    zero_points_ = std::move(zero_points);
}

WeightTensor WeightTensor::reshaped(const Shape &shape) const {
    WeightTensor result = *this;
    result.shape_ = shape;
    return result;
}

std::size_t WeightTensor::bytes() const { return static_cast<std::size_t>(elements()) * size_of(type_); }

std::vector<float> WeightTensor::values() const {
    std::vector<float> result(static_cast<std::size_t>(elements()));
    read(0, result);
    return result;
}

void WeightTensor::read(std::size_t first, std::span<float> target) const {
    read_unscaled(first, target);
    if (factors_.empty()) return;
    for_each_channel(elements(), factors_.size(), first, target,
                     [&](std::size_t channel, auto values) { scale(values, factors_[channel]); });
}

void WeightTensor::read_unscaled(std::size_t first, std::span<float> target) const {
    if (target.empty()) return;
    const std::byte *source = data() + first * size_of(type_);
    switch (type_) {
    case WeightType::float32:
        std::memcpy(target.data(), source, target.size_bytes());
        break;
    case WeightType::float16:
        read_halves(source, target);
        break;
    case WeightType::uint8:
        if (!ranges_.empty()) {
            for_each_channel(
                elements(), ranges_.size(), first, target, [&](std::size_t channel, auto values) {
                    dequantize_range(source, ranges_[channel].low, ranges_[channel].high, values);
                    source += values.size();
                });
            break;
        }
        for_each_channel(elements(), scales_.size(), first, target, [&](std::size_t channel, auto values) {
            dequantize(source, scales_[channel], zero_points_[channel], values);
            source += values.size();
        });
        break;
    case WeightType::int32:
        for_each_channel(elements(), scales_.size(), first, target, [&](std::size_t channel, auto values) {
            for (float &value : values) {
                std::int32_t integer;
                std::memcpy(&integer, source, sizeof integer);
                source += sizeof integer;
                value = static_cast<float>((static_cast<double>(integer) - zero_points_[channel]) *
                                           static_cast<double>(scales_[channel]));
            }
        });
        break;
    }
}

const std::byte *WeightTensor::in_place(WeightType type) const {
    const bool readable = type == type_ && !has_quantization() && factors_.empty();
    return readable && is_aligned(data(), size_of(type)) ? data() : nullptr;
}

std::optional<WeightValue> WeightTensor::find_forbidden(float lowest) const {
    const auto count = static_cast<std::size_t>(elements());
    if (lowest == std::numeric_limits<float>::lowest()) { // the usual check needs no copy of the weights
        if (const std::byte *floats = in_place(WeightType::float32))
            if (!any_not_finite(elements_of<float>(floats, count))) return std::nullopt;
        if (const std::byte *halves = in_place(WeightType::float16))
            if (!any_not_finite(elements_of<std::uint16_t>(halves, count))) return std::nullopt;
    }
    std::array<float, 2048> values; // in blocks, since a copy of all weights would take longer than the check
    for (std::size_t first = 0; first < count; first += values.size()) {
        const std::span block(values.data(), std::min(values.size(), count - first));
        read(first, block);
        const auto bad = std::find_if_not(block.begin(), block.end(),
                                          [&](float x) { return std::isfinite(x) && x >= lowest; });
        if (bad != block.end())
            return WeightValue{first + static_cast<std::size_t>(bad - block.begin()), *bad};
    }
    return std::nullopt;
}

std::optional<WeightTensor> WeightTensor::scaled(std::vector<double> factors) const {
    if (!factors_.empty()) return from_floats(shape_, values()).scaled(std::move(factors));
    double largest = 0;
    for (const double factor : factors) {
        if (!std::isfinite(factor)) return std::nullopt;
        largest = std::max(largest, std::abs(factor));
    }
    WeightTensor result = *this;
    result.factors_ = std::move(factors);
    constexpr double largest_half = 65504;
    const bool is_small =
        type_ == WeightType::float16 && largest * largest_half <= std::numeric_limits<float>::max();
    if (!is_small && result.find_forbidden(std::numeric_limits<float>::lowest())) return std::nullopt;
    return result;
}

} // namespace mpscnn::engine
