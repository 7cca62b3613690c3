#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/shape.h"

namespace mpscnn::engine {

/// The storage types of weights. uint8 and int32 weights mean (value - zero_point) * scale, per tensor or per
/// output channel; int32 is for the biases of quantised layers.
enum class WeightType { float32, float16, uint8, int32 };

/// The numbers that the integers 0 and 255 mean in an output channel's weights.
struct WeightRange {
    float low, high;
    bool operator==(const WeightRange &) const = default;
};

/// A value of a tensor and its index.
struct WeightValue {
    std::size_t element;
    float value;
};

/// A weight tensor in the form in which its file or caller provided it. It is immutable and shares its memory
/// with copies of the graph. Its values are computed each time they are read.
class WeightTensor {
public:
    WeightTensor() = default;
    /// Share the elements in `bytes` without a copy.
    WeightTensor(Shape shape, WeightType type, std::shared_ptr<const std::byte> bytes);
    static WeightTensor from_floats(Shape shape, std::vector<float> values);

    /// Set scales and zero points of uint8 or int32 weights: one of each, or one for each index of the first
    /// axis.
    void set_quantization(std::vector<float> scales, std::vector<float> zero_points);

    /// Set one range for each index of the first axis, for uint8 only. Values are then the halves nearest to
    /// integer / 255 * (high - low) + low, as MPSCNNConvolution computes them from 8-bit weights.
    void set_ranges(std::vector<WeightRange> ranges) { ranges_ = std::move(ranges); }
    const std::vector<WeightRange> &ranges() const { return ranges_; }

    const Shape &shape() const { return shape_; }
    WeightType type() const { return type_; }
    std::int64_t elements() const { return shape_.elements(); }
    std::size_t bytes() const;
    const std::byte *data() const { return bytes_.get(); }
    /// Return the owner that keeps the elements alive.
    const std::shared_ptr<const std::byte> &owner() const { return bytes_; }
    const std::vector<float> &scales() const { return scales_; }
    bool has_quantization() const { return type_ == WeightType::uint8 || type_ == WeightType::int32; }
    const std::vector<float> &zero_points() const { return zero_points_; }

    /// Return the factors of a batch normalization that was folded into these values: one for each index of
    /// the first axis, or none.
    const std::vector<double> &factors() const { return factors_; }

    /// Return the same elements in another shape with the same first axis.
    WeightTensor reshaped(const Shape &shape) const;
    /// Return a tensor whose values are multiplied by a factor for each index of the first axis and rounded
    /// once. Return nothing if a result would not be finite.
    std::optional<WeightTensor> scaled(std::vector<double> factors) const;

    /// Return all values as float32, dequantised and scaled.
    std::vector<float> values() const;
    /// Copy values from index `first` on to `target` until it is full.
    void read(std::size_t first, std::span<float> target) const;
    /// Return the elements if their memory already holds values of this type, otherwise null.
    const std::byte *in_place(WeightType type) const;

    /// Return the first value that is NaN, infinite or below `lowest`.
    std::optional<WeightValue> find_forbidden(float lowest) const;

private:
    void read_unscaled(std::size_t first, std::span<float> target) const;

    Shape shape_;
    WeightType type_ = WeightType::float32;
    std::shared_ptr<const std::byte> bytes_;
    std::vector<float> scales_, zero_points_;
    std::vector<WeightRange> ranges_;
    std::vector<double> factors_;
};

const char *name_of(WeightType type);
std::size_t size_of(WeightType type);

} // namespace mpscnn::engine
