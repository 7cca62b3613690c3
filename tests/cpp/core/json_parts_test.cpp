// Tests the readers of large JSON texts: parts of objects and arrays, and arrays of numbers.

#include "core/json_parts.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "core/half.h"
#include "core/json.h"
#include "core/json_numbers.h"
#include "tests/cpp/check.h"

using mpscnn::DType;
using mpscnn::ErrorKind;
using mpscnn::JsonPart;
using mpscnn::next_json_part;
using mpscnn::read_json_numbers;

namespace {

/// Return the names and values, each with a semicolon after it.
std::string parts_of(std::string_view text) {
    std::string result;
    for (JsonPart part; next_json_part(text, part);) {
        result += text.substr(part.name.begin, part.name.end - part.name.begin);
        result += text.substr(part.value.begin, part.value.end - part.value.begin);
        result += ';';
    }
    return result;
}

template <class T = double>
std::vector<T> numbers_of(std::string_view text, std::vector<std::int64_t> shape,
                          DType type = DType::float64) {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    std::vector<T> numbers(static_cast<std::size_t>(count));
    read_json_numbers(text, shape, type, numbers.data());
    return numbers;
}

} // namespace

TEST(damaged_parts) {
    constexpr auto parameter = ErrorKind::parameter;
    for (const char *text :
         {"",        "1",        "[",     "[1",          "[1,",   "[1,]",        "[1 2]",    "[1]]", "[1}",
          "{\"a\"}", "{\"a\":}", "{1:2}", "{\"a\":1,}",  "[\"a]", "[\"a\\",      "[\"\n\"]", "[01]", "[1.]",
          "[-]",     "[tru]",    "[[1}]", "[{\"a\":1]]", "[NaN]", "[{\"a\" 1}]", "[[1 2]]",  "[[,]]"})
        CHECK_THROWS(parts_of(text), parameter, "JSON, byte");
    CHECK(parts_of("[" + std::string(1'000, '[') + std::string(1'000, ']') + "]").size() == 2'001);
    CHECK_THROWS(parts_of("[" + std::string(1'001, '[') + std::string(1'001, ']') + "]"), parameter,
                 "more than 1000 arrays and objects");
}

TEST(numbers_are_those_of_the_other_reader) {
    for (const char *text :
         {"0", "-0", "0.1", "1e22", "1e23", "1e-22", "1e-23", "9007199254740991", "9007199254740993",
          "123456789012345678", "0.30000001192092896", "2.2250738585072014e-308", "4.9e-324", "1e-400",
          "1.7976931348623157e308", "0.000000000000000000000000000001", "1000000000000000000000000000000e-30",
          "-1.1754943508222875e-38"}) {
        const double expected = mpscnn::parse_json(text).get<double>();
        const double read = numbers_of("[" + std::string(text) + "]", {1})[0];
        CHECK(read == expected && std::signbit(read) == (text[0] == '-'));
    }
    CHECK_THROWS(numbers_of("[1e309]", {1}), ErrorKind::parameter,
                 "float64 does not have the number '1e309'");
    CHECK(numbers_of("[0." + std::string(998, '0') + "]", {1})[0] == 0);
    CHECK_THROWS(numbers_of("[0." + std::string(999, '0') + "]", {1}), ErrorKind::parameter,
                 "more than 1000 characters");
}

TEST(numbers_of_each_type) {
    CHECK(numbers_of<float>("[0.1]", {1}, DType::float32)[0] == 0.1F);
    CHECK_THROWS(numbers_of<float>("[3.5e38]", {1}, DType::float32), ErrorKind::parameter,
                 "float32 does not");
    CHECK(numbers_of<std::uint8_t>("[0,255,1e2]", {3}, DType::uint8) ==
          std::vector<std::uint8_t>({0, 255, 100}));
    for (const char *text : {"[256]", "[-1]", "[0.5]"})
        CHECK_THROWS(numbers_of<std::uint8_t>(text, {1}, DType::uint8), ErrorKind::parameter,
                     "uint8 does not");
    CHECK(numbers_of<std::int32_t>("[-2147483648]", {1}, DType::int32)[0] ==
          std::numeric_limits<std::int32_t>::min());
    const auto half = [](const char *text) {
        return mpscnn::float_from_half(numbers_of<std::uint16_t>(text, {1}, DType::float16)[0]);
    };
    CHECK(half("[65504]") == 65504.0F);
    CHECK(half("[65519.99]") == 65504.0F);
    CHECK_THROWS(half("[65520]"), ErrorKind::parameter, "float16 does not have");
    // The nearest float of this number is halfway between two halves, and the even one is not the nearest
    // half.
    CHECK(half("[1.00048828126]") == 1.0009765625F);
    CHECK(half("[1.000488281250000001]") == 1.0F);
    CHECK(half("[1.0004882812500002220]") == 1.0009765625F);
}
