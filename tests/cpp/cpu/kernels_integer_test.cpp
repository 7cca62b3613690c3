// Compares requantisation in the kernels of every instruction set of this machine with the definition of the
// reference kernels. It uses sums at and around each border between two results, for all shifts.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tests/cpp/check.h"
#include "tests/cpp/cpu/fixed_point_definition.h"
#include "tests/cpp/kernel_memory.h"

using namespace kernel_test;

namespace {

/// Sums with the same factor.
struct Sums {
    AlignedBuffer<std::int32_t> sums, multipliers, shifts;
    std::int64_t count;

    explicit Sums(std::int64_t places)
        : sums(static_cast<std::size_t>(places)), multipliers(static_cast<std::size_t>(places)),
          shifts(static_cast<std::size_t>(places)), count(places) {
        for (auto *buffer : {&sums, &multipliers, &shifts}) std::fill_n(buffer->data(), places, 0);
    }
};

constexpr std::int32_t multipliers[] = {1 << 30, (1 << 30) + 1, 1256584746, 1672461947,
                                        std::numeric_limits<std::int32_t>::max()};
constexpr int min_shift = -31, greatest_shift = 30;

struct Case {
    std::int32_t sum, multiplier, shift;
};

/// Return three sums on either side of each border between results from -260 to 260, and others.
std::vector<Case> cases() {
    Random random(5);
    std::vector<Case> found;
    for (const std::int32_t m : multipliers)
        for (int shift = min_shift; shift <= greatest_shift; ++shift) {
            for (int result = -260; result <= 260; ++result) {
                const double border = (result + 0.5) * std::ldexp(1.0, 31 - shift) / m;
                for (int near = -3; near <= 3; ++near) {
                    const double sum = std::floor(border) + near;
                    if (std::fabs(sum) < 2147483648.0)
                        found.push_back({static_cast<std::int32_t>(sum), m, shift});
                }
            }
            for (int i = 0; i < 20; ++i) found.push_back({static_cast<std::int32_t>(random()), m, shift});
            found.push_back({std::numeric_limits<std::int32_t>::min(), m, shift});
            found.push_back({std::numeric_limits<std::int32_t>::max(), m, shift});
        }
    std::shuffle(found.begin(), found.end(), random);
    return found;
}

enum class Layer { pairs, quads, depthwise, depthwise_quads };

/// Return the results of a layer whose weights are zero, so that its sums are the biases.
std::vector<std::uint8_t> requantised(Random &random, const Kernel<IntegerConvolutionTask> &kernel,
                                      Layer layer, const Sums &sums, const Requantization &to) {
    const bool depthwise = layer == Layer::depthwise || layer == Layer::depthwise_quads,
               quads = layer == Layer::quads || layer == Layer::depthwise_quads;
    const std::int64_t outputs = sums.count, inputs = depthwise ? outputs : 4;
    const std::vector<std::uint8_t> source(static_cast<std::size_t>(inputs), 77);
    std::vector<std::uint8_t> result(static_cast<std::size_t>(outputs), 0);
    const auto panels = static_cast<std::size_t>((outputs - 1) / IntegerWeights::panel + 1);
    AlignedBuffer<std::int16_t> zeros(panels * 4 * IntegerWeights::panel);
    std::fill_n(zeros.data(), zeros.size(), std::int16_t{0});
    IntegerConvolutionTask task;
    task.source.data = reinterpret_cast<const float *>(source.data());
    task.source.channels = inputs;
    task.source.pixel_stride = task.source.row_stride = task.source.image_stride = inputs;
    task.source.element = task.destination.element = Element::uint8;
    task.destination.data = reinterpret_cast<float *>(result.data());
    task.destination.channels = task.destination.writable_channels = outputs;
    task.destination.pixel_stride = task.destination.row_stride = task.destination.image_stride = outputs;
    task.source_zero = 3;
    task.weights.values = zeros.data();
    if (depthwise)
        task.weights.groups = outputs;
    else
        task.weights.inputs = inputs, task.weights.outputs = outputs;
    // For QuadKernels::adds_in_pairs, the one step of each panel is wide.
    const std::vector<std::int32_t> no_steps(panels);
    const std::vector<std::int64_t> first(panels);
    if (quads) {
        task.weights.quads = reinterpret_cast<const std::int8_t *>(zeros.data());
        task.weights.wides = zeros.data();
        task.weights.step_order = task.weights.doubles = task.weights.narrow = no_steps.data();
        task.weights.wide_first = first.data();
    }
    task.weights.bias = sums.sums.data();
    task.requantization = to;
    task.requantization.multipliers = sums.multipliers.data();
    task.requantization.shifts = sums.shifts.data();
    CHECK(run_items(random, task, kernel, 1));
    return result;
}

/// Return the number of results that differ from the definition.
std::int64_t count_wrong(const std::vector<std::uint8_t> &found, const Sums &sums, const Requantization &to) {
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < sums.count; ++i) {
        const std::int32_t x = sums.sums[static_cast<std::size_t>(i)],
                           m = sums.multipliers[static_cast<std::size_t>(i)],
                           shift = sums.shifts[static_cast<std::size_t>(i)];
        const std::int64_t rounded =
            to.once ? definition::rounded_once(x, m, shift) : definition::rounded_twice(x, m, shift);
        wrong += found[static_cast<std::size_t>(i)] !=
                 definition::result_of(rounded, to.zero_point, to.low, to.high);
    }
    return wrong;
}

TEST(requantisation_has_the_bits_of_its_definition) {
    Random random(6);
    const std::vector<Case> all = cases();
    constexpr std::int64_t outputs = 32 * 1024;
    // Limits below, at and above the zero point, and a narrow range.
    const Requantization kinds[] = {{.zero_point = 128},
                                    {.zero_point = 128, .low = 128},
                                    {.zero_point = 0},
                                    {.zero_point = 255, .once = true},
                                    {.zero_point = 17, .low = 20, .high = 200},
                                    {.zero_point = 100, .low = 100, .once = true}};
    for (std::size_t first = 0; first < all.size(); first += outputs) {
        Sums sums(outputs);
        for (std::size_t i = 0; i < outputs && first + i < all.size(); ++i) {
            sums.sums[i] = all[first + i].sum;
            sums.multipliers[i] = all[first + i].multiplier;
            sums.shifts[i] = all[first + i].shift;
        }
        for (const KernelTable *table : available_kernels())
            for (const Requantization &to : kinds) {
                for (const Layer layer : {Layer::pairs, Layer::depthwise}) {
                    const Kernel<IntegerConvolutionTask> &kernel = *table;
                    CHECK(count_wrong(requantised(random, kernel, layer, sums, to), sums, to) == 0);
                }
                if (!table->multiplies_quads()) continue;
                for (const Layer layer :
                     {Layer::pairs, Layer::quads, Layer::depthwise, Layer::depthwise_quads})
                    if (layer != Layer::depthwise_quads || table->quads.has_depthwise)
                        CHECK(count_wrong(requantised(random, table->quads.convolution, layer, sums, to),
                                          sums, to) == 0);
            }
    }
}

} // namespace
