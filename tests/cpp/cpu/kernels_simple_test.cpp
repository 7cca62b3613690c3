// Compares pooling, elementwise, softmax, resize, padding and half conversion kernels of every instruction
// set of this machine with plain arithmetic in double.

#include "cpu/isa/kernels.h"

#include <bit>
#include <string>

#include "core/half.h"
#include "tests/cpp/cpu/kernel_check.h"

using namespace kernel_test;

namespace {

TEST(tensors_have_the_same_bits_up_to_the_sign_of_nan) {
    Random random(7);
    const auto filled = [&](float value) {
        Memory memory(random, {1, 1, 1, 3}, guard);
        memory.each([&](float &element) { element = value; });
        return memory;
    };
    CHECK(filled(std::nanf("")).same_bits(filled(-std::nanf(""))));
    CHECK(!filled(std::nanf("")).same_bits(filled(infinity)));
    CHECK(!filled(0.0f).same_bits(filled(-0.0f)));
    CHECK(!filled(1.0f).same_bits(filled(std::nextafter(1.0f, 2.0f))));
}

// Pooling

WindowAxis random_window(Random &random, std::int64_t extent) {
    if (random() % 4 == 0) return {.kernel = extent};
    const std::int64_t kernel = pick(random, 1, 4);
    return {kernel, pick(random, 1, 3), pick(random, 1, 3), pick(random, 0, kernel)};
}

std::int64_t output_extent(Random &random, const WindowAxis &window, std::int64_t extent) {
    const std::int64_t reach = (window.kernel - 1) * window.dilation + 1;
    const std::int64_t after = window.before ? pick(random, 0, 2) : 0;
    return std::max<std::int64_t>(1, (extent + window.before + after - reach) / window.stride + 1);
}

struct Pooled {
    double maximum = -std::numeric_limits<double>::infinity(), sum = 0, magnitude = 0;
    int counted = 0;
    bool nan = false;
};

Pooled pooled(const PoolingTask &task, const Memory &source, std::int64_t n, std::int64_t y, std::int64_t x,
              std::int64_t channel) {
    Pooled result;
    for (std::int64_t i = 0; i < task.vertical.kernel; ++i) {
        for (std::int64_t j = 0; j < task.horizontal.kernel; ++j) {
            const std::int64_t row =
                y * task.vertical.stride - task.vertical.before + i * task.vertical.dilation;
            const std::int64_t column =
                x * task.horizontal.stride - task.horizontal.before + j * task.horizontal.dilation;
            const View &from = source.view;
            result.counted += row >= -task.counted_before_y && row < from.height + task.counted_after_y &&
                              column >= -task.counted_before_x && column < from.width + task.counted_after_x;
            if (row < 0 || row >= from.height || column < 0 || column >= from.width) continue;
            const double value = source.at(n, row, column)[channel];
            result.nan = result.nan || std::isnan(value);
            result.maximum = std::max(result.maximum, value);
            result.sum += value;
            result.magnitude += std::fabs(value);
        }
    }
    return result;
}

PoolingTask random_pooling(Random &random, const Memory &source) {
    PoolingTask task;
    task.source = source.view;
    task.kind = random() % 2 ? PoolingKind::max : PoolingKind::average;
    task.vertical = random_window(random, source.view.height);
    task.horizontal = random_window(random, source.view.width);
    if (random() % 2) {
        task.counted_before_y = task.vertical.before;
        task.counted_before_x = task.horizontal.before;
        task.counted_after_y = pick(random, 0, 2);
        task.counted_after_x = pick(random, 0, 2);
    }
    return task;
}

Size pooled_size(Random &random, const PoolingTask &task) {
    return {task.source.batch, output_extent(random, task.vertical, task.source.height),
            output_extent(random, task.horizontal, task.source.width), task.source.channels};
}

TEST(pooling_agrees_with_double) {
    for_each_table(400, [](Random &random, const KernelTable &table) {
        const Memory source = random_source(random, random_size(random));
        PoolingTask task = random_pooling(random, source);
        const Size size = pooled_size(random, task);
        const Memory destination(random, size, guard);
        const RandomEpilogue epilogue(random, size);
        task.destination = destination.view;
        task.epilogue = epilogue.epilogue;
        check_task(random, table, task.kind == PoolingKind::max ? "maximum" : "average", task, destination,
                   [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t channel) {
                       const Pooled expected = pooled(task, source, n, y, x, channel);
                       if (task.kind == PoolingKind::max) {
                           // A window without any pixel has no maximum.
                           if (std::isinf(expected.maximum)) return true;
                           return epilogue.agrees(got, expected.maximum, 0, n, y, x, channel);
                       }
                       const double divisor = std::max(expected.counted, 1);
                       return epilogue.agrees(got, expected.sum / divisor,
                                              0x1p-22 * expected.magnitude / divisor, n, y, x, channel);
                   });
    });
}

TEST(pooling_keeps_nan_and_infinity) {
    for_each_table(2000, [](Random &random, const KernelTable &table) {
        Memory source = random_source(random, random_size(random));
        source.each([&](float &value) {
            const auto kind = random() % 16;
            if (kind == 0) value = std::nanf("");
            if (kind == 1) value = random() % 2 ? infinity : -infinity;
        });
        PoolingTask task = random_pooling(random, source);
        const Memory destination(random, pooled_size(random, task), guard);
        task.destination = destination.view;
        check_task(random, table, "pooling of NaN", task, destination,
                   [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t channel) {
                       const Pooled expected = pooled(task, source, n, y, x, channel);
                       if (task.kind == PoolingKind::max)
                           return expected.nan ? std::isnan(got)
                                               : got == static_cast<float>(expected.maximum);
                       if (std::isnan(expected.sum)) return std::isnan(got);
                       return !std::isinf(expected.sum) || got == static_cast<float>(expected.sum);
                   });
    });
}

TEST(global_average_of_a_large_image_is_accurate) {
    for_each_table(1, [](Random &random, const KernelTable &table) {
        Memory source(random, {1, 200, 200, 20}, 0.0f);
        source.each([&](float &value) { value = 1.0f + uniform(random) * 0.5f; });
        const Memory destination(random, {1, 1, 1, 20}, guard);
        PoolingTask task;
        task.kind = PoolingKind::average;
        task.source = source.view;
        task.destination = destination.view;
        task.vertical.kernel = task.horizontal.kernel = 200;
        check_task(random, table, "global average", task, destination,
                   [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t channel) {
                       const double expected = pooled(task, source, n, y, x, channel).sum / 40000;
                       return std::fabs(got - expected) < 2e-6;
                   });
    });
}

// Elementwise

TEST(additions_agree_with_double) {
    for_each_table(300, [](Random &random, const KernelTable &table) {
        const Size size = random_size(random);
        const Memory a = random_source(random, size), b = random_source(random, size);
        const Memory destination(random, size, guard);
        const RandomEpilogue epilogue(random, size);
        const ArithmeticTask task{a.view, b.view, destination.view, epilogue.epilogue};
        check_task(random, table, "addition", task, destination,
                   [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t channel) {
                       const double sum =
                           static_cast<double>(a.at(n, y, x)[channel]) + b.at(n, y, x)[channel];
                       return epilogue.agrees(got, sum, 0x1p-24 * std::fabs(sum), n, y, x, channel);
                   });
    });
}

TEST(scales_and_shifts_agree_with_double) {
    for_each_table(300, [](Random &random, const KernelTable &table) {
        const Size size = random_size(random);
        const Memory source = random_source(random, size), destination(random, size, guard);
        const RandomEpilogue epilogue(random, size);
        AlignedBuffer<float> scale(static_cast<std::size_t>(size.channels + 16)), shift(scale.size());
        std::generate_n(scale.data(), scale.size(), [&] { return uniform(random); });
        std::generate_n(shift.data(), shift.size(), [&] { return uniform(random); });
        AffineTask task{source.view, destination.view, nullptr, nullptr, epilogue.epilogue};
        if (random() % 2) task.scale = scale.data(), task.shift = shift.data();
        check_task(random, table, "scale and shift", task, destination,
                   [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t channel) {
                       const double factor = task.scale ? task.scale[channel] : 1.0f;
                       const double term = task.shift ? task.shift[channel] : 0.0f;
                       const double product = source.at(n, y, x)[channel] * factor;
                       const double error = 0x1p-23 * (std::fabs(product) + std::fabs(term));
                       return epilogue.agrees(got, product + term, error, n, y, x, channel);
                   });
    });
}

TEST(a_destination_may_be_the_source_or_the_residual) {
    for_each_table(100, [](Random &random, const KernelTable &table) {
        const Size size = random_size(random);
        const Memory a = random_source(random, size), separate(random, size, guard);
        Memory in_place = random_source(random, size);
        const Memory b = in_place;
        const ConstView residual = b.view;
        Epilogue epilogue;
        epilogue.activation = {.kind = Activation::Kind::linear, .low = 0.25f, .slope = 2.0f};
        epilogue.residual = &residual;
        ArithmeticTask task{a.view, b.view, separate.view, epilogue};
        bool right = run_items(random, task, table.kernel<ArithmeticTask>(), 2);
        const ConstView own = in_place.view;
        task.second = task.destination = in_place.view;
        task.epilogue.residual = &own;
        right = right && run_items(random, task, table.kernel<ArithmeticTask>(), 2);
        check_kernel(right && separate.same_bits(in_place), table,
                     "addition in place of " + text(in_place.view));
    });
}

// Softmax

void check_softmax(Random &random, const KernelTable &table, const Memory &source, bool round_to_half) {
    const View &from = source.view;
    const Memory destination(random, {from.batch, from.height, from.width, from.channels}, guard);
    const SoftmaxTask task{from, destination.view, round_to_half};
    check_task(random, table, "softmax", task, destination,
               [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t channel) {
                   const float *pixel = source.at(n, y, x);
                   double maximum = -infinity, sum = 0;
                   for (std::int64_t c = 0; c < from.channels; ++c)
                       maximum = std::isnan(pixel[c]) ? pixel[c] : std::max<double>(maximum, pixel[c]);
                   for (std::int64_t c = 0; c < from.channels; ++c) sum += std::exp(pixel[c] - maximum);
                   const double expected = std::exp(pixel[channel] - maximum) / sum;
                   if (std::isnan(expected)) return std::isnan(got);
                   // Errors: the difference is rounded before its exponential is taken; each addition of the
                   // sum rounds once; a few more. The last term is for subnormal results.
                   const double distance = expected > 0 ? maximum - pixel[channel] : 0;
                   const auto terms = static_cast<double>(from.channels);
                   double allowed = 0x1p-24 * (distance + terms + 8) * expected + 1e-44;
                   if (round_to_half) allowed += 0.5 * half_spacing(expected + allowed);
                   return std::fabs(got - expected) <= allowed;
               });
}

TEST(softmax_agrees_with_double) {
    for_each_table(200, [](Random &random, const KernelTable &table) {
        Memory source = random_source(random, random_size(random));
        const float spread = std::ldexp(1.0f, static_cast<int>(pick(random, -3, 9)));
        const float offset = random() % 2 ? 1000.0f : 0.0f;
        source.each([&](float &value) { value = value * spread + offset; });
        check_softmax(random, table, source, random() % 4 == 0);
    });
}

TEST(softmax_of_infinities_and_nan) {
    for_each_table(200, [](Random &random, const KernelTable &table) {
        Memory source = random_source(random, random_size(random));
        const auto rarity = static_cast<std::uint32_t>(pick(random, 1, 60));
        const float special[] = {infinity, -infinity, -infinity, -infinity, std::nanf(""), 3e38f, -3e38f};
        const float chosen = special[random() % std::size(special)];
        source.each([&](float &value) {
            if (random() % rarity == 0) value = chosen;
        });
        check_softmax(random, table, source, false);
    });
}

// Resize

struct Sample {
    std::int64_t first, second;
    double fraction;
};

Sample sample(const ResizeTask &task, const ResizePositions &axis, std::int64_t output, std::int64_t size) {
    const double position =
        (static_cast<double>(output) + axis.centre) * axis.numerator / axis.denominator + axis.offset;
    if (task.zero_outside && task.kind == ResizeKind::bilinear) {
        const auto at = static_cast<std::int64_t>(std::floor(position));
        return {at, at + 1, position - std::floor(position)};
    }
    const auto last = static_cast<double>(size - 1);
    if (task.kind == ResizeKind::nearest) {
        const double moved = position + task.nearest_bias;
        const double at = task.nearest_up ? std::ceil(moved) : std::floor(moved);
        const auto index = static_cast<std::int64_t>(task.zero_outside ? at : std::clamp(at, 0.0, last));
        return {index, index, 0};
    }
    const double inside = std::clamp(position, 0.0, last);
    const auto at = static_cast<std::int64_t>(std::floor(inside));
    return {at, std::min(at + 1, size - 1), inside - std::floor(inside)};
}

TEST(resizing_agrees_with_double) {
    for_each_table(300, [](Random &random, const KernelTable &table) {
        const Memory source = random_source(random, random_size(random));
        const View &from = source.view;
        const Memory destination(
            random, {from.batch, pick(random, 1, 20), pick(random, 1, 20), from.channels}, guard);
        ResizeTask task;
        task.kind = random() % 2 ? ResizeKind::nearest : ResizeKind::bilinear;
        task.source = from;
        task.destination = destination.view;
        const auto positions = [&](std::int64_t size, std::int64_t outputs) {
            const double centre = random() % 2 ? 0.5 : 0.0,
                         shift = random() % 4 ? 0.0 : pick(random, -3, 3) * 0.75;
            return ResizePositions{static_cast<double>(size), static_cast<double>(outputs), centre,
                                   shift - centre};
        };
        task.vertical = positions(from.height, destination.view.height);
        task.horizontal = positions(from.width, destination.view.width);
        task.zero_outside = random() % 3 == 0;
        task.nearest_up = random() % 2;
        task.nearest_bias = random() % 2 ? 0 : task.nearest_up ? -0.5 : 0.5;
        task.round_to_half = random() % 3 == 0;
        task.non_temporal = random() % 2;
        check_task(
            random, table, task.kind == ResizeKind::nearest ? "nearest" : "bilinear", task, destination,
            [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t channel) {
                const Sample v = sample(task, task.vertical, y, from.height);
                const Sample h = sample(task, task.horizontal, x, from.width);
                const auto value = [&](std::int64_t row, std::int64_t column) {
                    const bool inside = row >= 0 && row < from.height && column >= 0 && column < from.width;
                    return inside ? static_cast<double>(source.at(n, row, column)[channel]) : 0.0;
                };
                const double above = std::lerp(value(v.first, h.first), value(v.first, h.second), h.fraction);
                const double below =
                    std::lerp(value(v.second, h.first), value(v.second, h.second), h.fraction);
                const double expected = std::lerp(above, below, v.fraction);
                double allowed = task.kind == ResizeKind::nearest ? 0 : 0x1p-21;
                if (task.round_to_half) allowed += 0.5 * half_spacing(std::fabs(expected) + allowed);
                return std::fabs(got - expected) <= allowed;
            });
    });
}

/// Make the weights of one output: up to four positions are summed with weights that depend on the output and
/// the position. Every fifth output has none.
std::int64_t some_weights(const ResizePositions &, std::int64_t size, bool, std::int64_t output,
                          std::int32_t &first, float *weights) {
    if (output % 5 == 4) return 0;
    first = static_cast<std::int32_t>(output * 7 % size);
    const std::int64_t count = std::min<std::int64_t>(1 + output % 4, size - first);
    for (std::int64_t tap = 0; tap < count; ++tap)
        weights[tap] = 0.25f * static_cast<float>(1 + tap) - 0.1f * static_cast<float>(output % 3);
    return count;
}

TEST(filters_add_up_rows_and_columns) {
    for_each_table(200, [](Random &random, const KernelTable &table) {
        const Memory source = random_source(random, random_size(random));
        const View &from = source.view;
        const Memory destination(
            random, {from.batch, pick(random, 1, 20), pick(random, 1, 20), from.channels}, guard);
        ResizeTask task;
        task.kind = ResizeKind::lanczos;
        task.source = from;
        task.destination = destination.view;
        task.vertical_taps = std::min<std::int64_t>(4, from.height);
        task.horizontal_taps = std::min<std::int64_t>(4, from.width);
        task.weights = some_weights;
        task.round_to_half = random() % 3 == 0;
        check_task(random, table, "lanczos", task, destination,
                   [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t channel) {
                       float down[4], across[4];
                       std::int32_t top = 0, left = 0;
                       const std::int64_t rows = some_weights({}, from.height, false, y, top, down);
                       const std::int64_t columns = some_weights({}, from.width, false, x, left, across);
                       double expected = 0, sizes = 0;
                       for (std::int64_t j = 0; j < rows; ++j)
                           for (std::int64_t i = 0; i < columns; ++i) {
                               const double term = static_cast<double>(down[j]) * across[i] *
                                                   source.at(n, top + j, left + i)[channel];
                               expected += term;
                               sizes += std::fabs(term);
                           }
                       double allowed = 0x1p-21 * sizes;
                       if (task.round_to_half) allowed += 0.5 * half_spacing(std::fabs(expected) + allowed);
                       return std::fabs(got - expected) <= allowed;
                   });
    });
}

// Padding

void check_padding(Random &random, const KernelTable &table, const PaddingTask &task, const Memory &source,
                   const Memory &destination) {
    const ConstView &from = task.source;
    check_task(random, table, "padding", task, destination,
               [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t channel) {
                   const std::int64_t row = y - task.top, column = x - task.left, c = channel - task.front;
                   const bool inside = row >= 0 && row < from.height && column >= 0 && column < from.width &&
                                       c >= 0 && c < from.channels;
                   return got == (inside ? source.at(n, row, column)[c] : task.value);
               });
}

TEST(padding_copies_crops_and_fills) {
    for_each_table(400, [](Random &random, const KernelTable &table) {
        const Memory source = random_source(random, random_size(random));
        const View &from = source.view;
        const bool same_channels = random() % 2;
        const std::int64_t channels = same_channels ? from.channels : pick(random, 1, from.channels + 20);
        const Memory destination(random, {from.batch, pick(random, 1, 15), pick(random, 1, 15), channels},
                                 guard);
        PaddingTask task{from, destination.view};
        if (random() % 4) {
            task.top = pick(random, -6, 6);
            task.left = pick(random, -6, 6);
            task.front = same_channels ? 0 : pick(random, -10, 10);
        }
        task.value = uniform(random);
        check_padding(random, table, task, source, destination);
    });
}

// Several threads share one row, for example the scores of many anchors.
TEST(padding_shares_long_rows) {
    for_each_table(8, [](Random &random, const KernelTable &table) {
        const Size size{1, 1, pick(random, 900, 1300), pick(random, 70, 100)}; // enough for two threads
        const Memory source = random_source(random, size);
        const Memory destination(
            random, {1, pick(random, 1, 2), size.width + pick(random, -300, 300), size.channels}, guard);
        PaddingTask task{source.view, destination.view};
        task.left = random() % 2 ? 0 : pick(random, -200, 200);
        task.value = uniform(random);
        PlanMemory memory;
        const Planning planning{.threads = 2, .caches = {}, .memory = &memory};
        CHECK(prepare(table.kernel<PaddingTask>(), task, planning).items > destination.view.height);
        check_padding(random, table, task, source, destination);
    });
}

TEST(concatenation_joins_channels_and_leaves_those_between_them) {
    for_each_table(60, [](Random &random, const KernelTable &table) {
        constexpr auto max_others = static_cast<std::int64_t>(ConcatenationTask::max_others);
        Size size = random_size(random);
        const std::int64_t count = pick(random, 0, max_others);
        std::vector<Memory> sources;
        std::vector<std::int64_t> positions;
        std::int64_t channels = 0;
        for (std::int64_t i = 0; i <= count; ++i) {
            size.channels = pick(random, 1, random() % 3 ? 40 : 300);
            sources.push_back(random_source(random, size));
            positions.push_back(channels);
            channels += size.channels + (i < count && random() % 4 == 0 ? pick(random, 1, 9) : 0);
        }
        size.channels = channels;
        const Memory destination(random, size, guard);
        ConcatenationTask task;
        task.source = sources[0].view;
        task.destination = destination.view;
        for (task.count = 0; task.count < count; ++task.count) {
            const auto i = static_cast<std::size_t>(task.count);
            task.others[i] = sources[i + 1].view;
            task.positions[i] = positions[i + 1];
        }
        check_task(random, table, "concatenation", task, destination,
                   [&](float got, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t channel) {
                       const auto behind = std::upper_bound(positions.begin(), positions.end(), channel);
                       const auto i = static_cast<std::size_t>(behind - positions.begin()) - 1;
                       const std::int64_t c = channel - positions[i];
                       return got == (c < sources[i].view.channels ? sources[i].at(n, y, x)[c] : guard);
                   });
    });
}

// Half

TEST(every_half_becomes_the_float_of_core_half) {
    for_each_table(1, [](Random &, const KernelTable &table) {
        std::vector<std::uint16_t> halves(0x10000);
        std::iota(halves.begin(), halves.end(), std::uint16_t{0});
        std::vector<float> floats(halves.size());
        table.floats_from_halves(halves.data(), floats.data(), 0x10000);
        for (const std::uint16_t half : halves)
            CHECK(std::bit_cast<std::uint32_t>(floats[half]) ==
                  std::bit_cast<std::uint32_t>(float_from_half(half)));
    });
}

TEST(floats_become_the_halves_of_core_half) {
    for_each_table(1, [](Random &random, const KernelTable &table) {
        std::vector<float> floats;
        // Floats around every half: its neighbours, and the ties between halves with their neighbours.
        for (std::uint32_t half = 0; half < 0x10000; ++half) {
            const auto bits = std::bit_cast<std::uint32_t>(float_from_half(static_cast<std::uint16_t>(half)));
            for (const int distance : {-1, 0, 1, 0xfff, 0x1000, 0x1001})
                floats.push_back(std::bit_cast<float>(bits + static_cast<std::uint32_t>(distance)));
        }
        for (int i = 0; i < 1 << 18; ++i)
            floats.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
        std::vector<std::uint16_t> halves(floats.size());
        table.halves_from_floats(floats.data(), halves.data(), static_cast<std::int64_t>(floats.size()));
        for (std::size_t i = 0; i < floats.size(); ++i) CHECK(halves[i] == half_from_float(floats[i]));
    });
}

TEST(half_conversions_of_any_length_touch_nothing_else) {
    for_each_table(40, [](Random &random, const KernelTable &table) {
        const std::int64_t count = pick(random, 0, 40);
        std::vector<float> floats(static_cast<std::size_t>(count));
        std::generate(floats.begin(), floats.end(), [&] { return uniform(random); });
        std::vector<std::uint16_t> halves(floats.size() + 1, 0xabcd);
        std::vector<float> back(floats.size() + 1, guard);
        table.halves_from_floats(floats.data(), halves.data(), count);
        table.floats_from_halves(halves.data(), back.data(), count);
        CHECK(halves.back() == 0xabcd && back.back() == guard);
        for (std::size_t i = 0; i < floats.size(); ++i) CHECK(back[i] == round_to_half(floats[i]));
    });
}

} // namespace
