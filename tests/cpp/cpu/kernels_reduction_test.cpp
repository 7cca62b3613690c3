// Compares the reduction kernels of every instruction set of this machine with plain arithmetic in double.

#include "tests/cpp/cpu/kernel_check.h"

using namespace kernel_test;

namespace {

Size reduced_size(const Size &size, ReductionAxis axis) {
    switch (axis) {
    case ReductionAxis::height:
        return {size.batch, 1, size.width, size.channels};
    case ReductionAxis::width:
        return {size.batch, size.height, 1, size.channels};
    default:
        return {size.batch, size.height, size.width, 1};
    }
}

/// Return the elements that are reduced to one element of the result.
std::vector<double> elements_of(const Memory &source, ReductionAxis axis, std::int64_t n, std::int64_t y,
                                std::int64_t x, std::int64_t c) {
    std::vector<double> values;
    const View &from = source.view;
    if (axis == ReductionAxis::height)
        for (std::int64_t row = 0; row < from.height; ++row) values.push_back(source.at(n, row, x)[c]);
    if (axis == ReductionAxis::width)
        for (std::int64_t column = 0; column < from.width; ++column)
            values.push_back(source.at(n, y, column)[c]);
    if (axis == ReductionAxis::channels)
        for (std::int64_t channel = 0; channel < from.channels; ++channel)
            values.push_back(source.at(n, y, x)[channel]);
    return values;
}

bool has_nan(const std::vector<double> &values) {
    return std::any_of(values.begin(), values.end(), [](double value) { return std::isnan(value); });
}

bool agrees(const ReductionTask &task, const std::vector<double> &values, float got) {
    if (has_nan(values)) return std::isnan(got);
    if (task.kind == ReductionKind::max) return got == *std::max_element(values.begin(), values.end());
    if (task.kind == ReductionKind::min) return got == *std::min_element(values.begin(), values.end());
    const double scale = static_cast<double>(task.factor) / task.divisor;
    double sum = 0, magnitude = 0;
    for (const double value : values) sum += value, magnitude += std::fabs(value);
    double allowed = 1e-6 * std::fabs(scale) * magnitude;
    if (task.round_to_half) allowed += 0.5 * half_spacing(std::fabs(sum * scale) + allowed);
    return std::fabs(got - sum * scale) <= allowed && (!task.round_to_half || round_to_half(got) == got);
}

TEST(reductions_agree_with_double) {
    for_each_table(400, [](Random &random, const KernelTable &table) {
        Size size = random_size(random);
        if (random() % 10 == 0) size.width = 200; // long enough for several pieces
        Memory source = random_source(random, size);
        const auto rarity = static_cast<std::uint32_t>(pick(random, 1, 200));
        source.each([&](float &value) {
            if (random() % rarity == 0) value = random() % 2 ? std::nanf("") : value;
        });
        ReductionTask task;
        task.kind = static_cast<ReductionKind>(random() % 3);
        task.axis = static_cast<ReductionAxis>(random() % 3);
        const Memory destination(random, reduced_size(size, task.axis), guard);
        task.source = source.view;
        task.destination = destination.view;
        task.round_to_half = task.kind == ReductionKind::sum && random() % 3 == 0;
        task.factor = random() % 2 ? 1.0f : -0.75f;
        task.divisor = random() % 2 ? 1.0f : 3.0f;
        check_task(random, table, "reduction", task, destination,
                   [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c) {
                       return agrees(task, elements_of(source, task.axis, n, y, x, c), got);
                   });
    });
}

TEST(extremes_of_infinities) {
    for_each_table(60, [](Random &random, const KernelTable &table) {
        Memory source = random_source(random, random_size(random));
        const float value = random() % 2 ? infinity : -infinity;
        source.each([&](float &element) { element = value; });
        ReductionTask task;
        task.kind = random() % 2 ? ReductionKind::max : ReductionKind::min;
        task.axis = static_cast<ReductionAxis>(random() % 3);
        const View &from = source.view;
        const Memory destination(
            random, reduced_size({from.batch, from.height, from.width, from.channels}, task.axis), guard);
        task.source = from;
        task.destination = destination.view;
        check_task(
            random, table, "infinities", task, destination,
            [&](float got, std::int64_t, std::int64_t, std::int64_t, std::int64_t) { return got == value; });
    });
}

/// Return the index like numpy: the first NaN, otherwise the first extreme.
std::int64_t expected_argument(const std::vector<double> &values, bool of_maximum) {
    std::size_t best = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (std::isnan(values[i])) return static_cast<std::int64_t>(i);
        if (of_maximum ? values[i] > values[best] : values[i] < values[best]) best = i;
    }
    return static_cast<std::int64_t>(best);
}

TEST(arguments_are_the_first_extremes) {
    for_each_table(400, [](Random &random, const KernelTable &table) {
        const Size size = random_size(random);
        Memory source = random_source(random, size);
        const float few_values[] = {-infinity, -1.0f, 0.0f, -0.0f, 1.0f, infinity};
        const auto rarity = static_cast<std::uint32_t>(pick(random, 20, 2000));
        if (random() % 2)
            source.each([&](float &value) { value = few_values[random() % std::size(few_values)]; });
        source.each([&](float &value) {
            if (random() % rarity == 0) value = std::nanf("");
        });
        const Memory destination(random, {size.batch, size.height, size.width, 1}, guard);
        const ArgumentTask task{random() % 2 != 0, source.view, destination.view, random() % 2 != 0};
        check_task(random, table, "argument", task, destination,
                   [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t) {
                       const auto values = elements_of(source, ReductionAxis::channels, n, y, x, 0);
                       return got == static_cast<float>(expected_argument(values, task.of_maximum));
                   });
    });
}

TEST(weighted_reductions_agree_with_double) {
    for_each_table(300, [](Random &random, const KernelTable &table) {
        const Size size = random_size(random);
        const Memory source = random_source(random, size);
        Memory weights = random_source(random, {random() % 2 ? size.batch : 1, random() % 2 ? size.height : 1,
                                                random() % 2 ? size.width : 1, size.channels});
        const auto zeros = static_cast<std::uint32_t>(pick(random, 1, 4));
        weights.each([&](float &value) {
            if (random() % zeros == 0) value = random() % 2 ? 0.0f : -0.0f;
        });
        const Memory destination(random, {size.batch, size.height, size.width, 1}, guard);
        const WeightedReductionTask task{source.view, weights.view, destination.view, random() % 2 != 0,
                                         false};
        check_task(random, table, "weighted reduction", task, destination,
                   [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t) {
                       const View &from = weights.view;
                       const float *weight = weights.at(from.batch == 1 ? 0 : n, from.height == 1 ? 0 : y,
                                                        from.width == 1 ? 0 : x);
                       double sum = 0, magnitude = 0, count = 0;
                       for (std::int64_t c = 0; c < size.channels; ++c) {
                           const double term = static_cast<double>(source.at(n, y, x)[c]) * weight[c];
                           sum += term, magnitude += std::fabs(term), count += weight[c] != 0.0f;
                       }
                       const double divisor = task.divides && count > 0 ? count : 1;
                       return std::fabs(got - sum / divisor) <= 1e-6 * magnitude / divisor;
                   });
    });
}

} // namespace
