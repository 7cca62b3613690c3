// Compares the normalization kernels of every instruction set of this machine with plain arithmetic in
// double.

#include <functional>

#include "tests/cpp/cpu/kernel_check.h"

using namespace kernel_test;

namespace {

/// Return values whose mean is far from zero, for which a careless variance loses its digits.
Memory offset_source(Random &random, const Size &size) {
    Memory source = random_source(random, size);
    const float offset = random() % 2 ? 1000.0f : 0.0f;
    source.each([&](float &value) { value += offset; });
    return source;
}

struct Moments {
    double mean = 0, variance = 0;
};

/// Return the moments of the values for which `each` calls its argument.
Moments moments_of(const std::function<void(const std::function<void(double)> &)> &each) {
    Moments moments;
    double count = 0;
    each([&](double value) { moments.mean += value, ++count; });
    moments.mean /= count;
    each([&](double value) { moments.variance += (value - moments.mean) * (value - moments.mean); });
    moments.variance /= count;
    return moments;
}

bool is_close(double got, double expected, double allowed) {
    return std::fabs(got - expected) <= allowed + 0x1p-22 * std::fabs(expected);
}

/// Divide the pixels of each image into `parts` parts, and return the kernel's moments of each part.
Memory moments_memory(Random &random, const KernelTable &table, const Memory &source, std::int64_t parts) {
    const View &from = source.view;
    Memory moments(random, {from.batch, parts, moments_rows, from.channels}, guard);
    const MomentsTask task{from, moments.view};
    const Kernel<MomentsTask> &kernel = table.kernel<MomentsTask>();
    check_kernel(run_items(random, task, kernel, 1) && moments.guarded() &&
                     same_for_any_threads(random, task, moments, kernel),
                 table, "moments of " + text(from));
    return moments;
}

/// Return the moments of channels [first, last) of one image, or of all images for image -1.
Moments expected_moments(const Memory &source, std::int64_t image, std::int64_t first, std::int64_t last) {
    return moments_of([&](const std::function<void(double)> &take) {
        source.each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
            if (image >= 0 && n != image) return;
            for (std::int64_t c = first; c < last; ++c) take(source.at(n, y, x)[c]);
        });
    });
}

std::int64_t random_parts(Random &random, const View &from) {
    return std::min<std::int64_t>(from.height * from.width, pick(random, 1, 7));
}

TEST(statistics_of_each_image) {
    for_each_table(200, [](Random &random, const KernelTable &table) {
        const Memory source = offset_source(random, random_size(random));
        const View &from = source.view;
        const Memory moments = moments_memory(random, table, source, random_parts(random, from));
        std::int64_t groups = random() % 2 ? pick(random, 1, from.channels) : 0;
        while (groups > 0 && from.channels % groups != 0) --groups;
        const std::int64_t size = groups > 0 ? from.channels / groups : 1;
        const Memory result(random, {from.batch, statistics_rows, 1, from.channels}, guard);
        const StatisticsTask task{moments.view, result.view, from.height * from.width, groups};
        check_task(random, table, "statistics", task, result,
                   [&](float got, std::int64_t n, std::int64_t row, std::int64_t, std::int64_t c) {
                       const std::int64_t first = c / size * size;
                       const Moments expected = expected_moments(source, n, first, first + size);
                       if (row == statistics_variance)
                           return is_close(got, expected.variance, 1e-6 * expected.variance);
                       if (row == statistics_factor) return got == 1.0f;
                       const double mean = static_cast<double>(result.at(n, statistics_mean, 0)[c]) +
                                           static_cast<double>(result.at(n, statistics_rest, 0)[c]);
                       return std::fabs(mean - expected.mean) <= 1e-6 * std::sqrt(expected.variance) + 1e-10;
                   });
    });
}

TEST(statistics_of_a_batch) {
    for_each_table(200, [](Random &random, const KernelTable &table) {
        const Memory source = offset_source(random, random_size(random));
        const View &from = source.view;
        const Memory moments = moments_memory(random, table, source, random_parts(random, from));
        const Memory result(random, {1, 2, 1, from.channels}, guard);
        const StatisticsTask task{moments.view, result.view, from.height * from.width, 0};
        check_task(random, table, "batch statistics", task, result,
                   [&](float got, std::int64_t, std::int64_t row, std::int64_t, std::int64_t c) {
                       const Moments expected = expected_moments(source, -1, c, c + 1);
                       if (row == statistics_mean)
                           return is_close(got, expected.mean, 1e-6 * std::sqrt(expected.variance));
                       return is_close(got, expected.variance, 1e-6 * expected.variance);
                   });
    });
}

TEST(normalization_agrees_with_double) {
    for_each_table(200, [](Random &random, const KernelTable &table) {
        const Size size = random_size(random);
        const Memory source = random_source(random, size);
        const bool has_rest = random() % 2;
        Memory statistics = random_source(
            random, {random() % 2 ? size.batch : 1, has_rest ? statistics_rows : 2, 1, size.channels});
        statistics.each([](float &value) { value = std::fabs(value) + 0.25f; });
        const Memory destination(random, size, guard);
        const RandomEpilogue epilogue(random, size);
        AlignedBuffer<float> gamma(static_cast<std::size_t>(size.channels + 16)), beta(gamma.size());
        std::generate_n(gamma.data(), gamma.size(), [&] { return uniform(random); });
        std::generate_n(beta.data(), beta.size(), [&] { return uniform(random); });
        const NormalizationTask task{source.view,
                                     statistics.view,
                                     destination.view,
                                     random() % 4 ? gamma.data() : nullptr,
                                     random() % 4 ? beta.data() : nullptr,
                                     0.125f,
                                     epilogue.epilogue};
        check_task(random, table, "normalization", task, destination,
                   [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c) {
                       const std::int64_t of = statistics.view.batch == 1 ? 0 : n;
                       double mean = statistics.at(of, statistics_mean, 0)[c];
                       if (has_rest) mean += statistics.at(of, statistics_rest, 0)[c];
                       const double variance = statistics.at(of, statistics_variance, 0)[c];
                       const double factor = has_rest ? statistics.at(of, statistics_factor, 0)[c] : 1.0;
                       const double gamma = task.gamma ? task.gamma[c] : 1.0;
                       const double scale = gamma * factor / std::sqrt(variance + 0.125 * factor * factor);
                       const double value =
                           (source.at(n, y, x)[c] - mean) * scale + (task.beta ? task.beta[c] : 0.0);
                       return epilogue.agrees(got, value, 1e-5, n, y, x, c);
                   });
    });
}

TEST(cross_channel_agrees_with_double) {
    for_each_table(200, [](Random &random, const KernelTable &table) {
        const Size size = random_size(random);
        const Memory source = random_source(random, size), destination(random, size, guard);
        const RandomEpilogue epilogue(random, size);
        CrossChannelTask task;
        task.source = source.view;
        task.destination = destination.view;
        task.before = std::min(pick(random, 0, 40), size.channels - 1);
        task.after = std::min(pick(random, 0, 40), size.channels - 1);
        task.scale = 0.25f, task.beta = random() % 2 ? 0.75f : 1.5f, task.delta = 0.5f;
        task.epilogue = epilogue.epilogue;
        check_task(random, table, "cross channel", task, destination,
                   [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c) {
                       double sum = 0;
                       const float *pixel = source.at(n, y, x);
                       for (std::int64_t i = std::max<std::int64_t>(0, c - task.before);
                            i <= std::min(size.channels - 1, c + task.after); ++i)
                           sum += static_cast<double>(pixel[i]) * pixel[i];
                       const double expected = pixel[c] / std::pow(0.5 + 0.25 * sum, task.beta);
                       return epilogue.agrees(got, expected, 2e-6 * std::fabs(expected), n, y, x, c);
                   });
    });
}

/// Return a value of a source that is surrounded by zeros or by copies of its border.
double at_or_outside(const Memory &source, bool clamps, std::int64_t n, std::int64_t y, std::int64_t x,
                     std::int64_t c) {
    const std::int64_t row = std::clamp<std::int64_t>(y, 0, source.view.height - 1),
                       column = std::clamp<std::int64_t>(x, 0, source.view.width - 1);
    return clamps || (row == y && column == x) ? source.at(n, row, column)[c] : 0.0;
}

TEST(window_normalization_agrees_with_double) {
    for_each_table(300, [](Random &random, const KernelTable &table) {
        const bool is_spatial = random() % 2;
        const Size size = random_size(random);
        const Memory source = is_spatial ? random_source(random, size) : offset_source(random, size);
        const Size result_size{size.batch, pick(random, 1, 10), pick(random, 1, 14), size.channels};
        const Memory destination(random, result_size, guard);
        const RandomEpilogue epilogue(random, result_size);
        WindowNormalizationTask task;
        task.kind = is_spatial ? WindowNormalizationKind::spatial : WindowNormalizationKind::local_contrast;
        task.source = source.view;
        task.destination = destination.view;
        task.vertical = {pick(random, 1, 7), pick(random, -12, 12)};
        task.horizontal = {pick(random, 1, 7), pick(random, -12, 12)};
        task.clamps = random() % 2;
        task.alpha = 0.75f, task.beta = 0.5f, task.delta = 0.25f;
        task.p0 = 0.5f, task.pm = 0.125f, task.ps = 2.0f;
        task.epilogue = epilogue.epilogue;
        check_task(
            random, table, is_spatial ? "spatial" : "local contrast", task, destination,
            [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c) {
                const std::int64_t row = y + task.vertical.offset, column = x + task.horizontal.offset;
                double squares = 0;
                const Moments window = moments_of([&](const std::function<void(double)> &take) {
                    for (std::int64_t i = 0; i < task.vertical.kernel; ++i)
                        for (std::int64_t j = 0; j < task.horizontal.kernel; ++j)
                            take(at_or_outside(source, task.clamps, n, row - task.vertical.kernel / 2 + i,
                                               column - task.horizontal.kernel / 2 + j, c));
                });
                squares = window.variance + window.mean * window.mean;
                const double centre = at_or_outside(source, task.clamps, n, row, column, c);
                if (is_spatial) {
                    const double expected = centre / std::sqrt(0.25 + 0.75 * squares);
                    return epilogue.agrees(got, expected, 2e-6 * std::fabs(expected), n, y, x, c);
                }
                const double factor = 2.0 / std::sqrt(0.25 + 0.75 * window.variance);
                const double expected = 0.125 + factor * (centre - 0.5 * window.mean);
                const double magnitude = std::fabs(centre) + std::fabs(window.mean);
                // Rounding of the means affects the deviations from them.
                const double relative =
                    1e-6 + 1e-6 * std::fabs(window.mean) / (0.5 + std::sqrt(window.variance));
                return epilogue.agrees(got, expected, relative * factor * magnitude + 1e-6, n, y, x, c);
            });
    });
}

} // namespace
