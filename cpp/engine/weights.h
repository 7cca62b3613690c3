#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/shape.h"

namespace mpscnn::engine {

/// How weights are stored. uint8 weights are (value - zero_point) * scale, per tensor or per output channel.
enum class WeightType { float32, float16, uint8 };

/// Weights as float32: those of a tensor that has them so, where they are, and otherwise a copy.
class FloatWeights {
public:
    explicit FloatWeights(std::vector<float> own) : own_(std::move(own)), values_(own_) {}
    FloatWeights(std::shared_ptr<const std::byte> bytes, std::span<const float> values)
        : bytes_(std::move(bytes)), values_(values) {}
    FloatWeights(FloatWeights &&) = default; // a vector that is moved keeps its elements where they are
    FloatWeights &operator=(FloatWeights &&) = default;

    const float *data() const { return values_.data(); }
    std::span<const float> values() const { return values_; }

private:
    std::vector<float> own_;
    std::shared_ptr<const std::byte> bytes_;
    std::span<const float> values_;
};

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
    /// What keeps the elements alive.
    const std::shared_ptr<const std::byte> &owner() const { return bytes_; }
    const std::vector<float> &scales() const { return scales_; }
    const std::vector<float> &zero_points() const { return zero_points_; }

    /// The same elements in another shape with the same first axis.
    WeightTensor reshaped(const Shape &shape) const;

    /// All elements as float32, dequantised.
    std::vector<float> values() const;
    /// Likewise, without a copy where none is needed.
    FloatWeights floats() const;
    /// The elements from `first` on as float32, dequantised, as many as `target` takes.
    void read(std::size_t first, std::span<float> target) const;

private:
    Shape shape_;
    WeightType type_ = WeightType::float32;
    std::shared_ptr<const std::byte> bytes_;
    std::vector<float> scales_, zero_points_;
};

const char *name_of(WeightType type);
std::size_t size_of(WeightType type);

} // namespace mpscnn::engine
