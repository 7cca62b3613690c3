#pragma once

// THE table of valid combinations that an engine cannot do. Engines refuse nothing on their own: a program
// asks the table before its backend sees the graph, and once more when free extents are known.

#include <optional>
#include <string>
#include <string_view>

#include "ops/op_list.h"

namespace mpscnn::ops {

/// An operation that an engine does not have at all.
struct MissingOperation {
    std::string_view engine, operation;
};

/// A constant in a header so that a backend without a layer for an operation that is not listed does not
/// compile: who teaches it the operation deletes the line.
inline constexpr MissingOperation missing_operations[] = {
    {"metal", "argument"},
    {"metal", "batch_normalization"},
    {"metal", "batch_statistics"},
    {"metal", "binary_convolution"},
    {"metal", "binary_fully_connected"},
    {"metal", "cross_channel_normalization"},
    {"metal", "depth_to_space"},
    {"metal", "divide"},
    {"metal", "dropout"},
    {"metal", "group_normalization"},
    {"metal", "local_contrast_normalization"},
    {"metal", "log_softmax"},
    {"metal", "multiply"},
    {"metal", "padding"},
    {"metal", "reduction"},
    {"metal", "resize"},
    {"metal", "slice"},
    {"metal", "spatial_normalization"},
    {"metal", "subpixel_convolution"},
    {"metal", "subtract"},
    {"metal", "transposed_convolution"},
    {"metal", "weighted_reduction"},
};

constexpr bool is_missing(std::string_view engine, std::string_view operation) {
    for (const MissingOperation &missing : missing_operations)
        if (missing.engine == engine && missing.operation == operation) return true;
    return false;
}

/// What every Mac's GPU can do: extents of a texture, slices (of four feature channels) of a texture array;
/// and elements of one image, which the engine's shaders number with 32 bits.
namespace metal_limits {
inline constexpr std::int64_t extent = 16384, slices = 2048, elements = std::int64_t{1} << 31;
} // namespace metal_limits

/// A layer as the table is asked about it. Extents may be free.
struct LayerUse {
    const Operation &operation;
    InputShapes inputs; ///< of a reshape: those of the tensor whose elements it arranges, through others
    const Shape &output;
    const std::optional<Neuron> &activation;
    bool half = false;             ///< in float16 precision
    bool only_dense_reads = false; ///< of a reshape: its result goes to fully_connected layers alone
};

/// What a session is asked for.
struct SessionUse {
    bool check_finite = false;
};

/// Why an engine refuses, "<field> must be <allowed>, got <value>"; nothing when it does not.
std::optional<std::string> refusal(std::string_view engine, const Shape &tensor);
std::optional<std::string> refusal(std::string_view engine, const LayerUse &layer);
std::optional<std::string> refusal(std::string_view engine, const SessionUse &session);

/// The table as JSON, missing operations first: engine and operation ("any" for every one), and, but for
/// missing operations, field and what is allowed.
Json describe_refusals();

} // namespace mpscnn::ops
