#include "engine/weights.h"

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
    const auto count = static_cast<std::size_t>(elements());
    std::vector<float> result(count);
    switch (type_) {
    case WeightType::float32:
        std::memcpy(result.data(), data(), count * sizeof(float));
        break;
    case WeightType::float16: {
        std::vector<std::uint16_t> halves(count); // the file's bytes need not be aligned
        std::memcpy(halves.data(), data(), count * sizeof(std::uint16_t));
        floats_from_halves(halves, result);
        break;
    }
    case WeightType::uint8: {
        const std::size_t per_scale = count / scales_.size();
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t channel = i / per_scale;
            result[i] = (static_cast<float>(data()[i]) - zero_points_[channel]) * scales_[channel];
        }
        break;
    }
    }
    return result;
}

} // namespace mpscnn::engine
