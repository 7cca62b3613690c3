#include "cpu/plan/rounding_offset.h"

#include <algorithm>
#include <cmath>

namespace mpscnn::cpu {

namespace {

using Natural = std::uint64_t;

Natural negative(Natural x, Natural modulus) { return (modulus - x % modulus) % modulus; }

/// Return the smallest t >= 0 for which a * t modulo `modulus` is from `low` to `high`, or nothing if it is
/// above `max`. As in Euclid's algorithm, each call passes remainders of its numbers to the next one. a and
/// `max` are below 2^32, and `modulus` is at most 2^52.
std::optional<Natural> first_multiple(Natural a, Natural modulus, Natural low, Natural high, Natural max) {
    if (low == 0) return 0;
    a %= modulus;
    if (a == 0) return {};
    const Natural first = (low + a - 1) / a;
    if (a * first <= high) return first <= max ? std::optional(first) : std::nullopt;
    // a * t exceeds some multiple of the modulus. Find the smallest multiple for which this is possible.
    const std::optional<Natural> wraps =
        first_multiple(modulus % a, a, negative(high, a), negative(low, a), max * a / modulus);
    if (!wraps) return {};
    const Natural t = (low + modulus * *wraps + a - 1) / a;
    return t <= max ? std::optional(t) : std::nullopt;
}

/// Return the smallest of `count` numbers: x, and what is left modulo `modulus` after each subtraction of
/// `step`. x and `step` are below `modulus`.
Natural smallest_remainder(Natural x, Natural step, Natural modulus, Natural count) {
    // `down` is the smallest known decrease, and `up` the smallest known increase, with the number of
    // subtractions that each takes. As in Euclid's algorithm, each of the two is reduced by the other.
    Natural down = step, up = modulus - step, down_count = 1, up_count = 1, left = count - 1;
    while (down > 0) {
        const Natural decreases = std::min(x / down, left / down_count);
        x -= decreases * down;
        left -= decreases * down_count;
        if (x >= down) break;
        const Natural downs = (up - 1) / down;
        up -= downs * down;
        up_count += downs * down_count;
        if (up >= down) break; // the numbers repeat
        const Natural ups = std::min((down - x + up - 1) / up, (down - 1) / up);
        down -= ups * up;
        down_count += ups * up_count;
        if (down_count > left) break;
    }
    return x;
}

/// Return the constants of an offset that adds `quotient` to the rounded products.
RoundingOffset offset_of(const Requantization &to, Natural sums, double factor, Natural quotient) {
    // All terms are integers below 2^53, so doubles represent them exactly.
    const double added = (0x1.8p52 - factor * 0x1p52) + (to.zero_point - static_cast<double>(quotient));
    return {static_cast<std::uint32_t>(sums), factor, added};
}

} // namespace

std::optional<RoundingOffset> rounding_offset(const Requantization &to, std::int32_t m, std::int32_t shift) {
    constexpr auto min_sums = static_cast<Natural>(sum_limit),
                   max_more = (Natural{1} << 32) - 1 - 2 * min_sums;
    if (m == 0) return offset_of(to, min_sums, 0.0, 0);
    // Two roundings round ties of negative results away from zero. No constant that is added to products has
    // this effect.
    const bool has_ties = !to.once && to.low < to.zero_point;
    const int bits = 31 - shift;
    if (m < 1 << 30 || bits < 32 || bits > 52 || has_ties) return {};
    const auto factor = static_cast<Natural>(m);
    const Natural modulus = Natural{1} << bits, first_rounding = to.once ? 0 : Natural{1} << 30;

    // For each result k, `distance` is the distance from the border below k to the smallest product (a
    // multiple of m) that is not below the border. From each k to the next, the distance decreases by `step`
    // modulo m.
    const int first = to.low + 1 - to.zero_point, last = to.high - to.zero_point;
    const std::int64_t first_distance = (static_cast<std::int64_t>(modulus / 2 + first_rounding) -
                                         first * static_cast<std::int64_t>(modulus)) %
                                        m;
    const Natural step = modulus % factor, borders = static_cast<Natural>(last - first + 1),
                  distance = static_cast<Natural>(first_distance < 0 ? first_distance + m : first_distance);
    Natural smallest = factor / 2, largest = factor / 2;
    if (borders > 0) {
        smallest = std::min(smallest, smallest_remainder(distance, step, factor, borders));
        // m - 1 minus a distance increases by `step` from border to border.
        const Natural rest =
            smallest_remainder(factor - 1 - distance, (factor - step) % factor, factor, borders);
        largest = std::max(largest, factor - 1 - rest);
    }
    // All products may be decreased by up to `smallest` - 1, or increased by up to m - `largest` - 1, without
    // crossing a border. So the offset need not be exact.
    const Natural width = smallest + factor - largest;
    if (width < 2) return {};
    const Natural low = (first_rounding - smallest + 1 - min_sums * factor) & (modulus - 1);
    const Natural high = low + width - 2;
    const std::optional<Natural> more =
        high < modulus ? first_multiple(factor, modulus, low, high, max_more) : std::optional<Natural>(0);
    if (!more) return {};
    const Natural sums = min_sums + *more, quotient = (sums * factor + smallest - 1 - first_rounding) >> bits;
    return offset_of(to, sums, std::ldexp(static_cast<double>(m), -bits), quotient);
}

} // namespace mpscnn::cpu
