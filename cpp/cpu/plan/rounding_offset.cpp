#include "cpu/plan/rounding_offset.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/kernels/tasks/fixed_point.h"

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

std::int64_t rounded_up(std::int64_t a, std::int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

/// The smallest float of a sum with its offset, and the float that represents a result of 0.
constexpr std::int64_t unit = std::int64_t{1} << 23, middle = unit + unit / 2;

constexpr std::uint32_t bits_of_unit = 0x4b000000;

/// The constants for the sums of an output on one side of 0, or for all.
struct Side {
    std::int64_t total; ///< the float of a sum of 0
    std::int64_t added; ///< added to products, without the zero point and the float of a result of 0
};

FloatOffset offset_of(const Requantization &to, const Side &side, float factor) {
    return {.sums = bits_of_unit + static_cast<std::uint32_t>(side.total - unit),
            .factor = factor,
            .added = static_cast<float>(middle + to.zero_point + side.added)};
}

/// A factor m * 2^-bits, and a float near it, short_factor * 2^(7 - bits).
struct ShortFactor {
    std::int32_t m;
    int bits;
    std::int64_t short_factor;
};

/// Return the constants for sums from `least` to `most`. `below`: ties are rounded down, as those of negative
/// products.
std::optional<Side> side_of(const Requantization &to, const ShortFactor &of, std::int64_t least,
                            std::int64_t most, bool below) {
    if (most - least >= unit) return {};
    // In units of 2^(7 - bits), the kernel rounds sum * short_factor + d for a d that must be from `low` to
    // `high`. Each border between two results limits d by the largest sum below the border and the smallest
    // sum that is not below it.
    const std::int64_t one = std::int64_t{1} << (of.bits - 7), half = std::int64_t{1} << (of.bits - 1),
                       first_rounding = to.once ? 0 : std::int64_t{1} << 30,
                       added = half + first_rounding - (below ? std::int64_t{1} << 31 : 0);
    constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();
    std::int64_t low = -none, high = none;
    for (std::int64_t result = to.low + 1 - to.zero_point; result <= to.high - to.zero_point; ++result) {
        const std::int64_t from = rounded_up(result * (2 * half) - added, of.m),
                           border = result * one - one / 2;
        if (from <= most) low = std::max(low, border - std::max(from, least) * of.short_factor + 1);
        if (from > least) high = std::min(high, border - std::min(from - 1, most) * of.short_factor - 1);
    }
    if (low == -none) low = high == none ? 0 : high - one + 1;
    if (high == none) high = low + one - 1;
    if (low > high) return {};

    // d is a whole number of results plus total * short_factor.
    const std::int64_t first_total = unit - least, room = unit - 1 - (most - least);
    const auto modulus = static_cast<Natural>(one);
    const Natural first = static_cast<Natural>(low - first_total * of.short_factor) & (modulus - 1),
                  last = first + static_cast<Natural>(high - low);
    std::optional<Natural> more = 0;
    if (last < modulus)
        more = first_multiple(static_cast<Natural>(of.short_factor), modulus, first, last,
                              static_cast<Natural>(room));
    if (!more) return {};
    const std::int64_t total = first_total + static_cast<std::int64_t>(*more),
                       whole = rounded_up(low - total * of.short_factor, one);
    const auto result_of = [&](std::int64_t sum) {
        return (sum + total) * of.short_factor / one + whole + to.zero_point;
    };
    constexpr std::int64_t limit = 32'000; // results are 16-bit integers
    if (result_of(least) < -limit || result_of(most) > limit) return {};
    return Side{total, whole};
}

} // namespace

std::optional<RoundingOffset> rounding_offset(const Requantization &to, std::int32_t m, std::int32_t shift) {
    constexpr auto min_sums = static_cast<Natural>(sum_limit),
                   max_more = (Natural{1} << 32) - 1 - 2 * min_sums;
    if (m == 0) return offset_of(to, min_sums, 0.0, 0);
    const int bits = 31 - shift;
    if (m < 1 << 30 || bits < 32 || bits > 52 || to.has_ties()) return {};
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

std::optional<FloatOffset> float_offset(const Requantization &to, std::int32_t m, std::int32_t shift,
                                        std::int64_t least, std::int64_t most) {
    if (least < -sum_limit || most >= sum_limit || shift > 0 || shift < -31) return {};
    const auto result_of = [&](std::int64_t sum) {
        const auto x = static_cast<std::int32_t>(sum);
        const std::int64_t rounded = to.once ? rounded_once(x, m, shift) : rounded_twice(x, m, shift);
        return limited(rounded + to.zero_point, to.low, to.high);
    };
    if (const std::int32_t only = result_of(least); only == result_of(most)) { // an output without inputs
        if (most - least >= unit) return {};
        FloatOffset offset = offset_of(to, {unit - least, only - to.zero_point}, 0.0f);
        offset.added_below = offset.added;
        return offset;
    }
    const int bits = 31 - shift;
    if (m < 1 << 30 || bits < 32 || bits > 52) return {};
    // Without ties below the zero point, one side has all sums.
    const bool has_sides = to.has_ties() && least < 0 && most >= 0;
    const std::int64_t nearest = (static_cast<std::int64_t>(m) + 64) >> 7;
    for (const std::int64_t more : {0, 1, -1, 2, -2}) { // a float next to the nearest one may be better
        const ShortFactor factor{m, bits, nearest + more};
        if (factor.short_factor < unit || factor.short_factor > 2 * unit) continue;
        const bool only_below = to.has_ties() && most < 0;
        const auto above = side_of(to, factor, has_sides ? 0 : least, most, only_below);
        if (!above) continue;
        const auto below = has_sides ? side_of(to, factor, least, -1, true) : above;
        if (!below) continue;
        FloatOffset offset =
            offset_of(to, *above, std::ldexp(static_cast<float>(factor.short_factor), 7 - bits));
        offset.split = has_sides ? static_cast<std::int32_t>(offset.sums) : 0;
        offset.more_below = static_cast<std::int32_t>(below->total - above->total);
        offset.added_below = static_cast<float>(middle + to.zero_point + below->added);
        return offset;
    }
    return {};
}

} // namespace mpscnn::cpu
