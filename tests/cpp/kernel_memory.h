#pragma once

// Helpers of the kernel tests: random numbers, strided tensors surrounded by guard values, and random items.

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "core/half.h"
#include "cpu/isa/kernels.h"
#include "cpu/plan/algorithm.h"
#include "cpu/plan/plan_memory.h"

namespace kernel_test {

using namespace mpscnn;
using namespace mpscnn::cpu;

using Random = std::mt19937;

inline constexpr float guard = -12345.0f;
inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr std::int64_t margin = 32; ///< floats before a tensor

inline std::int64_t pick(Random &random, std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(high - low + 1));
}
inline float uniform(Random &random) { return static_cast<float>(random()) * 0x1p-31f - 1.0f; }

/// NHWC extents.
struct Size {
    std::int64_t batch = 1, height = 1, width = 1, channels = 1;
};

/// A tensor whose pixels, rows and images may have gaps between them. All memory is `fill` at first. NaN
/// around a source reveals reads outside; a guard value around a destination reveals writes outside.
struct Memory {
    std::vector<float> floats;
    View view;

    Memory(Random &random, const Size &size, float fill) {
        view.batch = size.batch, view.height = size.height;
        view.width = size.width, view.channels = size.channels;
        view.pixel_stride = size.channels + (random() % 2 ? pick(random, 0, 20) : 0);
        view.row_stride = size.width * view.pixel_stride + (random() % 3 ? 0 : pick(random, 1, 9));
        view.image_stride = size.height * view.row_stride + (random() % 3 ? 0 : pick(random, 1, 9));
        view.writable_channels = random() % 2 ? view.pixel_stride : size.channels;
        // There is no memory after the view, so a sanitizer detects reads past the last pixel's channels.
        const std::int64_t last = (size.batch - 1) * view.image_stride + (size.height - 1) * view.row_stride +
                                  (size.width - 1) * view.pixel_stride + view.writable_channels;
        floats.assign(static_cast<std::size_t>(margin + last), fill);
        view.data = floats.data() + margin;
    }
    Memory(const Memory &other) : floats(other.floats), view(other.view) {
        view.data = floats.data() + margin;
    }
    Memory &operator=(const Memory &) = delete;

    float *at(std::int64_t n, std::int64_t y, std::int64_t x) const {
        return view.data + n * view.image_stride + y * view.row_stride + x * view.pixel_stride;
    }
    /// Call action(n, y, x) for each pixel.
    template <class Action> void each_pixel(Action action) const {
        for (std::int64_t n = 0; n < view.batch; ++n)
            for (std::int64_t y = 0; y < view.height; ++y)
                for (std::int64_t x = 0; x < view.width; ++x) action(n, y, x);
    }
    /// Call action(float &) for each element.
    template <class Action> void each(Action action) const {
        each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
            std::for_each_n(at(n, y, x), view.channels, action);
        });
    }
    void randomise(Random &random) {
        each([&](float &value) { value = uniform(random); });
    }
    /// True if only floats that may be written differ from the guard.
    bool guarded() const {
        std::vector<char> allowed(floats.size(), 0);
        each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
            std::fill_n(allowed.begin() + (at(n, y, x) - floats.data()), view.writable_channels, 1);
        });
        for (std::size_t i = 0; i < floats.size(); ++i)
            if (!allowed[i] && floats[i] != guard) return false;
        return true;
    }
    /// True if the elements (without the gaps) of the images from `first_image` on have the same bits as
    /// another tensor. All NaNs count as equal. The compiler chooses the order of a sum's operands, which
    /// decides the sign of a NaN, and the choice may differ in each instance of a kernel.
    bool same_bits(const Memory &other, std::int64_t first_image = 0) const {
        const auto same_number = [](float a, float b) {
            return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
                   (std::isnan(a) && std::isnan(b));
        };
        bool same = true;
        other.each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
            const float *here = at(first_image + n, y, x);
            same = same && std::equal(here, here + view.channels, other.at(n, y, x), same_number);
        });
        return same;
    }
};

inline Memory random_source(Random &random, const Size &size) {
    Memory memory(random, size, std::nanf(""));
    memory.randomise(random);
    return memory;
}

/// Run all items of a task one by one in random order, as if by `threads` threads. Return false if there
/// are no items, or if the kernel wrote past its scratch memory.
template <class Task>
bool run_items(Random &random, const Task &task, const Kernel<Task> &kernel, int threads) {
    PlanMemory memory;
    const Prepared work = prepare(kernel, task, {.threads = threads, .caches = {}, .memory = &memory});
    std::vector<std::int64_t> order(static_cast<std::size_t>(work.items));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    constexpr std::byte untouched{0xff}; // four of these bytes are a NaN
    AlignedBuffer<std::byte> scratch(work.scratch_bytes + 64);
    std::fill_n(scratch.data(), scratch.size(), untouched);
    Worker worker{scratch.data()};
    for (const std::int64_t item : order) kernel.run(task, work, item, item + 1, worker);
    return work.items > 0 && std::all_of(scratch.data() + work.scratch_bytes, scratch.data() + scratch.size(),
                                         [](std::byte value) { return value == untouched; });
}

/// Check that the task for several threads writes the same bits, and nothing else.
template <class Task>
bool same_for_any_threads(Random &random, Task task, const Memory &expected, const Kernel<Task> &kernel) {
    for (const int threads : {2, 6, 16, 64}) {
        Memory other = expected;
        std::fill(other.floats.begin(), other.floats.end(), guard);
        task.destination = other.view;
        if (!run_items(random, task, kernel, threads)) return false;
        if (!other.guarded() || !expected.same_bits(other)) return false;
    }
    return true;
}

/// An activation function in the form of Activation::apply: x / (1 + |x|).
inline void apply_softsign(const Activation &, float *first, std::ptrdiff_t stride, std::int64_t rows,
                           std::int64_t count) {
    for (; rows > 0; --rows, first += stride)
        for (std::int64_t i = 0; i < count; ++i) first[i] /= 1.0f + std::fabs(first[i]);
}

inline Activation random_activation(Random &random, const float *slopes) {
    switch (random() % 7) {
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
    case 5:
        return {.kind = Activation::Kind::function, .apply = apply_softsign};
    default:
        return {};
    }
}

inline double activated(const Activation &activation, double x, std::int64_t channel) {
    switch (activation.kind) {
    case Activation::Kind::clamp:
        return std::min<double>(std::max<double>(x, activation.low), activation.high);
    case Activation::Kind::leaky:
        return std::min<double>(x >= 0 ? x : activation.slope * x, activation.high);
    case Activation::Kind::prelu:
        return x >= 0 ? x : activation.slopes[channel] * x;
    case Activation::Kind::linear:
        return activation.slope * x + activation.low;
    case Activation::Kind::function:
        return x / (1 + std::fabs(x));
    default:
        return x;
    }
}

/// Return the distance between halves around x.
inline double half_spacing(double x) {
    return std::ldexp(1.0, std::max(std::ilogb(std::fabs(x) + 1e-30), -14) - 10);
}

/// A random epilogue with the operands it points to.
struct RandomEpilogue {
    AlignedBuffer<float> slopes;
    Memory residual;
    ConstView residual_view;
    Epilogue epilogue;

    RandomEpilogue(Random &random, const Size &size)
        : slopes(static_cast<std::size_t>(size.channels + 16)), residual(random_source(random, size)),
          residual_view(residual.view) {
        std::generate_n(slopes.data(), slopes.size(), [&] { return uniform(random); });
        if (random() % 3 == 0) return;
        epilogue = {.activation = random_activation(random, slopes.data()),
                    .rounds = random() % 4 == 0,
                    .residual = random() % 3 == 0 ? &residual_view : nullptr,
                    .residual_activation = random_activation(random, slopes.data()),
                    .residual_rounds = random() % 4 == 0};
    }
    RandomEpilogue(const RandomEpilogue &) = delete;

    /// True if `got` is the epilogue of a sum that is known to within `error`. The activations used here
    /// increase an error by a factor of 1.5 at most.
    bool agrees(float got, double sum, double error, std::int64_t n, std::int64_t y, std::int64_t x,
                std::int64_t channel) const {
        double expected = activated(epilogue.activation, sum, channel);
        double allowed = 1.5 * error + 0x1p-23 * std::fabs(expected);
        if (epilogue.rounds) allowed += 0.5 * half_spacing(std::fabs(expected) + allowed);
        if (epilogue.residual) {
            const double added = residual.at(n, y, x)[channel];
            expected = activated(epilogue.residual_activation, expected + added, channel);
            allowed = 1.5 * allowed + 0x1p-22 * (std::fabs(expected) + std::fabs(added) + 1);
            if (epilogue.residual_rounds) allowed += 0.5 * half_spacing(std::fabs(expected) + allowed);
        }
        const bool rounded = epilogue.residual ? epilogue.residual_rounds : epilogue.rounds;
        return std::fabs(got - expected) <= allowed && (!rounded || round_to_half(got) == got);
    }
};

} // namespace kernel_test
