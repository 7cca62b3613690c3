// Compares kernels for bfloat16 numbers with plain arithmetic in double. Kernels that sum in blocks are
// compared with their definition bit for bit. Without AMX, its kernels run on a software model of its tiles.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/cpp/cpu/bfloat16_check.h"

using namespace kernel_test;

namespace {

void check_convolution(Random &random, const KernelTable &table, bool depthwise) {
    const std::int64_t groups = depthwise ? pick(random, 2, 70) : random() % 4 ? 1 : pick(random, 2, 3);
    const std::int64_t inputs = depthwise ? 1 : 2 * pick(random, 1, random() % 3 ? 12 : 90);
    const std::int64_t outputs = depthwise ? groups : groups * pick(random, 1, random() % 2 ? 9 : 90);
    const std::int64_t kernel = depthwise ? (random() % 2 ? 3 : pick(random, 1, 5)) : pick(random, 1, 3);
    const WindowAxis vertical = random_axis(random, kernel), horizontal = random_axis(random, kernel);
    const Size size{pick(random, 1, 2), pick(random, 1, 12), pick(random, 1, 40), groups * inputs};
    const Size result{size.batch, output_extent(vertical, size.height), output_extent(horizontal, size.width),
                      outputs};
    std::vector<float> weights(static_cast<std::size_t>(outputs * kernel * kernel * inputs)),
        bias(static_cast<std::size_t>(outputs));
    for (float &weight : weights) weight = round_to_bfloat16(uniform(random));
    for (float &value : bias) value = uniform(random);
    WeightMemory memory(0);
    const PackedConvolution packed = table.pack_convolution(
        memory, weights.data(), bias.data(),
        plain_convolution(table, {outputs, kernel, kernel, inputs}, groups, Element::bfloat16));
    Tensor source(random, size, Element::bfloat16), residual(random, result, Element::bfloat16);
    source.randomise(random), residual.randomise(random);
    const bool wide = !depthwise && random() % 3 == 0; // the results are floats
    Tensor destination(random, result, wide ? Element::float32 : Element::bfloat16);
    const ConstView residual_view = residual.view;
    ConvolutionTask task;
    task.source = source.view;
    task.vertical = vertical, task.horizontal = horizontal;
    task.packed = &packed;
    if (random() % 2)
        task.epilogue.activation = {.kind = Activation::Kind::clamp, .low = -0.5f, .high = 2.0f};
    else if (!depthwise && random() % 2)
        task.epilogue.activation = {.kind = Activation::Kind::linear, .low = 0.25f, .slope = -0.5f};
    if (!depthwise && random() % 2) {
        task.epilogue.residual = &residual_view;
        task.epilogue.rounds = random() % 2;
    }
    bool right = runs(random, task, destination, table.kernel(task));
    destination.each([&](std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t o, std::int64_t at) {
        double sum = bias[static_cast<std::size_t>(o)], magnitude = std::fabs(sum);
        const float *w = weights.data() + o * kernel * kernel * inputs;
        for (std::int64_t i = 0; i < kernel; ++i)
            for (std::int64_t j = 0; j < kernel; ++j)
                for (std::int64_t k = 0; k < inputs; ++k, ++w) {
                    const std::int64_t row = y * vertical.stride - vertical.before + i * vertical.dilation;
                    const std::int64_t column =
                        x * horizontal.stride - horizontal.before + j * horizontal.dilation;
                    if (row < 0 || row >= size.height || column < 0 || column >= size.width) continue;
                    const std::int64_t channel = o / (outputs / groups) * inputs + k;
                    const double term =
                        static_cast<double>(*w) * source.get(source.offset(n, row, column) + channel);
                    sum += term;
                    magnitude += std::fabs(term);
                }
        double expected = activated(task.epilogue.activation, sum, o);
        double allowed = 0x1p-23 * static_cast<double>(kernel * kernel * inputs + 4) * (magnitude + 1);
        const double rounding = 0x1p-8;
        if (task.epilogue.residual) {
            if (task.epilogue.rounds) allowed += rounding * std::fabs(expected);
            expected += residual.get(residual.offset(n, y, x) + o);
        }
        if (!wide) allowed += rounding * (std::fabs(expected) + allowed);
        right = right && std::fabs(destination.get(at) - expected) <= allowed;
    });
    if (!right)
        std::printf("%s: %lld x %lld inputs, %lld outputs, kernel %lld, %lld x %lld, stride %lld, dilation "
                    "%lld, %s\n",
                    table.name, static_cast<long long>(groups), static_cast<long long>(inputs),
                    static_cast<long long>(outputs), static_cast<long long>(kernel),
                    static_cast<long long>(size.height), static_cast<long long>(size.width),
                    static_cast<long long>(horizontal.stride), static_cast<long long>(horizontal.dilation),
                    wide ? "float results" : "bfloat16 results");
    CHECK(right);
}

/// Return x, with subnormal numbers replaced by zero.
float flushed(float x) {
    return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x;
}

/// Return a * b + c, rounded once. A result that is subnormal after rounding to 24 bits is zero.
float multiply_add(float a, float b, float c) {
    a = flushed(a), b = flushed(b), c = flushed(c);
    const float result = std::fma(a, b, c);
    const double exact = static_cast<double>(a) * b + c; // exact for results this small
    const bool tiny =
        std::fabs(result) <= std::numeric_limits<float>::min() && std::fabs(exact) < 0x1p-126 * (1 - 0x1p-25);
    return tiny ? std::copysign(0.0f, result) : result;
}

/// Add the products of a kernel position: each 32 inputs form two chains, of even and of odd inputs.
float add_blocks(const std::vector<float> &inputs, const std::vector<float> &weights, float sum) {
    for (std::size_t first = 0; first < inputs.size(); first += 32) {
        float even = 0, odd = 0;
        for (std::size_t k = first; k < std::min(first + 32, inputs.size()); k += 2) {
            even = multiply_add(inputs[k], weights[k], even);
            odd = multiply_add(inputs[k + 1], weights[k + 1], odd);
        }
        sum = multiply_add(multiply_add(even, 1, odd), 1, sum);
    }
    return sum;
}

/// Return a number of any magnitude: some are subnormal, few are infinite or NaN.
float any_number(Random &random) {
    const float infinity = std::numeric_limits<float>::infinity();
    if (random() % 500 == 0) return random() % 2 ? infinity : std::nanf("");
    const int exponent = static_cast<int>(random() % 3 ? pick(random, -6, 6) : pick(random, -75, 30));
    return round_to_bfloat16(std::ldexp(uniform(random), exponent));
}

bool sums_in_blocks(const KernelTable &table) {
    return table.bfloat16.products == Bfloat16Products::blocks ||
           table.bfloat16.products == Bfloat16Products::blocks_in_tiles;
}

void check_block_sums(Random &random, const KernelTable &table) {
    if (!sums_in_blocks(table)) return;
    const std::int64_t inputs = 2 * pick(random, 1, random() % 2 ? 12 : 60),
                       outputs = pick(random, 1, random() % 2 ? 20 : 100), kernel = pick(random, 1, 3);
    const WindowAxis vertical = random_axis(random, kernel), horizontal = random_axis(random, kernel);
    const Size size{pick(random, 1, 2), pick(random, 1, 6), pick(random, 1, 9), inputs};
    const Size result{size.batch, output_extent(vertical, size.height), output_extent(horizontal, size.width),
                      outputs};
    std::vector<float> weights(static_cast<std::size_t>(outputs * kernel * kernel * inputs)),
        bias(static_cast<std::size_t>(outputs));
    const bool any = random() % 2;
    for (float &weight : weights) { // weights are finite
        weight = any ? any_number(random) : round_to_bfloat16(uniform(random));
        if (!std::isfinite(weight)) weight = 1;
    }
    for (float &value : bias) value = uniform(random);
    WeightMemory memory(0);
    const PackedConvolution packed = table.pack_convolution(
        memory, weights.data(), bias.data(),
        plain_convolution(table, {outputs, kernel, kernel, inputs}, 1, Element::bfloat16));
    Tensor source(random, size, Element::bfloat16), destination(random, result, Element::float32);
    source.each([&](auto, auto, auto, auto, std::int64_t at) {
        source.set(at, any ? any_number(random) : uniform(random));
    });
    ConvolutionTask task;
    task.source = source.view;
    task.vertical = vertical, task.horizontal = horizontal;
    task.packed = &packed;
    bool right = runs(random, task, destination, table.kernel(task));
    destination.each([&](std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t o, std::int64_t at) {
        float sum = bias[static_cast<std::size_t>(o)];
        for (std::int64_t i = 0; i < kernel; ++i)
            for (std::int64_t j = 0; j < kernel; ++j) {
                const std::int64_t row = y * vertical.stride - vertical.before + i * vertical.dilation;
                const std::int64_t column =
                    x * horizontal.stride - horizontal.before + j * horizontal.dilation;
                std::vector<float> pixel(static_cast<std::size_t>(inputs)), factors(pixel.size());
                const bool inside = row >= 0 && row < size.height && column >= 0 && column < size.width;
                for (std::int64_t k = 0; k < inputs; ++k) {
                    const auto index = static_cast<std::size_t>(k);
                    pixel[index] = inside ? source.get(source.offset(n, row, column) + k) : 0.0f;
                    factors[index] =
                        inside
                            ? weights[static_cast<std::size_t>(((o * kernel + i) * kernel + j) * inputs + k)]
                            : 0.0f;
                }
                sum = add_blocks(pixel, factors, sum);
            }
        const float got = destination.get(at);
        // A tap outside of the source may be skipped, which changes the sign of a sum of -0.
        right = right &&
                (std::isnan(sum) ? std::isnan(got)
                                 : std::bit_cast<std::uint32_t>(got) == std::bit_cast<std::uint32_t>(sum) ||
                                       (got == 0.0f && sum == 0.0f));
    });
    if (!right)
        std::printf("%s: %lld inputs, %lld outputs, kernel %lld\n", table.name,
                    static_cast<long long>(inputs), static_cast<long long>(outputs),
                    static_cast<long long>(kernel));
    CHECK(right);
}

} // namespace

TEST(rounding_is_to_nearest_even) {
    CHECK(bfloat16_from_float(1.0f) == 0x3f80);
    CHECK(bfloat16_from_float(std::bit_cast<float>(0x3f808000u)) == 0x3f80); // a tie
    CHECK(bfloat16_from_float(std::bit_cast<float>(0x3f818000u)) == 0x3f82);
    CHECK(bfloat16_from_float(std::bit_cast<float>(0x3f808001u)) == 0x3f81);
    CHECK(bfloat16_from_float(std::bit_cast<float>(0x7f7fffffu)) == 0x7f80);
    CHECK(bfloat16_from_float(std::bit_cast<float>(0x807fffffu)) == 0x8000); // subnormal
    CHECK(bfloat16_from_float(std::bit_cast<float>(0xff800001u)) == 0xffc0); // a NaN stays a NaN
}

TEST(conversions_round_as_the_core_does) {
    constexpr std::uint32_t step = 1'000'003; // a prime, so that every exponent occurs with many low bits
    for_each_bfloat16_table(4, [&](Random &random, const KernelTable &table) {
        const std::int64_t channels = pick(random, 1, 40), added = channels % 2;
        const Size size{2, 7, (std::int64_t{1} << 32) / step / 14 / channels, channels};
        Tensor source(random, size, Element::float32);
        Tensor rounded(random, {2, 7, size.width, channels + added}, Element::bfloat16);
        Tensor back(random, {2, 7, size.width, channels}, Element::float32);
        std::uint32_t bits = 0;
        source.each([&](auto, auto, auto, auto, std::int64_t at) {
            source.set(at, std::bit_cast<float>(bits += step));
        });
        ConversionTask task;
        task.source = source.view;
        CHECK(runs(random, task, rounded, table.kernel(task)));
        bool right = true;
        rounded.each([&](std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c, std::int64_t at) {
            const float expected =
                c < channels ? round_to_bfloat16(source.get(source.offset(n, y, x) + c)) : 0.0f;
            right = right &&
                    (std::bit_cast<std::uint32_t>(rounded.get(at)) == std::bit_cast<std::uint32_t>(expected));
        });
        CHECK(right);
        task.source = rounded.view;
        task.source.channels = channels;
        CHECK(runs(random, task, back, table.kernel(task)));
        back.each([&](std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c, std::int64_t at) {
            const float expected = rounded.get(rounded.offset(n, y, x) + c);
            right = right && std::memcmp(&back.words[static_cast<std::size_t>(at)], &expected, 4) == 0;
        });
        CHECK(right);
    });
}

TEST(photos_get_a_fourth_channel) {
    for_each_bfloat16_table(20, [&](Random &random, const KernelTable &table) {
        const Size size{pick(random, 1, 2), pick(random, 1, 9), pick(random, 1, 40), 3};
        Tensor source(random, size, Element::float32);
        source.view.pixel_stride = 3; // like photos of a caller
        source.view.row_stride = 3 * size.width, source.view.image_stride = size.height * 3 * size.width;
        source.randomise(random);
        Tensor result(random, {size.batch, size.height, size.width, 4}, Element::bfloat16);
        ConversionTask task;
        task.source = source.view;
        CHECK(runs(random, task, result, table.kernel(task)));
        bool right = true;
        result.each([&](std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c, std::int64_t at) {
            const float expected = c < 3 ? round_to_bfloat16(source.get(source.offset(n, y, x) + c)) : 0.0f;
            right = right && result.get(at) == expected;
        });
        CHECK(right);
    });
}

TEST(matrix_products_of_every_kind) {
    for_each_bfloat16_table(
        400, [](Random &random, const KernelTable &table) { check_convolution(random, table, false); });
}

TEST(sums_in_blocks_have_the_bits_of_their_definition) {
    const std::vector<KernelTable> tables = tables_with_bfloat16();
    if (std::none_of(tables.begin(), tables.end(), sums_in_blocks))
        SKIP("no kernels here sum products of bfloat16 numbers in blocks");
    for_each_bfloat16_table(300, check_block_sums);
}

TEST(depthwise_convolutions) {
    for_each_bfloat16_table(
        200, [](Random &random, const KernelTable &table) { check_convolution(random, table, true); });
}
