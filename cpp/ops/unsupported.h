#pragma once

// The table of valid networks and options that an engine does not support. Engines do not refuse anything by
// themselves. A program asks the table before its backend gets the graph, and again when free extents are
// known.

#include <optional>
#include <string>
#include <string_view>

#include "ops/op_list.h"

namespace mpscnn::ops {

/// Limits that the GPU of every Mac supports: extents of a texture, and slices (of four feature channels) of
/// a texture array. Elements of one image are limited because the engine's shaders number them with 32 bits.
namespace metal_limits {
inline constexpr std::int64_t extent = 16384, slices = 2048, elements = std::int64_t{1} << 31;
} // namespace metal_limits

/// The properties of a layer that the table checks. Extents may be free (Shape::any).
struct LayerUse {
    const Operation &operation;
    InputShapes inputs;
    const Shape &output;
    const std::optional<Neuron> &activation;
    bool half = false;            ///< true: in float16 precision
    bool int8 = false;            ///< true: in int8 precision
    bool quantized = false;       ///< true: its inputs and its result have a quantization
    bool reads_variables = false; ///< true: it reads its weights from variables of the graph
};

/// Return whether an activation only clamps: none, relu, relu6 or another pair of limits. An activation of
/// this kind can clamp the integers of int8 networks.
bool has_limits_only(const Neuron &neuron);

/// The session options that the table of unsupported features checks.
struct SessionUse {
    bool check_finite = false;
};

/// The program options that the table of unsupported features checks.
struct ProgramUse {
    bool bfloat16 = false; ///< true: bfloat16 precision
    /// The reason why the engine's device does not support bfloat16; empty if it does.
    std::string_view why_no_bfloat16;
    bool int8 = false;         ///< true: int8 precision
    bool winograd = true;      ///< true: convolutions may use Winograd's algorithm
    bool byte_weights = false; ///< true: weights in 8-bit integers, but not the computation
    bool half_sums = false;    ///< true: sums in halves
};

/// Return why the engine does not support a use, "<field> must be <allowed>, got <value>", or nothing if it
/// does.
std::optional<std::string> why_unsupported(std::string_view engine, const Shape &tensor);
std::optional<std::string> why_unsupported(std::string_view engine, const LayerUse &layer);
std::optional<std::string> why_unsupported(std::string_view engine, const SessionUse &session);
std::optional<std::string> why_unsupported(std::string_view engine, const ProgramUse &program);

/// Return the table as JSON: engine and operation ("any" for all), field and allowed values.
Json describe_unsupported_features();

} // namespace mpscnn::ops
