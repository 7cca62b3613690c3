// Compares each instruction set's requantisation with TensorFlow Lite's definition, sum by sum: around every
// border between two results, and across the 32-bit range. MPSCNN_TEST_EVERY_SUM=1 tests all 2^32 sums.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cpu/plan/rounding_offset.h"
#include "tests/cpp/check.h"
#include "tests/cpp/cpu/fixed_point_definition.h"
#include "tests/cpp/kernel_memory.h"

using namespace kernel_test;

namespace {

// Where the compiler can choose a function's instructions at load time, testing all sums takes half as long.
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
#define MPSCNN_VECTORISED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MPSCNN_VECTORISED
#endif

constexpr std::int64_t pixels = 256, outputs = 64, chunk = pixels * outputs, inputs = 4;

bool every_sum() {
    const char *value = std::getenv("MPSCNN_TEST_EVERY_SUM");
    return value && std::strcmp(value, "1") == 0;
}

struct Factor {
    std::int32_t multiplier;
    int shift;
};

/// Factors with these shifts: one bit to the left, none, one bit to the right, the shift of usual networks,
/// the largest right shift that kernels of tiles support, and the largest one.
constexpr Factor factors[] = {{1672461947, 1},      {std::numeric_limits<std::int32_t>::max(), 0},
                              {1672461947, -1},     {1256584746, -8},
                              {(1 << 30) + 1, -22}, {1 << 30, -31}};

/// Both roundings, with limits that keep or clamp ties below the zero point.
constexpr Requantization kinds[] = {
    {.zero_point = 128}, {.zero_point = 3, .low = 3, .high = 250}, {.zero_point = 128, .once = true}};

MPSCNN_VECTORISED void round_all(const std::int32_t *sums, const Factor &factor, bool once,
                                 std::int32_t *results) {
    const std::int32_t m = factor.multiplier;
    const int shift = factor.shift;
    if (once)
        for (std::int64_t i = 0; i < chunk; ++i) results[i] = definition::rounded_once(sums[i], m, shift);
    else
        for (std::int64_t i = 0; i < chunk; ++i) results[i] = definition::rounded_twice(sums[i], m, shift);
}

MPSCNN_VECTORISED std::int64_t count_different(const std::int32_t *rounded, const Requantization &to,
                                               const std::uint8_t *found) {
    const std::int32_t low = to.low - to.zero_point, high = to.high - to.zero_point, zero = to.zero_point;
    std::int32_t different = 0;
    for (std::int64_t i = 0; i < chunk; ++i) {
        const std::int32_t limited = std::min(std::max(rounded[i], low), high) + zero;
        different += limited != found[i] ? 1 : 0;
    }
    return different;
}

/// A pointwise convolution whose pixel x adds x to the bias of each output.
class Sums {
public:
    /// With an offset, the kernel rounds once, by an FMA of doubles or of floats.
    Sums(const Kernel<IntegerConvolutionTask> &kernel, const QuadKernels *quads, const Requantization &to,
         const Factor &factor, const std::optional<RoundingOffset> &offset = {},
         const std::optional<FloatOffset> &floats = {})
        : kernel_(kernel), added_((quads ? static_cast<std::uint32_t>(quads->centre) : 0) +
                                  (offset ? offset->sums : 0) + (floats ? floats->sums : 0)) {
        const auto memory = [](auto &buffer, std::int64_t count) {
            using Buffer = std::remove_reference_t<decltype(buffer)>;
            buffer = Buffer(static_cast<std::size_t>(count));
            std::fill_n(buffer.data(), buffer.size(), std::decay_t<decltype(*buffer.data())>{});
        };
        memory(bias_, outputs), memory(multipliers_, outputs), memory(shifts_, outputs);
        memory(quads_, inputs * outputs), memory(values_, inputs * outputs);
        std::fill_n(multipliers_.data(), outputs, factor.multiplier);
        std::fill_n(shifts_.data(), outputs, factor.shift);
        source_.assign(static_cast<std::size_t>(inputs * pixels), 91);
        for (std::int64_t x = 0; x < pixels; ++x)
            source_[static_cast<std::size_t>(inputs * x)] = static_cast<std::uint8_t>(x);
        result_.resize(static_cast<std::size_t>(chunk));
        constexpr std::int64_t panel = IntegerWeights::panel;
        for (std::int64_t o = 0; o < outputs; ++o) {
            quads_.data()[inputs * o] = 1;
            values_.data()[o / panel * panel * inputs + o % panel * 2] = 1;
        }
        task_.source.data = reinterpret_cast<const float *>(source_.data());
        task_.source.width = task_.destination.width = pixels;
        task_.source.channels = task_.source.pixel_stride = task_.weights.inputs = inputs;
        task_.source.row_stride = task_.source.image_stride = inputs * pixels;
        task_.source.element = task_.destination.element = Element::uint8;
        task_.destination.data = reinterpret_cast<float *>(result_.data());
        task_.destination.channels = task_.destination.writable_channels = outputs;
        task_.destination.pixel_stride = task_.weights.outputs = outputs;
        task_.destination.row_stride = task_.destination.image_stride = chunk;
        task_.weights.values = values_.data();
        if (quads) task_.weights.quads = quads_.data();
        if (quads && quads->adds_in_pairs) { // each panel has one step, which is not wide
            constexpr std::int64_t panels = outputs / panel;
            memory(no_steps_, panels), memory(one_step_, panels), memory(wide_first_, panels);
            std::fill_n(one_step_.data(), panels, 1);
            task_.weights.step_order = task_.weights.doubles = no_steps_.data();
            task_.weights.narrow = one_step_.data();
            task_.weights.wide_first = wide_first_.data();
            task_.weights.wides = values_.data();
        }
        task_.weights.bias = bias_.data();
        task_.requantization = to;
        task_.requantization.multipliers = multipliers_.data();
        task_.requantization.shifts = shifts_.data();
        if (offset) {
            memory(factors_, 2 * outputs);
            for (std::int64_t i = 0; i < 2 * outputs; ++i)
                factors_.data()[i] = i / panel % 2 == 0 ? offset->factor : offset->added;
            task_.requantization.factors = factors_.data();
        }
        if (floats) {
            const std::int64_t sets = to.sets_of_floats();
            const float constants[] = {floats->factor, floats->added, floats->added_below,
                                       std::bit_cast<float>(floats->more_below),
                                       std::bit_cast<float>(floats->split)};
            memory(floats_, sets * outputs);
            for (std::int64_t i = 0; i < sets * outputs; ++i) floats_.data()[i] = constants[i / panel % sets];
            task_.requantization.floats = floats_.data();
        }
        work_ = prepare(kernel_, task_, {.threads = 1, .caches = {}, .memory = &plan_});
        scratch_ = AlignedBuffer<std::byte>(work_.scratch_bytes + 64);
    }
    Sums(const Sums &) = delete;
    Sums &operator=(const Sums &) = delete;

    const std::uint8_t *results_from(const std::vector<std::int32_t> &first) {
        std::transform(first.begin(), first.end(), bias_.data(), [&](std::int32_t sum) {
            return static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) + added_);
        });
        Worker worker{scratch_.data()};
        kernel_.run(task_, work_, 0, work_.items, worker);
        return result_.data();
    }

private:
    const Kernel<IntegerConvolutionTask> &kernel_;
    std::uint32_t added_; ///< the number that is added to each bias
    AlignedBuffer<double> factors_;
    AlignedBuffer<float> floats_;
    AlignedBuffer<std::int32_t> bias_, multipliers_, shifts_, no_steps_, one_step_;
    AlignedBuffer<std::int64_t> wide_first_;
    AlignedBuffer<std::int8_t> quads_;
    AlignedBuffer<std::int16_t> values_;
    std::vector<std::uint8_t> source_, result_;
    IntegerConvolutionTask task_;
    PlanMemory plan_;
    Prepared work_{};
    AlignedBuffer<std::byte> scratch_;
};

/// A kernel with the names of its instruction set and of its order of weights.
struct NamedKernel {
    std::string name;
    const Kernel<IntegerConvolutionTask> *kernel;
    const QuadKernels *quads;
};

std::vector<NamedKernel> all_kernels() {
    std::vector<NamedKernel> found;
    for (const KernelTable *table : available_kernels()) {
        const Kernel<IntegerConvolutionTask> &pairs = *table;
        found.push_back({std::string(table->name) + " by pairs", &pairs, nullptr});
        if (table->multiplies_quads())
            found.push_back(
                {std::string(table->name) + " by fours", &table->quads.convolution, &table->quads});
    }
    return found;
}

/// Return the first sums of blocks of 256: around each border from -260 to 260, and some across the range.
std::vector<std::int32_t> some_sums(const Factor &factor) {
    constexpr std::int64_t minimum = std::numeric_limits<std::int32_t>::min(), maximum = -(minimum + 1);
    std::set<std::int64_t> first;
    for (int result = -260; result <= 260; ++result) {
        const double border = (result + 0.5) * std::ldexp(1.0, 31 - factor.shift) / factor.multiplier;
        if (std::fabs(border) < 2147483000.0)
            first.insert((static_cast<std::int64_t>(std::floor(border)) - pixels / 2) / 64 * 64);
    }
    for (std::int64_t at = minimum; at <= maximum; at += (std::int64_t{1} << 32) / 512) first.insert(at);
    first.insert(maximum + 1 - pixels);
    std::vector<std::int32_t> sums;
    for (const std::int64_t at : first)
        sums.push_back(static_cast<std::int32_t>(std::clamp(at, minimum, maximum + 1 - pixels)));
    while (sums.size() % outputs != 0) sums.push_back(sums.back());
    return sums;
}

void check_kind(const Requantization &to, const Factor &factor, const std::vector<NamedKernel> &kernels) {
    const std::vector<std::int32_t> some = every_sum() ? std::vector<std::int32_t>() : some_sums(factor);
    const std::int64_t chunks =
        every_sum() ? (std::int64_t{1} << 32) / chunk : static_cast<std::int64_t>(some.size()) / outputs;
    std::vector<std::atomic<std::int64_t>> wrong(kernels.size());
    std::atomic<std::int64_t> next = 0;
    const auto work = [&] {
        std::vector<std::unique_ptr<Sums>> own;
        for (const NamedKernel &named : kernels)
            own.push_back(std::make_unique<Sums>(*named.kernel, named.quads, to, factor));
        std::vector<std::int32_t> first(outputs), sums(chunk), rounded(chunk);
        for (std::int64_t i; (i = next++) < chunks;) {
            for (std::int64_t o = 0; o < outputs; ++o) {
                const auto at = static_cast<std::size_t>(o);
                first[at] =
                    every_sum()
                        ? static_cast<std::int32_t>(static_cast<std::uint32_t>(i * chunk + o * pixels))
                        : some[static_cast<std::size_t>(i * outputs) + at];
            }
            for (std::int64_t x = 0; x < pixels; ++x)
                for (std::int64_t o = 0; o < outputs; ++o)
                    sums[static_cast<std::size_t>(x * outputs + o)] =
                        first[static_cast<std::size_t>(o)] + static_cast<std::int32_t>(x);
            round_all(sums.data(), factor, to.once, rounded.data());
            for (std::size_t k = 0; k < kernels.size(); ++k)
                wrong[k] += count_different(rounded.data(), to, own[k]->results_from(first));
        }
    };
    std::vector<std::thread> threads;
    const unsigned count = every_sum() ? std::max(1u, std::thread::hardware_concurrency()) : 1;
    for (unsigned i = 1; i < count; ++i) threads.emplace_back(work);
    work();
    for (std::thread &thread : threads) thread.join();
    for (std::size_t k = 0; k < kernels.size(); ++k) {
        if (wrong[k] != 0)
            std::printf("%s: %lld of %lld sums wrong: multiplier %d, shift %d, zero point %d%s\n",
                        kernels[k].name.c_str(), static_cast<long long>(wrong[k]),
                        static_cast<long long>(chunks * chunk), factor.multiplier, factor.shift,
                        to.zero_point, to.once ? ", rounded once" : "");
        CHECK(wrong[k] == 0);
    }
    if (every_sum()) {
        std::printf("multiplier %d, shift %d, zero point %d%s: all sums\n", factor.multiplier, factor.shift,
                    to.zero_point, to.once ? ", rounded once" : "");
        std::fflush(stdout);
    }
}

TEST(sums_are_requantised_by_the_definition) {
    const std::vector<NamedKernel> kernels = all_kernels();
    for (const Requantization &to : kinds)
        for (const Factor &factor : factors) check_kind(to, factor, kernels);
}

/// Return the lower 32 bits of the double that a kernel computes from a sum.
std::int32_t rounded_in_one(const RoundingOffset &offset, std::int32_t sum) {
    const double with_offset = 0x1p52 + (static_cast<std::uint32_t>(sum) + offset.sums);
    return static_cast<std::int32_t>(
        std::bit_cast<std::uint64_t>(std::fma(with_offset, offset.factor, offset.added)));
}

/// Return the lower 16 bits of the float that a kernel computes from a sum.
std::int32_t rounded_in_one(const FloatOffset &offset, std::int32_t sum) {
    auto bits = static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) + offset.sums);
    const bool below = bits < offset.split;
    if (below) bits += offset.more_below;
    const float added = below ? offset.added_below : offset.added;
    return static_cast<std::int16_t>(
        std::bit_cast<std::uint32_t>(std::fma(std::bit_cast<float>(bits), offset.factor, added)) & 0xffff);
}

/// Compare one rounding of sums from `least` to `most` with two: by the arithmetic alone, and by the kernels
/// that support it.
template <class Offset>
void check_offset(const Requantization &to, const Factor &factor, const Offset &offset, std::int64_t least,
                  std::int64_t most) {
    constexpr bool is_float = std::is_same_v<Offset, FloatOffset>;
    std::vector<std::int32_t> first = some_sums(factor);
    first.push_back(static_cast<std::int32_t>(least));
    first.push_back(static_cast<std::int32_t>(most - pixels + 1));
    std::erase_if(first, [&](std::int32_t sum) { return sum < least || sum > most - pixels + 1; });
    while (first.size() % outputs != 0) first.push_back(first.back());
    std::vector<std::int32_t> sums(chunk), rounded(chunk);
    std::vector<std::uint8_t> in_one(chunk);
    std::int64_t wrong = 0;
    for (std::size_t i = 0; i < first.size(); i += outputs) {
        const std::vector<std::int32_t> own(first.begin() + static_cast<std::ptrdiff_t>(i),
                                            first.begin() + static_cast<std::ptrdiff_t>(i + outputs));
        for (std::size_t k = 0; k < chunk; ++k) {
            sums[k] = own[k % outputs] + static_cast<std::int32_t>(k / outputs);
            in_one[k] =
                static_cast<std::uint8_t>(std::clamp(rounded_in_one(offset, sums[k]), to.low, to.high));
        }
        round_all(sums.data(), factor, to.once, rounded.data());
        wrong += count_different(rounded.data(), to, in_one.data());
        for (const KernelTable *table : available_kernels())
            if (table->multiplies_quads() &&
                (is_float ? table->quads.has_floats : table->quads.has_factors)) {
                std::optional<RoundingOffset> doubles;
                std::optional<FloatOffset> floats;
                if constexpr (is_float)
                    floats = offset;
                else
                    doubles = offset;
                Sums kernel(table->quads.convolution, &table->quads, to, factor, doubles, floats);
                wrong += count_different(rounded.data(), to, kernel.results_from(own));
            }
    }
    if (wrong != 0)
        std::printf(
            "%lld sums wrong in one rounding of %s: multiplier %d, shift %d, zero point %d, %d to %d\n",
            static_cast<long long>(wrong), is_float ? "floats" : "doubles", factor.multiplier, factor.shift,
            to.zero_point, to.low, to.high);
    CHECK(wrong == 0);
}

TEST(one_rounding_of_sums_with_an_offset_is_exact) {
    Random random(5);
    for (int i = 0; i < 60; ++i) {
        const auto mantissa = static_cast<std::int32_t>(random() >> 2 | 1u << 30);
        // Also try factors of few bits. Not all of them have an offset.
        const Factor factor{i % 4 == 0 ? mantissa & -(1 << 24) : mantissa,
                            -static_cast<int>(pick(random, 1, i % 3 == 0 ? 21 : 12))};
        Requantization to{.once = i % 2 == 0};
        to.zero_point = static_cast<std::int32_t>(pick(random, 0, 255));
        to.low = to.once ? static_cast<std::int32_t>(pick(random, 0, 255)) : to.zero_point;
        to.high = static_cast<std::int32_t>(pick(random, to.low, 255));
        const std::optional<RoundingOffset> offset = rounding_offset(to, factor.multiplier, factor.shift);
        CHECK(offset || i % 4 == 0);
        if (offset) check_offset(to, factor, *offset, -sum_limit, sum_limit - 1);
    }
}

TEST(one_rounding_of_floats_with_an_offset_is_exact) {
    Random random(6);
    int found = 0;
    constexpr int all = 100;
    for (int i = 0; i < all; ++i) {
        const auto mantissa = static_cast<std::int32_t>(random() >> 2 | 1u << 30);
        const Factor factor{mantissa, -static_cast<int>(pick(random, 1, 9))};
        Requantization to{.once = i % 3 == 0};
        to.zero_point = static_cast<std::int32_t>(pick(random, 0, 255));
        to.low = i % 3 == 1 ? to.zero_point : static_cast<std::int32_t>(pick(random, 0, 255));
        to.high = static_cast<std::int32_t>(pick(random, to.low, 255));
        const auto sum_of = [&](std::int64_t result) {
            return static_cast<std::int64_t>(std::ldexp(static_cast<double>(result), 31 - factor.shift) /
                                             mantissa);
        };
        const std::int64_t least = sum_of(-pick(random, 300, 3000)), most = sum_of(pick(random, 300, 3000));
        const auto offset = float_offset(to, factor.multiplier, factor.shift, least, most);
        if (!offset) continue;
        ++found;
        check_offset(to, factor, *offset, least, most);
    }
    std::printf("%d of %d factors have an offset for floats\n", found, all);
    CHECK(found >= all * 9 / 10);
    const Requantization clamped{.zero_point = 3, .low = 3, .high = 250};
    CHECK(float_offset(clamped, 1256584746, -8, -30'000, 60'000));
    CHECK(float_offset({.zero_point = 128}, 1256584746, -8, -30'000, 60'000)); // ties below the zero point
    CHECK(!float_offset(clamped, 1256584746, -8, -(1 << 22), 1 << 22));
    const auto zero = float_offset(clamped, 0, 0, -12'345, 6'789);
    CHECK(zero && rounded_in_one(*zero, -12'345) == 3 && rounded_in_one(*zero, 6'789) == 3);
}

TEST(factors_without_an_offset_are_refused) {
    const Requantization clamped{.zero_point = 3, .low = 3, .high = 250};
    CHECK(rounding_offset(clamped, 1256584746, -8));
    CHECK(!rounding_offset({.zero_point = 128}, 1256584746, -8)); // ties below the zero point
    CHECK(!rounding_offset(clamped, 1256584746, 0));
    CHECK(!rounding_offset(clamped, 1256584746, -22));
    const std::optional<RoundingOffset> zero = rounding_offset(clamped, 0, 0);
    CHECK(zero && rounded_in_one(*zero, -12345) == 3);
}

} // namespace
