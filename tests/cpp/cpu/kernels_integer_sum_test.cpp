// Compares sums and differences of all pairs of bytes, in the kernels of every instruction set of this
// machine, with TensorFlow Lite's definition.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "cpu/plan/integer_functions.h"
#include "tests/cpp/check.h"
#include "tests/cpp/cpu/fixed_point_definition.h"
#include "tests/cpp/kernel_memory.h"

using namespace kernel_test;

namespace {

/// Scales of two operands relative to that of the result, and the bytes that mean 0.
struct Case {
    double a, b;
    std::int32_t zero_a, zero_b;
    Requantization to;
};

std::vector<Case> cases() {
    // Scales with ties in every second sum, without ties, very different ones, and ones that are too large
    // for bounds of 32 bits.
    std::vector<Case> found{
        {0.5, 0.5, 128, 128, {.zero_point = 128}},  {0.25, 0.75, 3, 250, {.zero_point = 120}},
        {1.0, 1.0, 0, 0, {.zero_point = 0}},        {0.7, 1e-12, 100, 7, {.zero_point = 90}},
        {1e-4, 3e-5, 255, 0, {.zero_point = 128}},  {120.0, 3.0, 128, 127, {.zero_point = 128}},
        {3e4, 0.01, 128, 127, {.zero_point = 128}}, {1e7, 0.5, 40, 127, {.zero_point = 128}}};
    Random random(8);
    const auto byte = [&] { return static_cast<std::int32_t>(random() % 256); };
    const auto scale = [&] { return std::exp2(static_cast<double>(random() % 4096) / 1024.0 - 2.5); };
    for (int i = 0; i < 40; ++i) {
        const std::int32_t limits[] = {byte(), byte()};
        found.push_back({scale(), scale(), byte(), byte(), {.zero_point = byte()}});
        found.back().to.low = std::min(limits[0], limits[1]);
        found.back().to.high = std::max(limits[0], limits[1]);
    }
    return found;
}

/// All pairs of bytes, and some pairs again, so that vectors do not divide their number.
constexpr std::size_t pairs = 65536 + 7;

/// Make `view` one pixel whose channels are these bytes.
template <class AnyView, class Bytes> void set(AnyView &view, Bytes &bytes) {
    view.data = reinterpret_cast<decltype(view.data)>(bytes.data());
    view.channels = view.pixel_stride = view.row_stride = view.image_stride = pairs;
    view.element = Element::uint8;
}

/// Set the terms of all bytes, and return them with `all` as their memory.
IntegerTerms terms_of(double scale, std::int32_t zero, std::vector<std::int32_t> &all) {
    const FixedPoint factor = fixed_point(scale);
    for (int byte = 0; byte < 256; ++byte)
        all.push_back(static_cast<std::int32_t>(
            definition::rounded_twice((byte - zero) * (1 << 20), factor.multiplier, factor.shift)));
    return {zero, factor.multiplier, factor.shift, all.data()};
}

/// Return the number of results that differ from the definition.
std::int64_t count_wrong(const IntegerSumTask &task, const std::vector<std::uint8_t> &results) {
    const Requantization &to = task.requantization;
    std::int64_t wrong = 0;
    for (std::size_t i = 0; i < pairs; ++i) {
        const std::int32_t second = task.second_terms.of_all[i % 256],
                           sum =
                               task.source_terms.of_all[i / 256 % 256] + (task.subtracts ? -second : second);
        wrong += results[i] !=
                 definition::result_of(definition::rounded_twice(sum, to.multipliers[0], to.shifts[0]),
                                       to.zero_point, to.low, to.high);
    }
    return wrong;
}

TEST(sums_of_all_pairs_of_bytes_have_the_bits_of_their_definition) {
    Random random(9);
    std::vector<std::uint8_t> a(pairs), b(pairs), results(pairs);
    for (std::size_t i = 0; i < pairs; ++i)
        a[i] = static_cast<std::uint8_t>(i / 256), b[i] = static_cast<std::uint8_t>(i);
    for (const Case &one : cases()) {
        const double largest = 2.0 * std::max(one.a, one.b);
        std::vector<std::int32_t> terms[2];
        IntegerSumTask task;
        set(task.source, a), set(task.second, b), set(task.destination, results);
        task.destination.writable_channels = pairs;
        task.source_terms = terms_of(one.a / largest, one.zero_a, terms[0]);
        task.second_terms = terms_of(one.b / largest, one.zero_b, terms[1]);
        const FixedPoint factor = fixed_point(largest / 1048576.0);
        const std::vector<std::int32_t> multipliers(IntegerWeights::panel, factor.multiplier),
            shifts(IntegerWeights::panel, factor.shift);
        task.requantization = one.to;
        task.requantization.multipliers = multipliers.data();
        task.requantization.shifts = shifts.data();
        for (const bool subtracts : {false, true})
            for (const KernelTable *table : available_kernels()) {
                task.subtracts = subtracts;
                std::fill(results.begin(), results.end(), std::uint8_t{77});
                const Kernel<IntegerSumTask> &kernel = *table;
                CHECK(run_items(random, task, kernel, 1));
                CHECK(count_wrong(task, results) == 0);
            }
    }
}

} // namespace
