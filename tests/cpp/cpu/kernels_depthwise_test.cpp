// Depthwise convolutions of every instruction set of this machine. The order of operations is part of the
// kernels' contract: bias, then the taps inside the source, row by row. So plain code in that order must give
// the same bits, whatever strips, tiles and items an element belongs to.

#include "cpu/isa/kernels.h"

#include <cstring>
#include <string>

#include "tests/cpp/check.h"
#include "tests/cpp/kernel_memory.h"

using namespace kernel_test;

namespace {

struct Case {
    Size source;
    std::int64_t multiplier = 1;
    WindowAxis vertical, horizontal;
    std::int64_t after_y = 0, after_x = 0;
};

std::int64_t output_extent(const WindowAxis &window, std::int64_t after, std::int64_t extent) {
    const std::int64_t reach = (window.kernel - 1) * window.dilation + 1;
    return std::max<std::int64_t>(1, (extent + window.before + after - reach) / window.stride + 1);
}

std::string text(const WindowAxis &window) {
    return "kernel " + std::to_string(window.kernel) + " stride " + std::to_string(window.stride) +
           " dilation " + std::to_string(window.dilation) + " before " + std::to_string(window.before);
}

struct Problem {
    Case c;
    std::vector<float> weights, bias;
    Memory source, destination;
    RandomEpilogue epilogue;
    PackedConvolution packed;
    ConvolutionTask task;

    Problem(Random &random, const KernelTable &table, const Case &given)
        : c(given), weights(static_cast<std::size_t>(outputs() * c.vertical.kernel * c.horizontal.kernel)),
          bias(static_cast<std::size_t>(outputs())), source(random_source(random, c.source)),
          destination(random, output_size(), guard), epilogue(random, output_size()) {
        std::generate(weights.begin(), weights.end(), [&] { return uniform(random); });
        std::generate(bias.begin(), bias.end(), [&] { return uniform(random); });
        WeightMemory memory(0);
        packed = table.pack_convolution(
            memory, weights.data(), bias.data(),
            plain_convolution(table, {outputs(), c.vertical.kernel, c.horizontal.kernel, 1},
                              c.source.channels));
        task = {source.view, destination.view, c.vertical, c.horizontal, &packed, epilogue.epilogue};
    }
    Problem(const Problem &) = delete;

    std::int64_t outputs() const { return c.source.channels * c.multiplier; }
    Size output_size() const {
        return {c.source.batch, output_extent(c.vertical, c.after_y, c.source.height),
                output_extent(c.horizontal, c.after_x, c.source.width), outputs()};
    }
    std::string text() const {
        return "source (" + std::to_string(c.source.batch) + ", " + std::to_string(c.source.height) + ", " +
               std::to_string(c.source.width) + ", " + std::to_string(c.source.channels) + "), multiplier " +
               std::to_string(c.multiplier) + ", vertical " + ::text(c.vertical) + ", horizontal " +
               ::text(c.horizontal);
    }
    /// Call visit(value, weight) for each tap inside the source, in the order of the contract.
    template <class Visit>
    void each_tap(std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t output, Visit visit) const {
        const float *w = weights.data() + output * c.vertical.kernel * c.horizontal.kernel;
        for (std::int64_t i = 0; i < c.vertical.kernel; ++i) {
            for (std::int64_t j = 0; j < c.horizontal.kernel; ++j, ++w) {
                const std::int64_t row = y * c.vertical.stride - c.vertical.before + i * c.vertical.dilation;
                const std::int64_t column =
                    x * c.horizontal.stride - c.horizontal.before + j * c.horizontal.dilation;
                if (row < 0 || row >= c.source.height || column < 0 || column >= c.source.width) continue;
                visit(source.at(n, row, column)[output / c.multiplier], *w);
            }
        }
    }
    /// Call action(got, n, y, x, output) for each element.
    template <class Action> void each_output(Action action) const {
        destination.each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
            for (std::int64_t output = 0; output < outputs(); ++output)
                action(destination.at(n, y, x)[output], n, y, x, output);
        });
    }
};

/// The arithmetic of the contract. The volatile product prevents this compiler from fusing the two
/// operations.
float multiply_add(const KernelTable &table, float a, float b, float c) {
    if (table.has_fma) return std::fma(a, b, c);
    volatile float product = a * b;
    return product + c;
}

bool run(Random &random, const KernelTable &table, const Problem &p, int threads) {
    return run_items(random, p.task, table.kernel<ConvolutionTask>(), threads);
}

bool same_bits_as_plain_loops(const KernelTable &table, const Problem &p) {
    bool same = true;
    p.each_output([&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t output) {
        float sum = p.bias[static_cast<std::size_t>(output)];
        p.each_tap(n, y, x, output,
                   [&](float value, float weight) { sum = multiply_add(table, value, weight, sum); });
        same = same && std::memcmp(&got, &sum, sizeof sum) == 0;
    });
    return same;
}

bool agrees_with_double(const Problem &p) {
    bool right = true;
    p.each_output([&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t output) {
        double sum = p.bias[static_cast<std::size_t>(output)], magnitude = std::fabs(sum);
        int terms = 1;
        p.each_tap(n, y, x, output, [&](float value, float weight) {
            sum += static_cast<double>(value) * weight;
            magnitude += std::fabs(static_cast<double>(value) * weight);
            terms += 2;
        });
        right = right && p.epilogue.agrees(got, sum, 0x1p-24 * terms * magnitude, n, y, x, output);
    });
    return right;
}

void check_problem(Random &random, const KernelTable &table, Problem &p) {
    const bool intact = run(random, table, p, 1) && p.destination.guarded();
    const bool right = agrees_with_double(p);
    const bool repeatable =
        same_for_any_threads(random, p.task, p.destination, table.kernel<ConvolutionTask>());
    p.task.epilogue = {};
    const bool same = run(random, table, p, 3) && same_bits_as_plain_loops(table, p);
    if (!intact || !right || !repeatable || !same) std::printf("%s: %s\n", table.name, p.text().c_str());
    CHECK(intact);
    CHECK(right);
    CHECK(repeatable);
    CHECK(same);
}

Size random_size(Random &random) {
    return {pick(random, 1, 2), pick(random, 1, 13), pick(random, 1, 17),
            pick(random, 2, random() % 3 ? 40 : 140)};
}

WindowAxis random_axis(Random &random, std::int64_t kernel, std::int64_t largest_stride,
                       std::int64_t largest_dilation) {
    WindowAxis window{kernel, pick(random, 1, largest_stride), pick(random, 1, largest_dilation), 0};
    window.before = pick(random, 0, (kernel - 1) * window.dilation);
    return window;
}

template <class Body> void for_each_table(int repetitions, Body body) {
    for (const KernelTable *table : available_kernels()) {
        Random random(11);
        for (int i = 0; i < repetitions; ++i) body(random, *table);
    }
}

TEST(common_windows) {
    for_each_table(300, [](Random &random, const KernelTable &table) {
        const std::int64_t kernel = random() % 3 ? 3 : 5, stride = pick(random, 1, 2);
        Case c{.source = random_size(random), .vertical = {kernel, stride}, .horizontal = {kernel, stride}};
        c.vertical.before = c.after_y = pick(random, 0, kernel / 2);
        c.horizontal.before = c.after_x = pick(random, 0, kernel / 2);
        Problem problem(random, table, c);
        check_problem(random, table, problem);
    });
}

TEST(any_windows) {
    for_each_table(300, [](Random &random, const KernelTable &table) {
        Case c{.source = random_size(random),
               .vertical = random_axis(random, pick(random, 1, 7), 3, 3),
               .horizontal = random_axis(random, pick(random, 1, 7), 3, 3)};
        c.after_y = pick(random, 0, 4);
        c.after_x = pick(random, 0, 4);
        Problem problem(random, table, c);
        check_problem(random, table, problem);
    });
}

TEST(padding_wider_than_the_window) {
    for_each_table(100, [](Random &random, const KernelTable &table) {
        const std::int64_t kernel = random() % 2 ? 3 : 5;
        Case c{.source = random_size(random),
               .vertical = random_axis(random, kernel, 2, 2),
               .horizontal = random_axis(random, kernel, 2, 2)};
        c.vertical.before = pick(random, 0, 15);
        c.horizontal.before = pick(random, 0, 15);
        c.after_y = pick(random, 0, 15);
        c.after_x = pick(random, 0, 15);
        Problem problem(random, table, c);
        check_problem(random, table, problem);
    });
}

TEST(channel_multipliers) {
    for_each_table(200, [](Random &random, const KernelTable &table) {
        Case c{.source = random_size(random),
               .multiplier = pick(random, 2, 5),
               .vertical = random_axis(random, pick(random, 1, 5), 3, 3),
               .horizontal = random_axis(random, pick(random, 1, 5), 3, 3)};
        c.source.channels = pick(random, 2, 50);
        c.after_y = pick(random, 0, 3);
        Problem problem(random, table, c);
        check_problem(random, table, problem);
    });
}

} // namespace
