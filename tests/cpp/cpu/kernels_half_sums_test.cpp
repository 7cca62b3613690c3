// Compares convolutions that sum in float16 with plain code that adds one product after another. It tests
// each instruction set's kernels, and those with half-precision instructions if the processor has them.

#include "cpu/plan/half_sums.h"
#include "tests/cpp/cpu/kernel_check.h"

using namespace kernel_test;

namespace {

/// Return the half nearest to `x`. The float in between keeps in its last bit whether rounding lost anything.
float half_nearest_to(double x) {
    float nearest = static_cast<float>(x);
    if (std::isfinite(nearest) && static_cast<double>(nearest) != x &&
        (std::bit_cast<std::uint32_t>(nearest) & 1) == 0)
        nearest = std::nextafter(nearest, x > static_cast<double>(nearest) ? infinity : -infinity);
    return round_to_half(nearest);
}

struct Case {
    std::int64_t outputs, inputs_per_group, groups, kernel, stride, dilation, before;
    float scale; ///< factor of the random inputs and biases
};

std::vector<float> random_halves(Random &random, std::int64_t count, float scale) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float &value : values) value = round_to_half(scale * uniform(random));
    return values;
}

void check_case(Random &random, const KernelTable &table, const Case &given) {
    const std::int64_t taps = given.kernel * given.kernel * given.inputs_per_group;
    const std::vector<float> weights = random_halves(random, given.outputs * taps, 1.0f),
                             bias = random_halves(random, given.outputs, given.scale);
    const HalfWeights packed = pack_half_weights(
        weights, bias, {given.outputs, given.kernel, given.kernel, given.inputs_per_group}, given.groups);
    const std::int64_t height = pick(random, 5, 9), width = pick(random, 5, 12);
    Memory source(random, {2, height, width, given.groups * given.inputs_per_group}, std::nanf(""));
    source.each([&](float &value) { value = given.scale * uniform(random); });
    const auto extent = [&](std::int64_t size) {
        return (size + 2 * given.before - (given.kernel - 1) * given.dilation - 1) / given.stride + 1;
    };
    const Size size{2, extent(height), extent(width), given.outputs};
    Memory destination(random, size, guard);
    HalfSumsTask task;
    task.source = source.view;
    task.destination = destination.view;
    task.vertical = task.horizontal = {given.kernel, given.stride, given.dilation, given.before};
    task.weights = &packed;

    Memory expected = destination;
    const std::int64_t of_group = given.outputs / given.groups;
    expected.each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
        for (std::int64_t o = 0; o < given.outputs; ++o) {
            float sum = bias[static_cast<std::size_t>(o)];
            const float *weight = weights.data() + o * taps;
            for (std::int64_t tap = 0; tap < taps; ++tap) {
                const std::int64_t row = tap / given.inputs_per_group / given.kernel,
                                   column = tap / given.inputs_per_group % given.kernel,
                                   from_y = y * given.stride - given.before + row * given.dilation,
                                   from_x = x * given.stride - given.before + column * given.dilation;
                if (from_y < 0 || from_y >= height || from_x < 0 || from_x >= width) continue;
                const float input = round_to_half(source.at(
                    n, from_y, from_x)[o / of_group * given.inputs_per_group + tap % given.inputs_per_group]);
                sum = half_nearest_to(static_cast<double>(input) * static_cast<double>(weight[tap]) +
                                      static_cast<double>(sum));
            }
            expected.at(n, y, x)[o] = sum;
        }
    });
    const auto check = [&](const Kernel<HalfSumsTask> &kernel, const char *name) {
        std::fill(destination.floats.begin(), destination.floats.end(), guard);
        const bool right = run_items(random, task, kernel, 1) && destination.guarded() &&
                           destination.same_bits(expected) &&
                           same_for_any_threads(random, task, destination, kernel);
        check_kernel(right, table, std::string(name) + " of " + text(destination.view));
    };
    check(table.kernel<HalfSumsTask>(), "halves by floats");
    if (table.multiplies_halves()) check(table.halves, "halves by instructions");
}

void check_cases(std::initializer_list<Case> cases) {
    for_each_table(3, [&](Random &random, const KernelTable &table) {
        for (const Case &given : cases) check_case(random, table, given);
    });
}

} // namespace

TEST(dense_convolutions) {
    check_cases({{40, 24, 1, 1, 1, 1, 0, 1.0f},
                 {33, 5, 1, 3, 2, 1, 1, 1.0f},
                 {70, 7, 1, 3, 1, 2, 2, 1.0f},
                 {64, 130, 1, 1, 1, 1, 0, 1.0f}});
}

TEST(groups) {
    check_cases({{15, 4, 3, 3, 1, 1, 0, 1.0f}, {74, 4, 2, 1, 1, 1, 0, 1.0f}, {12, 1, 6, 3, 1, 1, 1, 1.0f}});
}

TEST(depthwise_convolutions) {
    check_cases({{37, 1, 37, 3, 1, 1, 1, 1.0f}, {64, 1, 64, 3, 2, 1, 1, 1.0f}, {9, 1, 9, 5, 1, 1, 2, 1.0f}});
}

TEST(subnormal_halves_and_sums_beyond_halves) {
    check_cases({{40, 24, 1, 1, 1, 1, 0, 0x1p-14f},
                 {40, 24, 1, 1, 1, 1, 0, 0x1p-22f},
                 {40, 24, 1, 1, 1, 1, 0, 30000.0f},
                 {20, 1, 20, 3, 1, 1, 1, 60000.0f}});
}

TEST(it_is_said_which_kernels_ran) {
    for (const KernelTable *table : available_kernels()) {
        CHECK(table->kernel<HalfSumsTask>().run != nullptr);
        std::printf("%s: %s\n", table->name,
                    table->multiplies_halves() ? "instructions for halves" : "halves by floats only");
    }
}
