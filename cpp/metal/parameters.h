#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "ops/op_list.h"

namespace mpscnn::metal {

using FieldNames = std::initializer_list<std::string_view>;

/// Those of ops::Window but for its edge rule.
inline constexpr FieldNames window_fields{"kernel_height", "kernel_width", "stride_y",  "stride_x",
                                          "dilation_y",    "dilation_x",   "padding",   "pad_top",
                                          "pad_bottom",    "pad_left",     "pad_right", "ceil_mode"};

/// Refuses every parameter that is not named and not at its default (`defaults`), so that an operation that
/// learns something new is not computed without it.
std::optional<std::string> refuse_parameters_beyond(const ops::Operation &operation,
                                                    const ops::Operation &defaults, FieldNames known,
                                                    FieldNames more = {});

template <class Op>
std::optional<std::string> refuse_parameters_beyond(const Op &operation, FieldNames known,
                                                    FieldNames more = {}) {
    return refuse_parameters_beyond(ops::Operation(operation), ops::Operation(Op{}), known, more);
}

} // namespace mpscnn::metal
