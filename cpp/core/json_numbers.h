#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/dtype.h"

namespace mpscnn {

/// Read a JSON array of numbers, which is the whole text, into an array in row-major order. The text's array
/// is flat, or nested like the shape.
///
/// Other readers of JSON build a value for each number, or an index of the text that is as large as the text.
/// A service cannot bound the memory of these. This reader writes each number to its place in one pass, and
/// shares the syntax with the library's own reader of JSON (core/json_reader.h).
///
/// Numbers are rounded to nearest even, as a double first. Throws a ParameterError for values that are not
/// numbers, for numbers that the type does not have (infinite ones, and for uint8 fractions), and for numbers
/// of more than 1,000 characters; a ShapeError for another number of elements or another nesting. Errors name
/// the byte.
void read_json_numbers(std::string_view text, std::span<const std::int64_t> shape, DType type, void *numbers);

} // namespace mpscnn
