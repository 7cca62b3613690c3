#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/shape.h"

namespace mpscnn::ops {

/// Properties of an operation that do not depend on its parameters.
struct OperationInfo {
    const char *name;    ///< the name in model files, the C interface and Python
    const char *summary; ///< one line for documentation
    int min_inputs;
    int max_inputs;
    bool rounds;           ///< float16 networks round its result to float16 (a rounding point)
    bool takes_activation; ///< a neuron may be attached; it is applied before the result is rounded
    bool has_gradient;     ///< differentiable with respect to its first input
    /// True if an image's result depends on the other images of the batch, or on its index among them.
    bool joins_images = false;
    /// True if it computes gradients, losses or new weights. Networks for inference do not contain it.
    bool for_training = false;
};

/// Return the properties of an operation that computes gradients, losses or new weights, with `more` optional
/// inputs.
constexpr OperationInfo training_info(const char *name, const char *summary, int inputs, int more = 0) {
    return {.name = name,
            .summary = summary,
            .min_inputs = inputs,
            .max_inputs = inputs + more,
            .rounds = false,
            .takes_activation = false,
            .has_gradient = false,
            .joins_images = true,
            .for_training = true};
}

/// Shapes of the inputs, batch first. While a network is built extents may be free (Shape::any).
using InputShapes = std::span<const Shape>;

/// A weight tensor that an operation takes: its role ("weight", "bias", ...) and the shape it must have.
struct WeightSpec {
    std::string role;
    Shape shape;
    bool required = true;
    float lowest = std::numeric_limits<float>::lowest(); ///< smallest value allowed
};
using WeightSpecs = std::vector<WeightSpec>;

/// The arithmetic of one execution. A multiply-accumulate counts as two FLOPs.
struct Cost {
    std::int64_t macs = 0;
    std::int64_t flops = 0;
};

/// The names of an enumeration's values; specialised next to each enumeration.
template <class Enum> struct EnumNames;

template <class Enum> const char *name_of(Enum value) {
    for (const auto &[name, entry] : EnumNames<Enum>::values)
        if (entry == value) return name;
    return "?";
}

// An operation is a struct with the following members. Model files, the C interface, Python, the backends and
// the documentation use nothing else.
//   static constexpr OperationInfo info;
//   template <class Visitor> void fields(Visitor &);  call visit(name, reference, meaning) for each parameter
//   void check(const InputShapes &) const;            throw for wrong parameters or input shapes
//   Shape output_shape(const InputShapes &) const;    the result's shape; called after check
//   WeightSpecs weights(const InputShapes &) const;   roles and shapes of the weights
//   Cost cost(const InputShapes &, const Shape &output) const;  the arithmetic; all extents are fixed

/// Throws ParameterError "<operation>: <field> must be <allowed>, got <given>".
[[noreturn]] void refuse_parameter(const OperationInfo &info, std::string_view field, const TextPart &allowed,
                                   const TextPart &given);
/// The largest window parameter. It keeps every product of two parameters far inside 64 bits.
inline constexpr std::int64_t largest_size = 1 << 24;
/// Throws ParameterError unless minimum <= value <= largest_size.
void require_minimum(const OperationInfo &info, std::string_view field, std::int64_t value,
                     std::int64_t minimum);
void require_finite(const OperationInfo &info, std::string_view field, float value);
/// Throws ParameterError unless the value is finite and at least 0.
void require_not_negative(const OperationInfo &info, std::string_view field, float value);
/// Throws ParameterError unless the value divides the number of channels.
void require_divisor(const OperationInfo &info, std::string_view field, std::int64_t value,
                     std::int64_t channels);
/// Return a list as text, "[1, 2, 3]"; a long one is truncated.
std::string list_text(const std::vector<std::int64_t> &numbers);
/// Throws a ShapeError unless input `index` has `rank` axes (batch included).
void require_rank(const OperationInfo &info, const InputShapes &inputs, int rank, std::size_t index = 0);
/// Throws a ShapeError for a tensor with fewer than 2 axes, or with more than the 4 axes of an image.
void require_image_or_less(const OperationInfo &info, const Shape &input);
/// Throws a ShapeError unless input `index`, called `what` if that is given, has the shape `expected`; free
/// extents may differ.
void require_shape(const OperationInfo &info, const InputShapes &inputs, std::size_t index,
                   const Shape &expected, std::string_view what = "");
/// Throws a ShapeError unless input `index` has the shape of input 0; free extents may differ.
void require_like_first(const OperationInfo &info, const InputShapes &inputs, std::size_t index);
/// Throws a ShapeError unless `gradient`, input 0, has the shape of the result whose gradient it is; free
/// extents may differ.
void require_result(const OperationInfo &info, const Shape &gradient, const Shape &result);
/// Throws a ShapeError unless input 0 has feature channels, whose number may be free.
void require_channels(const OperationInfo &info, const InputShapes &inputs);
/// Throws a ShapeError when the channels of input 0 are free: weights depend on them.
void require_fixed_channels(const OperationInfo &info, const InputShapes &inputs);

} // namespace mpscnn::ops
