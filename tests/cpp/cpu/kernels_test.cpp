// Compares the convolutions of every instruction set with plain arithmetic in double. Sources are surrounded
// by NaN and destinations by a guard value, which reveals reads and writes outside.

#include "cpu/isa/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "tests/cpp/check.h"
#include "tests/cpp/kernel_memory.h"

using namespace kernel_test;

namespace {

WindowAxis random_axis(Random &random, std::int64_t kernel, bool plain) {
    if (plain) return {.kernel = kernel};
    return {.kernel = kernel,
            .stride = pick(random, 1, 3),
            .dilation = pick(random, 1, 3),
            .before = random() % 2 ? pick(random, 0, kernel) : 0};
}

struct ConvolutionCase {
    std::int64_t batch, height, width, group_inputs, group_outputs, groups;
    WindowAxis vertical{}, horizontal{};
    bool winograd = false;

    std::int64_t outputs() const { return groups * group_outputs; }
    std::int64_t depth() const { return vertical.kernel * horizontal.kernel * group_inputs; }
};

/// Return a small random convolution: pointwise, dense, grouped, depthwise with a multiplier, with one window
/// over the whole image, or with many inputs and few outputs.
ConvolutionCase random_case(Random &random) {
    ConvolutionCase c{};
    const auto kind = random() % 7;
    c.batch = pick(random, 1, 3), c.height = pick(random, 1, 12), c.width = pick(random, 1, 40);
    c.groups = kind == 2 ? pick(random, 2, 4) : kind == 3 ? pick(random, 2, 70) : 1;
    c.group_inputs = kind == 3 ? 1 : pick(random, 1, random() % 4 ? 20 : 200);
    c.group_outputs = kind == 3 ? pick(random, 1, 3) : pick(random, 1, random() % 2 ? 8 : 80);
    const bool pointwise = kind == 0 || kind == 5;
    c.vertical = random_axis(random, pointwise ? 1 : pick(random, 1, 4), kind == 0);
    c.horizontal = random_axis(random, pointwise ? 1 : pick(random, 1, 4), kind == 0);
    if (kind == 6) {
        c.groups = pick(random, 1, 2), c.group_outputs = pick(random, 1, 5);
        c.group_inputs = 16 * pick(random, 1, 20);
    }
    if (kind == 4 && random() % 2) {
        c.height = pick(random, 1, 5), c.width = pick(random, 1, 5);
        c.vertical = {.kernel = c.height}, c.horizontal = {.kernel = c.width};
    }
    return c;
}

ConvolutionCase random_winograd_case(Random &random) {
    const std::int64_t kernel = random() % 2 ? 3 : 5;
    const auto axis = [&] { return WindowAxis{.kernel = kernel, .before = pick(random, 0, kernel)}; };
    return {.batch = pick(random, 1, 3),
            .height = pick(random, 1, 20),
            .width = pick(random, 1, 20),
            .group_inputs = pick(random, 1, random() % 4 ? 40 : 200),
            .group_outputs = pick(random, 1, 80),
            .groups = 1,
            .vertical = axis(),
            .horizontal = axis(),
            .winograd = true};
}

/// Return an output size for which each window's first tap is before the end of the padded source.
std::int64_t output_extent(Random &random, const WindowAxis &axis, std::int64_t extent) {
    const std::int64_t after = axis.before ? pick(random, 0, axis.kernel) : 0;
    const std::int64_t span = (axis.kernel - 1) * axis.dilation + 1;
    return std::max<std::int64_t>(1, (extent + axis.before + after - span) / axis.stride + 1);
}

Size output_size(Random &random, const ConvolutionCase &c) {
    const std::int64_t height = output_extent(random, c.vertical, c.height);
    return {c.batch, height, output_extent(random, c.horizontal, c.width), c.outputs()};
}

Size size_of(const Memory &memory) {
    return {memory.view.batch, memory.view.height, memory.view.width, memory.view.channels};
}

/// A convolution with its operands.
struct Problem {
    ConvolutionCase c;
    std::vector<float> weights, bias;
    Memory source, destination;
    RandomEpilogue random_epilogue;
    PackedConvolution packed;
    ConvolutionTask task;

    Problem(Random &random, const KernelTable &table, const ConvolutionCase &given)
        : c(given), weights(static_cast<std::size_t>(c.outputs() * c.depth())),
          bias(static_cast<std::size_t>(c.outputs())),
          source(random_source(random, {c.batch, c.height, c.width, c.group_inputs * c.groups})),
          destination(random, output_size(random, c), guard), random_epilogue(random, size_of(destination)) {
        std::generate(weights.begin(), weights.end(), [&] { return uniform(random); });
        std::generate(bias.begin(), bias.end(), [&] { return uniform(random); });
        const bool with_bias = random() % 4 != 0;
        if (!with_bias) std::fill(bias.begin(), bias.end(), 0.0f);
        WeightMemory memory(0);
        ConvolutionShape shape = plain_convolution(
            table, {c.outputs(), c.vertical.kernel, c.horizontal.kernel, c.group_inputs}, c.groups);
        if (c.winograd) shape.algorithm = Algorithm::winograd;
        packed = table.pack_convolution(memory, weights.data(), with_bias ? bias.data() : nullptr, shape);
        packed.cached = random() % 2;
        task = {.source = source.view,
                .destination = destination.view,
                .vertical = c.vertical,
                .horizontal = c.horizontal,
                .packed = &packed,
                .epilogue = random_epilogue.epilogue};
    }
};

void run(Random &random, const KernelTable &table, const ConvolutionTask &task, int threads) {
    CHECK(run_items(random, task, table.kernel<ConvolutionTask>(), threads));
}

struct Sum {
    /// `magnitude` is the sum of the terms' magnitudes, for the bound of rounding errors.
    double value, magnitude;
};

Sum convolved(const Problem &p, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t output) {
    const ConvolutionCase &c = p.c;
    Sum sum{p.bias[static_cast<std::size_t>(output)], 0};
    sum.magnitude = std::fabs(sum.value);
    const float *w = p.weights.data() + output * c.depth();
    const std::int64_t first_input = output / c.group_outputs * c.group_inputs;
    for (std::int64_t i = 0; i < c.vertical.kernel; ++i)
        for (std::int64_t j = 0; j < c.horizontal.kernel; ++j) {
            const std::int64_t row = y * c.vertical.stride - c.vertical.before + i * c.vertical.dilation;
            const std::int64_t column =
                x * c.horizontal.stride - c.horizontal.before + j * c.horizontal.dilation;
            const bool outside = row < 0 || row >= c.height || column < 0 || column >= c.width;
            for (std::int64_t k = 0; k < c.group_inputs; ++k, ++w) {
                if (outside) continue;
                const double term = static_cast<double>(*w) * p.source.at(n, row, column)[first_input + k];
                sum.value += term;
                sum.magnitude += std::fabs(term);
            }
        }
    return sum;
}

bool agrees(const Problem &p, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t output) {
    const Sum sum = convolved(p, n, y, x, output);
    // The rounding errors of transforms are proportional to a whole tile, of which this sum may use few
    // products. With a 3x3 kernel a tile has 36 inputs, and a sum uses 9.
    const bool few_of_tile = p.c.winograd && p.c.vertical.kernel == 3;
    const double transforms = few_of_tile ? 16 : 0;
    const double terms = static_cast<double>(p.c.depth()) + 4 + transforms;
    const double error = 0x1p-24 * terms * (sum.magnitude + 1);
    return p.random_epilogue.agrees(p.destination.at(n, y, x)[output], sum.value, error, n, y, x, output);
}

std::string text(const KernelTable &table, const Problem &p) {
    const auto axis = [](const WindowAxis &a) {
        return " kernel " + std::to_string(a.kernel) + " stride " + std::to_string(a.stride) + " dilation " +
               std::to_string(a.dilation) + " before " + std::to_string(a.before);
    };
    const ConvolutionCase &c = p.c;
    return std::string(table.name) + ": source (" + std::to_string(c.batch) + ", " +
           std::to_string(c.height) + ", " + std::to_string(c.width) + ", " + std::to_string(c.groups) +
           " x " + std::to_string(c.group_inputs) + "), outputs " + std::to_string(c.outputs()) + "," +
           axis(c.vertical) + "," + axis(c.horizontal);
}

void check_problem(Random &random, const KernelTable &table, Problem &p) {
    run(random, table, p.task, 1);
    bool right = true;
    p.destination.each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
        for (std::int64_t o = 0; o < p.c.outputs() && right; ++o) right = agrees(p, n, y, x, o);
    });
    const bool guarded = p.destination.guarded();
    if (!right || !guarded) std::printf("%s\n", text(table, p).c_str());
    CHECK(right);
    CHECK(guarded);
}

/// Run the convolution for several threads, and for the last image alone.
void check_bits(Random &random, const KernelTable &table, Problem &p) {
    run(random, table, p.task, 1);
    CHECK(same_for_any_threads(random, p.task, p.destination, table.kernel<ConvolutionTask>()));
    const std::int64_t last = p.c.batch - 1;
    Memory alone(random, {1, p.destination.view.height, p.destination.view.width, p.c.outputs()}, guard);
    ConvolutionTask task = p.task;
    ConstView residual = p.random_epilogue.residual_view;
    task.source.batch = residual.batch = 1;
    task.source.data += last * task.source.image_stride;
    residual.data += last * residual.image_stride;
    task.destination = alone.view;
    if (task.epilogue.residual) task.epilogue.residual = &residual;
    run(random, table, task, 1);
    CHECK(p.destination.same_bits(alone, last));
}

TEST(random_convolutions_agree_with_double) {
    for (const KernelTable *table : available_kernels()) {
        Random random(1);
        for (int i = 0; i < 600; ++i) {
            Problem problem(random, *table, random_case(random));
            check_problem(random, *table, problem);
        }
    }
}

TEST(bits_do_not_depend_on_threads_or_batch) {
    for (const KernelTable *table : available_kernels()) {
        Random random(2);
        for (int i = 0; i < 200; ++i) {
            Problem problem(random, *table, random_case(random));
            check_bits(random, *table, problem);
        }
    }
}

/// Return the tables that have Winograd's algorithm.
std::vector<const KernelTable *> kernels_with_winograd() {
    std::vector<const KernelTable *> found;
    for (const KernelTable *table : available_kernels())
        if (table->has_fma) found.push_back(table);
    return found;
}

// The error bound is nearly that of sums in order: see agrees().
TEST(random_winograd_convolutions_agree_with_double) {
    const auto tables = kernels_with_winograd();
    if (tables.empty()) SKIP("no kernels here have Winograd's algorithm");
    for (const KernelTable *table : tables) {
        Random random(5);
        for (int i = 0; i < 200; ++i) {
            Problem problem(random, *table, random_winograd_case(random));
            check_problem(random, *table, problem);
            check_bits(random, *table, problem);
        }
    }
}

/// Return the result with plain products.
Memory multiplied_plainly(Random &random, const KernelTable &table, const Problem &p) {
    Memory result = p.destination;
    ConvolutionTask task = p.task;
    task.packed = p.packed.plain.get();
    task.destination = result.view;
    run(random, table, task, 1);
    return result;
}

// Results that are not finite are recomputed with plain products, and other results must not become infinite
// or NaN.
TEST(winograd_convolutions_spread_nothing) {
    const auto tables = kernels_with_winograd();
    if (tables.empty()) SKIP("no kernels here have Winograd's algorithm");
    const float values[] = {infinity, -infinity, std::nanf("")};
    for (const KernelTable *table : tables) {
        Random random(7);
        for (int i = 0; i < 200; ++i) {
            Problem p(random, *table, random_winograd_case(random));
            for (std::int64_t count = pick(random, 1, 3); count > 0; --count)
                p.source.at(pick(random, 0, p.c.batch - 1), pick(random, 0, p.c.height - 1),
                            pick(random, 0, p.c.width - 1))[pick(random, 0, p.c.group_inputs - 1)] =
                    values[random() % 3];
            check_bits(random, *table, p);
            const Memory plain = multiplied_plainly(random, *table, p);
            bool same = true;
            p.destination.each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
                for (std::int64_t o = 0; o < p.c.outputs(); ++o) {
                    const float found = p.destination.at(n, y, x)[o], expected = plain.at(n, y, x)[o];
                    // Each rounding to half may move the two apart by one spacing of halves.
                    const double roundings = p.task.epilogue.rounds + p.task.epilogue.residual_rounds;
                    const double size = std::fabs(expected) + 1;
                    const double distance =
                        std::isfinite(expected) ? 0x1p-10 * size + roundings * half_spacing(size) : 0;
                    same = same && (std::memcmp(&found, &expected, sizeof(float)) == 0 ||
                                    std::fabs(found - expected) <= distance);
                }
            });
            if (!same) std::printf("%s\n", text(*table, p).c_str());
            CHECK(same);
            CHECK(p.destination.guarded());
        }
    }
}

// These layers are large enough for several blocks of pixels and of channels.
TEST(layers_of_many_blocks) {
    const ConvolutionCase cases[] = {
        {.batch = 1, .height = 28, .width = 28, .group_inputs = 192, .group_outputs = 40, .groups = 1},
        {.batch = 1, .height = 7, .width = 7, .group_inputs = 320, .group_outputs = 200, .groups = 1},
        {.batch = 2, .height = 14, .width = 14, .group_inputs = 512, .group_outputs = 17, .groups = 1},
        {.batch = 1, .height = 1, .width = 1, .group_inputs = 1280, .group_outputs = 1001, .groups = 1},
        {.batch = 5, .height = 1, .width = 1, .group_inputs = 300, .group_outputs = 1001, .groups = 1},
        {.batch = 1,
         .height = 57,
         .width = 57,
         .group_inputs = 3,
         .group_outputs = 32,
         .groups = 1,
         .vertical = {3, 2, 1, 0},
         .horizontal = {3, 2, 1, 1}},
        {.batch = 1,
         .height = 20,
         .width = 31,
         .group_inputs = 32,
         .group_outputs = 32,
         .groups = 2,
         .vertical = {3, 1, 2, 2},
         .horizontal = {3, 1, 2, 2}},
        // The largest possible number of regions, and more.
        {.batch = 2,
         .height = 13,
         .width = 9,
         .group_inputs = 9,
         .group_outputs = 20,
         .groups = 1,
         .vertical = {7, 1, 1, 3},
         .horizontal = {7, 1, 1, 3}},
        {.batch = 1,
         .height = 13,
         .width = 19,
         .group_inputs = 5,
         .group_outputs = 20,
         .groups = 1,
         .vertical = {3, 1, 1, 1},
         .horizontal = {9, 1, 1, 4}},
        {.batch = 2,
         .height = 33,
         .width = 33,
         .group_inputs = 20,
         .group_outputs = 24,
         .groups = 1,
         .vertical = {3, 1, 12, 12},
         .horizontal = {3, 1, 12, 12}},
        {.batch = 2,
         .height = 19,
         .width = 19,
         .group_inputs = 8,
         .group_outputs = 8,
         .groups = 8,
         .vertical = {3, 1, 1, 1},
         .horizontal = {3, 1, 1, 1}},
    };
    for (const KernelTable *table : available_kernels()) {
        Random random(3);
        for (const ConvolutionCase &c : cases) {
            Problem problem(random, *table, c);
            check_problem(random, *table, problem);
            check_bits(random, *table, problem);
        }
    }
}

TEST(nan_passes_through_every_activation) {
    for (const KernelTable *table : available_kernels()) {
        Random random(4);
        for (int i = 0; i < 60; ++i) {
            Problem problem(random, *table,
                            {.batch = 1,
                             .height = 3,
                             .width = 5,
                             .group_inputs = 7,
                             .group_outputs = 11,
                             .groups = 1,
                             .vertical = {},
                             .horizontal = {}});
            problem.source.at(0, 1, 2)[3] = std::nanf("");
            run(random, *table, problem.task, 1);
            problem.destination.each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
                for (std::int64_t o = 0; o < 11; ++o)
                    CHECK(std::isnan(problem.destination.at(n, y, x)[o]) == (y == 1 && x == 2));
            });
        }
    }
}

// The test uses a convolution that multiplies by one. The sweep covers every exponent with many low bits.
TEST(rounding_to_half_is_that_of_the_core) {
    constexpr std::uint32_t step = 1'000'003; // prime
    std::vector<float> values;
    for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += step) {
        const auto pattern = static_cast<std::uint32_t>(bits);
        float value;
        std::memcpy(&value, &pattern, sizeof value);
        values.push_back(value);
    }
    for (float edge : {65504.0f, 65519.99f, 65520.0f, 0x1p-24f, 0x1p-25f, 0x1.8p-25f, 0x1p-14f, 0x1.ffcp-15f,
                       0x1.ffep-15f})
        values.push_back(edge);
    const auto count = static_cast<std::int64_t>(values.size());
    const float one = 1.0f;
    for (const KernelTable *table : available_kernels()) {
        WeightMemory memory(0);
        const PackedConvolution packed =
            table->pack_convolution(memory, &one, nullptr, plain_convolution(*table, {1, 1, 1, 1}, 1));
        std::vector<float> rounded(values.size());
        const View source{.data = values.data(),
                          .width = count,
                          .image_stride = count,
                          .row_stride = count,
                          .pixel_stride = 1};
        View destination = source;
        destination.data = rounded.data();
        ConvolutionTask task{.source = source, .destination = destination, .packed = &packed};
        task.epilogue.rounds = true;
        Random random(5);
        run(random, *table, task, 1);
        std::int64_t wrong = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
            const float expected = float_from_half(half_from_float(values[i]));
            wrong += std::isnan(expected) ? !std::isnan(rounded[i]) : rounded[i] != expected;
        }
        CHECK(wrong == 0);
    }
}

TEST(unknown_and_missing_instruction_sets_are_refused) {
    CHECK(&kernels(available_kernels().back()->name) == available_kernels().back());
    CHECK_THROWS(kernels("sse9"), ErrorKind::parameter,
                 "'sse9': expected baseline, avx2, avx512, amx or neon");
#if defined(__x86_64__)
    CHECK_THROWS(kernels("neon"), ErrorKind::unsupported,
                 "lacks the instruction set 'neon', or this build its kernels; there are ");
#else
    CHECK_THROWS(kernels("avx2"), ErrorKind::unsupported,
                 "lacks the instruction set 'avx2', or this build its kernels; there are ");
#endif
}

} // namespace
