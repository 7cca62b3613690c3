// Compares the kernels of training with bfloat16 products with plain arithmetic in double, and with the
// kernels whose results they round.

#include <cmath>
#include <cstring>
#include <vector>

#include "tests/cpp/cpu/bfloat16_check.h"

using namespace kernel_test;

namespace {

/// Fill a tensor [outputs][height][width][inputs] with weights, and return them in this order.
std::vector<float> random_weights(Random &random, Tensor &tensor) {
    tensor.randomise(random);
    std::vector<float> weights;
    tensor.each([&](auto, auto, auto, auto, std::int64_t at) { weights.push_back(tensor.get(at)); });
    return weights;
}

/// Return a tensor without gaps between pixels, as weights in training are.
Tensor weight_tensor(Random &random, const Size &size) {
    Tensor tensor(random, size, Element::float32);
    View &view = tensor.view;
    view.pixel_stride = view.writable_channels = size.channels;
    view.row_stride = size.width * size.channels;
    view.image_stride = size.height * view.row_stride;
    return tensor;
}

/// True if a PackTask writes the weights that `expected` has.
bool packs_like(Random &random, const KernelTable &table, PackTask task, const PackedConvolution &expected) {
    const std::int64_t size = static_cast<std::int64_t>(expected.weights.size()),
                       bias = static_cast<std::int64_t>(expected.bias.size());
    task.shape = expected;
    task.weights_size = size, task.bias_size = bias;
    Tensor packed(random, {1, 1, 1, size + bias}, Element::float32);
    return runs(random, task, packed, table.kernel(task)) &&
           std::memcmp(packed.words.data(), expected.weights.data(), static_cast<std::size_t>(4 * size)) == 0;
}

void check_packing(Random &random, const KernelTable &table) {
    const std::int64_t groups = random() % 3 ? 1 : 2, even = groups == 1 ? 1 : 2;
    const Size size{groups * even * pick(random, 1, 40), pick(random, 1, 3), pick(random, 1, 3),
                    even * pick(random, 1, 40)};
    Tensor tensor = weight_tensor(random, size);
    const std::vector<float> weights = random_weights(random, tensor);
    WeightMemory memory(0);
    const auto packed = [&](const std::vector<float> &values, const Shape &shape) {
        const ConvolutionShape order = plain_convolution(table, shape, groups, Element::bfloat16);
        return table.pack_convolution(memory, values.data(), nullptr, order);
    };
    PackTask task;
    task.source = tensor.view;
    CHECK(packs_like(random, table, task,
                     packed(weights, {size.batch, size.height, size.width, size.channels})));

    // The data gradient's weights are [inputs][rows][columns][outputs of a group], with some taps.
    const std::int64_t outputs = size.batch / groups;
    task.is_adjoint = true;
    task.groups = groups;
    task.rows = {size.height - 1, -1, size.height};
    task.columns = {0, 1, pick(random, 1, size.width)};
    std::vector<float> adjoint;
    for (std::int64_t input = 0; input < groups * size.channels; ++input)
        for (std::int64_t row = 0; row < task.rows.count; ++row)
            for (std::int64_t column = 0; column < task.columns.count; ++column)
                for (std::int64_t output = 0; output < outputs; ++output) {
                    const std::int64_t group = input / size.channels;
                    const std::int64_t at =
                        tensor.offset(group * outputs + output, size.height - 1 - row, column);
                    adjoint.push_back(tensor.get(at + input % size.channels));
                }
    CHECK(packs_like(random, table, task,
                     packed(adjoint, {groups * size.channels, size.height, task.columns.count, outputs})));
}

void check_weight_gradient(Random &random, const KernelTable &table) {
    const std::int64_t groups = random() % 3 ? 1 : 2, kernel = random() % 2 ? 1 : pick(random, 2, 3);
    const std::int64_t inputs = pick(random, 1, random() % 2 ? 9 : 70), outputs = pick(random, 1, 40);
    WeightGradientTask task;
    task.operands = Element::bfloat16;
    task.groups = groups;
    task.vertical = random_axis(random, kernel), task.horizontal = random_axis(random, kernel);
    const Size size{pick(random, 1, 3), pick(random, 1, 12), pick(random, 1, 20), groups * inputs};
    const Size result{size.batch, output_extent(task.vertical, size.height),
                      output_extent(task.horizontal, size.width), groups * outputs};
    const std::int64_t parts = pick(random, 1, 3);
    Tensor source(random, size, Element::float32);
    Tensor gradient(random, result, random() % 2 ? Element::float32 : Element::bfloat16);
    source.randomise(random), gradient.randomise(random);
    task.source = source.view, task.gradient = gradient.view;
    task.parts = parts;
    const std::int64_t taps = kernel * kernel * inputs, weights = groups * outputs * taps;
    const Size sums_size = parts == 1 ? Size{groups * outputs, 1, 1, taps} : Size{parts, 1, 1, weights};
    Tensor destination(random, sums_size, Element::float32);
    bool right = runs(random, task, destination, table.kernel(task));
    std::vector<double> sums(static_cast<std::size_t>(weights)), magnitudes(sums.size());
    gradient.each([&](std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t o, std::int64_t at) {
        auto weight = static_cast<std::size_t>(o * kernel * kernel * inputs);
        for (std::int64_t i = 0; i < kernel; ++i)
            for (std::int64_t j = 0; j < kernel; ++j)
                for (std::int64_t k = 0; k < inputs; ++k, ++weight) {
                    const auto place = [](const WindowAxis &axis, std::int64_t position, std::int64_t tap) {
                        return position * axis.stride - axis.before + tap * axis.dilation;
                    };
                    const std::int64_t row = place(task.vertical, y, i),
                                       column = place(task.horizontal, x, j);
                    if (row < 0 || row >= size.height || column < 0 || column >= size.width) continue;
                    const float input = source.get(source.offset(n, row, column) + o / outputs * inputs + k);
                    const double term = static_cast<double>(round_to_bfloat16(input)) *
                                        static_cast<double>(round_to_bfloat16(gradient.get(at)));
                    sums[weight] += term;
                    magnitudes[weight] += std::fabs(term);
                }
    });
    for (std::int64_t i = 0; i < weights; ++i) {
        double found = 0;
        for (std::int64_t part = 0; part < parts; ++part) {
            const std::int64_t at = parts == 1 ? destination.offset(i / taps, 0, 0) + i % taps
                                               : destination.offset(part, 0, 0) + i;
            found += static_cast<double>(destination.get(at));
        }
        const auto index = static_cast<std::size_t>(i);
        right = right && std::fabs(found - sums[index]) <= 0x1p-19 * magnitudes[index];
    }
    CHECK(right);
}

} // namespace

TEST(weights_of_training_are_packed_as_constant_ones) { for_each_bfloat16_table(60, check_packing); }
TEST(weight_gradients_sum_rounded_products) { for_each_bfloat16_table(80, check_weight_gradient); }
