#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

namespace mpscnn::engine {

/// The meaning of a tensor's 8-bit integers: number = (integer - zero_point) * scale.
struct Quantization {
    float scale = 1.0f;
    int zero_point = 0;
    bool is_signed = false; ///< true: int8; false: uint8

    int lowest() const { return is_signed ? -128 : 0; }
    int highest() const { return is_signed ? 127 : 255; }
    const char *type() const { return is_signed ? "int8" : "uint8"; }

    /// Throws ParameterError "<where>: ..." unless the scale is a positive number and the zero point is one
    /// of the integers.
    void require_valid(const std::string &where) const;

    /// Return the JSON form, such as {"type": "uint8", "scale": 0.5, "zero_point": 128}.
    Json to_json() const;
    static Quantization from_json(const JsonView &json);

    friend bool operator==(const Quantization &, const Quantization &) = default;
};

/// Make a quantization from the type of its integers, "uint8" or "int8". Throws ParameterError
/// "<where>: ..." for other types, and for values that require_valid refuses.
Quantization make_quantization(std::string_view type, float scale, int zero_point, const std::string &where);

} // namespace mpscnn::engine
