// Convolutions of every instruction set against a plain computation in double. Sources are surrounded by NaN
// and destinations by a guard value, so that reading or writing a neighbour shows.

#include "cpu/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "core/half.h"

using namespace mpscnn;
using namespace mpscnn::cpu;

namespace {

constexpr float guard = -12345.0f;
constexpr std::int64_t margin = 32; ///< floats before a tensor

using Random = std::mt19937;

std::int64_t pick(Random &random, std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(high - low + 1));
}

float uniform(Random &random) { return static_cast<float>(random()) * 0x1p-31f - 1.0f; }

/// Memory of a tensor whose pixels, rows and images may have space between them.
struct Memory {
    std::vector<float> floats;
    View view;

    Memory(Random &random, std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t channels,
           float fill) {
        view.batch = batch, view.height = height, view.width = width, view.channels = channels;
        view.pixel_stride = channels + (random() % 2 ? pick(random, 0, 20) : 0);
        view.row_stride = width * view.pixel_stride + (random() % 3 ? 0 : pick(random, 1, 9));
        view.image_stride = height * view.row_stride + (random() % 3 ? 0 : pick(random, 1, 9));
        view.writable_channels = random() % 2 ? view.pixel_stride : channels;
        // Nothing behind the last float, not even the space between pixels: a sanitizer sees reads past it.
        const std::int64_t last = (batch - 1) * view.image_stride + (height - 1) * view.row_stride +
                                  (width - 1) * view.pixel_stride;
        floats.assign(static_cast<std::size_t>(margin + last + view.writable_channels), fill);
        view.data = floats.data() + margin;
    }
    float *at(std::int64_t n, std::int64_t y, std::int64_t x) const {
        return view.data + n * view.image_stride + y * view.row_stride + x * view.pixel_stride;
    }
    template <class Action> void each_pixel(Action action) const {
        for (std::int64_t n = 0; n < view.batch; ++n)
            for (std::int64_t y = 0; y < view.height; ++y)
                for (std::int64_t x = 0; x < view.width; ++x) action(n, y, x);
    }
    void randomise(Random &random) {
        each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
            std::generate_n(at(n, y, x), view.channels, [&] { return uniform(random); });
        });
    }
    /// Whether only floats that may be written differ from the guard.
    bool guarded() const {
        std::vector<char> allowed(floats.size(), 0);
        each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
            std::fill_n(allowed.begin() + (at(n, y, x) - floats.data()), view.writable_channels, 1);
        });
        for (std::size_t i = 0; i < floats.size(); ++i)
            if (!allowed[i] && floats[i] != guard) return false;
        return true;
    }
};

Activation random_activation(Random &random, const float *slopes) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    switch (random() % 6) {
    case 0:
        return {.kind = Activation::Kind::clamp, .low = 0.0f, .high = infinity};
    case 1:
        return {.kind = Activation::Kind::clamp, .low = 0.0f, .high = 0.75f};
    case 2:
        return {.kind = Activation::Kind::leaky, .high = random() % 2 ? infinity : 0.5f, .slope = -0.25f};
    case 3:
        return {.kind = Activation::Kind::prelu, .slopes = slopes};
    case 4:
        return {.kind = Activation::Kind::linear, .low = 0.125f, .slope = -1.5f};
    default:
        return {};
    }
}

double activated(const Activation &activation, double x, std::int64_t channel) {
    switch (activation.kind) {
    case Activation::Kind::clamp:
        return std::min<double>(std::max<double>(x, activation.low), activation.high);
    case Activation::Kind::leaky:
        return std::min<double>(x >= 0 ? x : activation.slope * x, activation.high);
    case Activation::Kind::prelu:
        return x >= 0 ? x : activation.slopes[channel] * x;
    case Activation::Kind::linear:
        return activation.slope * x + activation.low;
    default:
        return x;
    }
}

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

    std::int64_t outputs() const { return groups * group_outputs; }
    std::int64_t depth() const { return vertical.kernel * horizontal.kernel * group_inputs; }
};

/// Any small convolution: pointwise, dense, grouped, depthwise with a multiplier, or one window over the
/// whole image.
ConvolutionCase random_case(Random &random) {
    ConvolutionCase c{};
    const auto kind = random() % 6;
    c.batch = pick(random, 1, 3), c.height = pick(random, 1, 12), c.width = pick(random, 1, 40);
    c.groups = kind == 2 ? pick(random, 2, 4) : kind == 3 ? pick(random, 2, 70) : 1;
    c.group_inputs = kind == 3 ? 1 : pick(random, 1, random() % 4 ? 20 : 200);
    c.group_outputs = kind == 3 ? pick(random, 1, 3) : pick(random, 1, random() % 2 ? 8 : 80);
    const bool pointwise = kind == 0 || kind == 5;
    c.vertical = random_axis(random, pointwise ? 1 : pick(random, 1, 4), kind == 0);
    c.horizontal = random_axis(random, pointwise ? 1 : pick(random, 1, 4), kind == 0);
    if (kind == 4 && random() % 2) {
        c.height = pick(random, 1, 5), c.width = pick(random, 1, 5);
        c.vertical = {.kernel = c.height}, c.horizontal = {.kernel = c.width};
    }
    return c;
}

/// Output size that keeps each window's first tap before the end of the padded source.
std::int64_t output_extent(Random &random, const WindowAxis &axis, std::int64_t extent) {
    const std::int64_t after = axis.before ? pick(random, 0, axis.kernel) : 0;
    const std::int64_t span = (axis.kernel - 1) * axis.dilation + 1;
    return std::max<std::int64_t>(1, (extent + axis.before + after - span) / axis.stride + 1);
}

/// A convolution with its operands.
struct Problem {
    ConvolutionCase c;
    std::vector<float> weights, bias;
    AlignedBuffer<float> slopes;
    Memory source, destination, residual;
    ConstView residual_view;
    PackedConvolution packed;
    ConvolutionTask task;

    Problem(Random &random, const KernelTable &table, const ConvolutionCase &given)
        : c(given), weights(static_cast<std::size_t>(c.outputs() * c.depth())),
          bias(static_cast<std::size_t>(c.outputs())), slopes(static_cast<std::size_t>(c.outputs() + 16)),
          source(random, c.batch, c.height, c.width, c.group_inputs * c.groups, std::nanf("")),
          destination(random, c.batch, output_extent(random, c.vertical, c.height),
                      output_extent(random, c.horizontal, c.width), c.outputs(), guard),
          residual(random, c.batch, destination.view.height, destination.view.width, c.outputs(),
                   std::nanf("")),
          residual_view(residual.view) {
        std::generate(weights.begin(), weights.end(), [&] { return uniform(random); });
        std::generate(bias.begin(), bias.end(), [&] { return uniform(random); });
        std::generate_n(slopes.data(), slopes.size(), [&] { return uniform(random); });
        source.randomise(random);
        residual.randomise(random);
        const bool with_bias = random() % 4 != 0;
        if (!with_bias) std::fill(bias.begin(), bias.end(), 0.0f);
        packed = table.pack_convolution(weights.data(), with_bias ? bias.data() : nullptr, c.outputs(),
                                        c.vertical.kernel, c.horizontal.kernel, c.group_inputs, c.groups);
        task = {.source = source.view,
                .destination = destination.view,
                .vertical = c.vertical,
                .horizontal = c.horizontal,
                .packed = &packed,
                .epilogue = {.activation = random_activation(random, slopes.data()),
                             .round_to_half = random() % 4 == 0,
                             .residual = random() % 3 == 0 ? &residual_view : nullptr,
                             .residual_activation = random_activation(random, slopes.data()),
                             .residual_round_to_half = random() % 4 == 0}};
    }
};

/// Runs all items in random order, as if by `threads` threads.
void run(Random &random, const KernelTable &table, const ConvolutionTask &task, int threads) {
    const Work work = table.convolution_work(task, threads);
    CHECK(work.items > 0);
    std::vector<std::int64_t> order(static_cast<std::size_t>(work.items));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    AlignedBuffer<std::byte> scratch(work.scratch_bytes + 64);
    std::memset(scratch.data(), 0xff, scratch.size()); // NaN
    for (std::int64_t item : order) table.convolution(task, threads, item, item + 1, scratch.data());
    for (std::size_t i = work.scratch_bytes; i < scratch.size(); ++i)
        if (scratch[i] != std::byte{0xff}) return CHECK(!"wrote behind the scratch memory");
}

struct Sum {
    double value, magnitude; ///< magnitude: of the terms, for the bound of rounding errors
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

double half_spacing(double x) {
    return std::ldexp(1.0, std::max(std::ilogb(std::fabs(x) + 1e-30), -14) - 10);
}

bool is_half(float x) { return float_from_half(half_from_float(x)) == x; }

/// Whether a result agrees with the reference. Every activation here stretches an error by 1.5 at most.
bool agrees(const Problem &p, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t output) {
    const Epilogue &epilogue = p.task.epilogue;
    const Sum sum = convolved(p, n, y, x, output);
    double expected = activated(epilogue.activation, sum.value, output);
    double allowed = 1.5 * 0x1p-24 * (static_cast<double>(p.c.depth()) + 4) * (sum.magnitude + 1);
    if (epilogue.round_to_half) allowed += 0.5 * half_spacing(std::fabs(expected) + allowed);
    bool rounded = epilogue.round_to_half;
    if (epilogue.residual) {
        const double added = p.residual.at(n, y, x)[output];
        expected = activated(epilogue.residual_activation, expected + added, output);
        allowed = 1.5 * allowed + 0x1p-22 * (std::fabs(expected) + std::fabs(added) + 1);
        rounded = epilogue.residual_round_to_half;
        if (rounded) allowed += 0.5 * half_spacing(std::fabs(expected) + allowed);
    }
    const float got = p.destination.at(n, y, x)[output];
    return std::fabs(got - expected) <= allowed && (!rounded || is_half(got));
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

/// Compares the floats that exist, bit by bit.
bool same_bits(const Memory &a, const Memory &b, std::int64_t first_image_of_a) {
    bool same = true;
    b.each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
        const auto bytes = static_cast<std::size_t>(b.view.channels) * sizeof(float);
        same = same && std::memcmp(a.at(first_image_of_a + n, y, x), b.at(n, y, x), bytes) == 0;
    });
    return same;
}

/// The same convolution for some threads, and for the last image alone.
void check_bits(Random &random, const KernelTable &table, Problem &p) {
    run(random, table, p.task, 1);
    for (int threads : {2, 7}) {
        Memory other = p.destination;
        std::fill(other.floats.begin(), other.floats.end(), guard);
        other.view.data = other.floats.data() + margin;
        ConvolutionTask task = p.task;
        task.destination = other.view;
        run(random, table, task, threads);
        CHECK(same_bits(p.destination, other, 0));
        CHECK(other.guarded());
    }
    Memory alone(random, 1, p.destination.view.height, p.destination.view.width, p.c.outputs(), guard);
    ConvolutionTask task = p.task;
    ConstView residual = p.residual_view;
    task.source.batch = residual.batch = 1;
    task.source.data += (p.c.batch - 1) * task.source.image_stride;
    residual.data += (p.c.batch - 1) * residual.image_stride;
    task.destination = alone.view;
    if (task.epilogue.residual) task.epilogue.residual = &residual;
    run(random, table, task, 1);
    CHECK(same_bits(p.destination, alone, p.c.batch - 1));
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

// Large enough to be cut into several blocks of pixels and of channels.
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

// Through a convolution that multiplies by one; the sweep meets every exponent with many endings.
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
        const PackedConvolution packed = table->pack_convolution(&one, nullptr, 1, 1, 1, 1, 1);
        std::vector<float> rounded(values.size());
        const View source{.data = values.data(),
                          .width = count,
                          .image_stride = count,
                          .row_stride = count,
                          .pixel_stride = 1};
        View destination = source;
        destination.data = rounded.data();
        ConvolutionTask task{.source = source, .destination = destination, .packed = &packed};
        task.epilogue.round_to_half = true;
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
    CHECK(&kernels("baseline") == available_kernels().back());
    CHECK_THROWS(kernels("sse9"), ErrorKind::parameter, "'sse9': expected baseline, avx2, avx512 or neon");
#if defined(__x86_64__)
    CHECK_THROWS(kernels("neon"), ErrorKind::unsupported, "lacks the instruction set 'neon'; it has ");
#else
    CHECK_THROWS(kernels("avx2"), ErrorKind::unsupported, "lacks the instruction set 'avx2'; it has ");
#endif
}

} // namespace
