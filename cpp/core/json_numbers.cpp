#include "core/json_numbers.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

#include "core/half.h"
#include "core/json.h"
#include "core/json_reader.h"
#include "core/text.h"

namespace mpscnn {

namespace {

/// The powers of ten that doubles represent exactly.
constexpr double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                             1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr int largest_power = 22;

/// Return the double of a JSON number if it is a product or a quotient of two exact doubles, which is rounded
/// once (Clinger, "How to read floating point numbers accurately", 1990); otherwise nothing.
std::optional<double> simple_double(std::string_view text) {
    constexpr std::uint64_t exact = std::uint64_t{1} << 53;
    constexpr int far = 1'000'000;
    std::uint64_t mantissa = 0;
    int exponent = 0;
    std::size_t at = text[0] == '-' ? 1 : 0;
    bool in_fraction = false;
    for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
        if (text[at] == '.') {
            in_fraction = true;
            continue;
        }
        mantissa = mantissa * 10 + static_cast<std::uint64_t>(text[at] - '0');
        if (mantissa >= exact) return std::nullopt;
        exponent -= in_fraction ? 1 : 0;
    }
    if (at < text.size()) {
        const bool has_sign = text[++at] == '+' || text[at] == '-';
        const bool negative = text[at] == '-';
        int given = 0;
        for (at += has_sign ? 1 : 0; at < text.size(); ++at)
            given = std::min(given * 10 + (text[at] - '0'), far);
        exponent += negative ? -given : given;
    }
    if (exponent < -largest_power || exponent > largest_power) return std::nullopt;
    const auto number = static_cast<double>(mantissa);
    const double magnitude = exponent < 0 ? number / powers[-exponent] : number * powers[exponent];
    return text[0] == '-' ? -magnitude : magnitude;
}

/// Return the nearest half. The float between is rounded to odd, since rounding to nearest twice could miss
/// the nearest half (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
std::uint16_t half_from_double(double value) {
    auto nearest = static_cast<float>(value);
    if (static_cast<double>(nearest) != value && std::isfinite(nearest)) {
        if (std::abs(static_cast<double>(nearest)) > std::abs(value)) nearest = std::nextafter(nearest, 0.0F);
        nearest = std::bit_cast<float>(std::bit_cast<std::uint32_t>(nearest) | 1U);
    }
    return half_from_float(nearest);
}

/// Store a number as T, which has the bits of a half if T is uint16. Return false if the type lacks it.
template <class T> bool store(double value, T &stored) {
    if constexpr (std::is_same_v<T, double>) {
        stored = value;
        return std::isfinite(value);
    } else if constexpr (std::is_same_v<T, float>) {
        stored = static_cast<float>(value);
        return std::isfinite(stored);
    } else if constexpr (std::is_same_v<T, std::uint16_t>) {
        stored = half_from_double(value);
        return std::isfinite(float_from_half(stored));
    } else {
        using Limits = std::numeric_limits<T>;
        if (!(value >= Limits::min() && value <= Limits::max())) return false;
        stored = static_cast<T>(value);
        return static_cast<double>(stored) == value;
    }
}

template <class T> class NumberArrayReader : private JsonReader {
public:
    NumberArrayReader(std::string_view text, std::span<const std::int64_t> shape, DType type, T *numbers)
        : JsonReader(text, ErrorKind::parameter), shape_(shape), type_(type), next_(numbers) {}

    void read() {
        skip_space();
        if (!shape_.empty() && is_nested()) {
            list_of(0);
        } else {
            std::int64_t count = 1;
            for (const std::int64_t extent : shape_) count *= extent;
            list(count, [this] { number(); });
        }
        require_end();
    }

private:
    static constexpr std::size_t longest = 1'000;

    /// True if the first element of the array is an array.
    bool is_nested() {
        const std::size_t begin = position_;
        const bool opens = take('[');
        skip_space();
        const bool nested = opens && peek() == '[';
        position_ = begin;
        return nested;
    }

    /// Read the lists of an axis and of all axes after it.
    void list_of(std::size_t axis) {
        list(shape_[axis], [&] {
            if (axis + 1 < shape_.size())
                list_of(axis + 1);
            else
                number();
        });
    }

    template <class Element> void list(std::int64_t count, const Element &element) {
        if (peek() != '[') {
            if (is_number()) refuse_shape(0, count);
            unexpected("'['");
        }
        ++position_;
        for (std::int64_t i = 0; i < count; ++i) {
            skip_space();
            if (peek() == ']') refuse_shape(i, count);
            if (i > 0) {
                if (!take(',')) unexpected("',' or ']' after an element");
                skip_space();
            }
            element();
        }
        skip_space();
        if (peek() == ',') refuse_shape(count + 1, count);
        if (!take(']')) unexpected("']' after the elements");
    }

    bool is_number() const { return peek() == '-' || (peek() >= '0' && peek() <= '9'); }

    [[noreturn]] void refuse_shape(std::int64_t found, std::int64_t count) const {
        fail(ErrorKind::shape, {"JSON, byte ", position_, ": expected an array of ", count, " elements, got ",
                                (found > count ? "more"
                                 : found == 0  ? "none"
                                               : "fewer")});
    }

    void number() {
        if (peek() == '[')
            fail(ErrorKind::shape, {"JSON, byte ", position_, ": expected a number, got an array"});
        if (!is_number()) unexpected("a number");
        const std::size_t begin = position_;
        const double value = decimal();
        if (!store(value, *next_++))
            refuse(begin, concat({name_of(type_), " does not have the number ",
                                  quoted(text_.substr(begin, position_ - begin))}));
    }

    double decimal() {
        const std::size_t begin = position_;
        skip_number();
        const std::string_view text = text_.substr(begin, position_ - begin);
        if (text.size() > longest) refuse(begin, concat({"a number has more than ", longest, " characters"}));
        if (const auto simple = simple_double(text)) return *simple;
        digits_ = text; // with a zero at its end
        return std::strtod(digits_.c_str(), nullptr);
    }

    std::span<const std::int64_t> shape_;
    DType type_;
    T *next_;
    std::string digits_; ///< of a number that is not exact
    const PlainNumbers plain_;
};

template <class T>
void read_as(std::string_view text, std::span<const std::int64_t> shape, DType type, void *numbers) {
    NumberArrayReader<T>(text, shape, type, static_cast<T *>(numbers)).read();
}

/// Throw a ShapeError if the text has too few characters for so many numbers. So their product cannot
/// overflow.
void check_shape(std::string_view text, std::span<const std::int64_t> shape) {
    const auto most = static_cast<std::int64_t>(text.size());
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) {
        if (extent < 0) fail(ErrorKind::shape, {"JSON numbers: extents must be at least 0, got ", extent});
        if (extent > 0 && count > most / extent)
            fail(ErrorKind::shape,
                 {"JSON: a text of ", text.size(), " bytes has fewer numbers than the shape"});
        count *= extent;
    }
}

} // namespace

void read_json_numbers(std::string_view text, std::span<const std::int64_t> shape, DType type,
                       void *numbers) {
    check_shape(text, shape);
    switch (type) {
    case DType::float32:
        return read_as<float>(text, shape, type, numbers);
    case DType::float64:
        return read_as<double>(text, shape, type, numbers);
    case DType::float16:
        return read_as<std::uint16_t>(text, shape, type, numbers);
    case DType::uint8:
        return read_as<std::uint8_t>(text, shape, type, numbers);
    case DType::int32:
        return read_as<std::int32_t>(text, shape, type, numbers);
    }
}

} // namespace mpscnn
