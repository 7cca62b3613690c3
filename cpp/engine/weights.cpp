#include "engine/weights.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/error.h"
#include "core/half.h"

namespace mpscnn::engine {

const char *name_of(WeightType type) {
    return type == WeightType::float32 ? "float32" : type == WeightType::float16 ? "float16" : "uint8";
}

std::size_t size_of(WeightType type) {
    return type == WeightType::float32 ? 4 : type == WeightType::float16 ? 2 : 1;
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
        fail(ErrorKind::weights, "quantization needs one scale and zero point, or " +
                                     std::to_string(channels) + " (one per output channel), got " +
                                     std::to_string(scales.size()) + " and " +
                                     std::to_string(zero_points.size()));
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

FloatWeights WeightTensor::floats() const {
    const bool aligned = reinterpret_cast<std::uintptr_t>(data()) % alignof(float) == 0;
    if (type_ != WeightType::float32 || !aligned) return FloatWeights(values());
    const auto *first = reinterpret_cast<const float *>(data());
    return {bytes_, {first, static_cast<std::size_t>(elements())}};
}

void WeightTensor::read(std::size_t first, std::span<float> target) const {
    if (target.empty()) return;
    const std::byte *source = data() + first * size_of(type_);
    switch (type_) {
    case WeightType::float32:
        std::memcpy(target.data(), source, target.size_bytes());
        break;
    case WeightType::float16: {
        std::vector<std::uint16_t> halves(target.size()); // the file's bytes need not be aligned
        std::memcpy(halves.data(), source, target.size() * sizeof(std::uint16_t));
        floats_from_halves(halves, target);
        break;
    }
    case WeightType::uint8: {
        const std::size_t per_scale = static_cast<std::size_t>(elements()) / scales_.size();
        for (std::size_t done = 0; done < target.size();) {
            const std::size_t channel = (first + done) / per_scale;
            const std::size_t end = std::min(target.size(), (channel + 1) * per_scale - first);
            const float scale = scales_[channel], zero_point = zero_points_[channel];
            for (; done < end; ++done) target[done] = (static_cast<float>(source[done]) - zero_point) * scale;
        }
        break;
    }
    }
}

} // namespace mpscnn::engine
