#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/shape.h"

namespace mpscnn::engine {

/// How weights are stored. uint8 weights are (value - zero_point) * scale, per tensor or per output channel.
enum class WeightType { float32, float16, uint8 };

/// A weight tensor as it came from its file or caller: immutable, sharing its memory with copies of the
/// graph.
class WeightTensor {
public:
    WeightTensor() = default;
    /// Copies nothing: `bytes` keeps the elements alive.
    WeightTensor(Shape shape, WeightType type, std::shared_ptr<const std::byte> bytes);
    static WeightTensor from_floats(Shape shape, std::vector<float> values);

    /// uint8 only: one entry, or one for each index of the first axis.
    void set_quantization(std::vector<float> scales, std::vector<float> zero_points);

    const Shape &shape() const { return shape_; }
    WeightType type() const { return type_; }
    std::int64_t elements() const { return shape_.elements(); }
    std::size_t bytes() const;
    const std::byte *data() const { return bytes_.get(); }
    const std::vector<float> &scales() const { return scales_; }
    const std::vector<float> &zero_points() const { return zero_points_; }

    /// The same elements in another shape with the same first axis.
    WeightTensor reshaped(const Shape &shape) const;

    /// All elements as float32, dequantised.
    std::vector<float> values() const;

private:
    Shape shape_;
    WeightType type_ = WeightType::float32;
    std::shared_ptr<const std::byte> bytes_;
    std::vector<float> scales_, zero_points_;
};

const char *name_of(WeightType type);
std::size_t size_of(WeightType type);

} // namespace mpscnn::engine
