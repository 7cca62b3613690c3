#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {

/// The position and value of a tensor's first element that is NaN or infinite.
struct NotFinite {
    std::int64_t image, row, column, channel;
    float value;
};

std::optional<NotFinite> find_not_finite(const ConstView &tensor);

/// Throw a ParameterError such as "<where>: NaN at image 0, row 3, column 4, channel 7".
[[noreturn]] void refuse_not_finite(const std::string &where, const NotFinite &found);

} // namespace mpscnn::cpu
