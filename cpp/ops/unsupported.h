#pragma once

// THE table of valid combinations that an engine cannot do. Engines refuse nothing on their own: a program
// asks the table before its backend sees the graph, and once more when free extents are known.

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

/// A layer as the table is asked about it. Extents may be free.
struct LayerUse {
    const Operation &operation;
    InputShapes inputs;
    const Shape &output;
    const std::optional<Neuron> &activation;
    bool half = false;            ///< in float16 precision
    bool float32 = true;          ///< in float32 precision
    bool int8 = false;            ///< in int8 precision
    bool quantized = false;       ///< its inputs and its result have a quantization
    bool reads_variables = false; ///< its weights are tensors of the graph
};

/// Whether it is none, relu, relu6 or another pair of limits: what integers are clamped by in int8 networks.
bool has_limits_only(const Neuron &neuron);

/// The session options that the table of unsupported features checks.
struct SessionUse {
    bool check_finite = false;
};

/// The program options that the table of unsupported features checks.
struct ProgramUse {
    bool bfloat16 = false;            ///< that precision
    std::string_view why_no_bfloat16; ///< of the engine's device; empty where it has it
    bool int8 = false;                ///< that precision
    bool winograd = true;             ///< whether convolutions may take Winograd's algorithm
};

/// Why an engine refuses, "<field> must be <allowed>, got <value>"; nothing when it does not.
std::optional<std::string> why_unsupported(std::string_view engine, const Shape &tensor);
std::optional<std::string> why_unsupported(std::string_view engine, const LayerUse &layer);
std::optional<std::string> why_unsupported(std::string_view engine, const SessionUse &session);
std::optional<std::string> why_unsupported(std::string_view engine, const ProgramUse &program);

/// The table as JSON: engine and operation ("any" for every one), field and what is allowed.
Json describe_unsupported_features();

} // namespace mpscnn::ops
