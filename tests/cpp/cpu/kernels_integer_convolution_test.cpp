// Compares convolutions and dense layers of integers with plain sums, bit for bit, for every order of weights
// and every kernel. Kernels for AMX run on a software model of its tiles.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/processor.h"
#include "cpu/plan/integer_lowering.h"
#include "cpu/plan/step_builder.h"
#include "tests/cpp/check.h"
#include "tests/cpp/cpu/fixed_point_definition.h"
#include "tests/cpp/kernel_memory.h"

using namespace kernel_test;
using engine::Graph;
using engine::Quantization;
using engine::WeightTensor;
using engine::WeightType;

#if defined(MPSCNN_WITH_MODELS) // the models need the kernels of AVX2 and AVX-512 too
namespace mpscnn::cpu::amx_model_int8 {
void get(Kernel<IntegerConvolutionTask> &);
}
namespace mpscnn::cpu::avx2_model_vnni {
void get(QuadKernels &);
}
#endif

namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

template <class T> WeightTensor tensor_of(const Shape &shape, WeightType type, const std::vector<T> &values) {
    const std::shared_ptr<std::byte[]> bytes(new std::byte[values.size() * sizeof(T)]);
    std::memcpy(bytes.get(), values.data(), values.size() * sizeof(T));
    return WeightTensor(shape, type, std::shared_ptr<const std::byte>(bytes, bytes.get()));
}

/// The bytes of a tensor with gaps between pixels, rows and images, and no memory after the last one.
struct Bytes {
    static constexpr std::uint8_t space = 0xa5;
    std::vector<std::uint8_t> memory;
    View view;

    Bytes(Random &random, const Size &size) {
        view.batch = size.batch, view.height = size.height;
        view.width = size.width, view.channels = view.writable_channels = size.channels;
        view.pixel_stride = size.channels + (random() % 2 ? pick(random, 0, 9) : 0);
        view.row_stride = size.width * view.pixel_stride + (random() % 3 ? 0 : pick(random, 1, 9));
        view.image_stride = size.height * view.row_stride + (random() % 3 ? 0 : pick(random, 1, 9));
        view.element = Element::uint8;
        memory.assign(index(offset(size.batch - 1, size.height - 1, size.width - 1) + size.channels), space);
        view.data = reinterpret_cast<float *>(memory.data());
    }
    Bytes(const Bytes &) = delete;
    Bytes &operator=(const Bytes &) = delete;

    std::int64_t offset(std::int64_t n, std::int64_t y, std::int64_t x) const {
        return n * view.image_stride + y * view.row_stride + x * view.pixel_stride;
    }
    /// Call action(n, y, x, channel, byte).
    template <class Action> void each(Action action) {
        for (std::int64_t n = 0; n < view.batch; ++n)
            for (std::int64_t y = 0; y < view.height; ++y)
                for (std::int64_t x = 0; x < view.width; ++x)
                    for (std::int64_t c = 0; c < view.channels; ++c)
                        action(n, y, x, c, memory[index(offset(n, y, x) + c)]);
    }
};

enum class Kind { convolution, pointwise, depthwise, groups, dense };

/// A layer with random integers.
struct Layer {
    Size size;
    std::int64_t groups = 1, inputs = 1, outputs = 1; ///< inputs and outputs of one group
    ops::Window window;
    Graph graph;
    std::vector<std::uint8_t> weights; ///< [output][row][column][input of its group]
    std::vector<float> zero_points;
    std::vector<std::int32_t> bias;
    bool dense = false;

    Layer(Random &random, Kind kind) {
        size = {pick(random, 1, 2), pick(random, 1, 9), pick(random, 1, random() % 4 ? 12 : 70), 1};
        const std::int64_t few = random() % 2 ? 20 : 150;
        switch (kind) {
        case Kind::dense:
            dense = true;
            size.height = size.width = 1;
            inputs = pick(random, 1, few), outputs = pick(random, 1, few);
            break;
        case Kind::depthwise:
            groups = pick(random, 2, 70);
            break;
        case Kind::groups:
            groups = pick(random, 2, 4);
            inputs = pick(random, 1, 9), outputs = pick(random, 2, 20);
            break;
        default:
            inputs = pick(random, 1, few), outputs = pick(random, 1, few);
            if (random() % 2) inputs = (inputs + 3) / 4 * 4;
        }
        size.channels = groups * inputs;
        if (!dense && kind != Kind::pointwise) set_window(random, kind);
        add(random);
    }

    std::int64_t all_outputs() const { return groups * outputs; }
    const ops::Operation &operation() const { return graph.nodes()[0].operation; }

private:
    void set_window(Random &random, Kind kind) {
        window.kernel_height = pick(random, 1, 5), window.kernel_width = pick(random, 1, 5);
        // Some kernels are for depthwise windows of 3 x 3 only.
        if (kind == Kind::depthwise && random() % 2) window.kernel_height = window.kernel_width = 3;
        window.stride_y = pick(random, 1, 2), window.stride_x = pick(random, 1, 2);
        if (random() % 4 == 0) window.dilation_y = pick(random, 1, 2), window.dilation_x = pick(random, 1, 3);
        window.padding = ops::PaddingPolicy::explicit_;
        window.pad_top = window.pad_bottom = window.kernel_height * window.dilation_y / 2;
        window.pad_left = window.pad_right = window.kernel_width * window.dilation_x / 2;
        size.height = std::max(size.height, window.kernel_height * window.dilation_y);
        size.width = std::max(size.width, window.kernel_width * window.dilation_x);
    }

    Quantization any_quantization(Random &random, float scale, bool is_signed) {
        Quantization own{scale, 0, is_signed};
        own.zero_point = static_cast<int>(pick(random, own.lowest(), own.highest()));
        return own;
    }

    void add(Random &random) {
        const std::int64_t taps = window.kernel_height * window.kernel_width, all = all_outputs();
        const bool is_signed = random() % 2;
        const auto source = graph.add_input("source", {Shape::any, size.height, size.width, size.channels});
        graph.quantize(source, any_quantization(random, 1.0f, is_signed));
        ops::Operation operation = ops::FullyConnected{all};
        Shape shape{all, window.kernel_height, window.kernel_width, inputs};
        if (!dense) {
            ops::Convolution convolution;
            convolution.output_channels = all;
            convolution.window = window;
            convolution.groups = groups;
            operation = convolution;
        }
        std::optional<ops::Neuron> activation;
        if (random() % 2) activation = ops::Neuron{.kind = ops::NeuronKind::relu};
        const auto result = graph.add_node("layer", operation, {source}, activation);
        const float reach = 40.0f * std::sqrt(static_cast<float>(inputs * taps)),
                    scale = reach * std::ldexp(1.0f, static_cast<int>(pick(random, -4, 2)));
        graph.quantize(result, any_quantization(random, scale, is_signed));
        weights.resize(index(all * taps * inputs));
        // At the ends of the range, weights need more than 8 bits.
        const bool symmetric = random() % 2;
        const std::int64_t zero = symmetric ? 128 : pick(random, 1, 255);
        // Sums of two products by small weights fit 16 bits, and those of six by smaller ones.
        const bool small = random() % 2;
        const std::int64_t largest = random() % 2 ? 64 : 20;
        for (std::uint8_t &weight : weights)
            weight = static_cast<std::uint8_t>(
                small && random() % 100
                    ? std::clamp<std::int64_t>(zero + pick(random, -largest, largest), 0, 255)
                    : random());
        const auto zero_point = static_cast<float>(zero);
        zero_points.assign(index(all), zero_point);
        bias.resize(index(all));
        for (std::int32_t &value : bias) value = static_cast<std::int32_t>(pick(random, -30000, 30000));
        std::vector<float> scales(is_signed ? index(all) : 1);
        for (float &own : scales) own = 1.0f + 0.5f * uniform(random);
        WeightTensor weight = tensor_of(shape, WeightType::uint8, weights),
                     biases = tensor_of(Shape{all}, WeightType::int32, bias);
        weight.set_quantization(scales, std::vector<float>(scales.size(), zero_point));
        biases.set_quantization({1.0f}, {0.0f});
        graph.set_weight("layer", "weight", weight);
        graph.set_weight("layer", "bias", biases);
    }
};

/// Return the sum of an output before its requantisation.
std::int32_t plain_sum(const Layer &layer, const IntegerConvolutionTask &task, Bytes &source, std::int64_t n,
                       std::int64_t y, std::int64_t x, std::int64_t output) {
    std::uint32_t sum = static_cast<std::uint32_t>(layer.bias[index(output)]);
    const ops::Window &window = layer.window;
    const std::uint8_t *weight =
        layer.weights.data() + output * window.kernel_height * window.kernel_width * layer.inputs;
    const auto zero = static_cast<int>(layer.zero_points[index(output)]);
    for (std::int64_t u = 0; u < window.kernel_height; ++u)
        for (std::int64_t v = 0; v < window.kernel_width; ++v)
            for (std::int64_t k = 0; k < layer.inputs; ++k, ++weight) {
                const std::int64_t row = y * window.stride_y - window.pad_top + u * window.dilation_y,
                                   column = x * window.stride_x - window.pad_left + v * window.dilation_x;
                if (row < 0 || row >= layer.size.height || column < 0 || column >= layer.size.width) continue;
                const std::int64_t channel = output / layer.outputs * layer.inputs + k;
                const int byte = source.memory[index(source.offset(n, row, column) + channel)];
                sum += static_cast<std::uint32_t>((byte - task.source_zero) * (*weight - zero));
            }
    return static_cast<std::int32_t>(sum);
}

class Comparison {
public:
    Comparison(Random &random, Kind kind)
        : random_(random), layer_(random, kind), source_(random, layer_.size) {
        source_.each(
            [&](auto, auto, auto, auto, std::uint8_t &byte) { byte = static_cast<std::uint8_t>(random()); });
        const Quantization &own = *layer_.graph.quantization(0);
        zero_ = own.zero_point + (own.is_signed ? 128 : 0);
    }

    /// `quads` are the kernels for which the weights are packed; null: those of pairs.
    void check(const char *name, const KernelTable &table, const QuadKernels *quads) {
        const std::shared_ptr<const IntegerLayer> integers = lower_to_integers(layer_.graph, 0, quads);
        Size size = layer_.size;
        IntegerConvolutionTask task;
        if (const auto *convolution = layer_.operation().get_if<ops::Convolution>()) {
            const ops::CanonicalWindow window =
                convolution->window.canonical(ops::Convolution::info, size.height, size.width);
            task.vertical = kernel_axis(window.vertical), task.horizontal = kernel_axis(window.horizontal);
            size.height = window.vertical.output, size.width = window.horizontal.output;
        }
        size.channels = layer_.all_outputs();
        Bytes result(random_, size);
        task.source = source_.view;
        task.destination = result.view;
        task.weights = integers->weights;
        task.source_zero = zero_;
        task.requantization = integers->requantization;
        KernelTable kernels = table;
        if (quads) kernels.quads = *quads;
        const Kernel<IntegerConvolutionTask> &own = kernels.kernel(task);
        if (sums_.empty())
            result.each([&](std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t o, std::uint8_t &) {
                sums_.push_back(plain_sum(layer_, task, source_, n, y, x, o));
            });
        std::vector<std::uint8_t> expected(result.memory.size(), Bytes::space);
        const std::int32_t *sum = sums_.data();
        result.each([&](std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t o, std::uint8_t &) {
            expected[index(result.offset(n, y, x) + o)] = requantised(task, *sum++, o);
        });
        for (const int threads : {1, 4}) {
            std::fill(result.memory.begin(), result.memory.end(), Bytes::space);
            bool right = run_items(random_, task, own, threads);
            right = right && expected == result.memory;
            if (!right)
                std::printf("%s: %lld x %lld inputs, %lld outputs, window %lld x %lld, stride %lld, "
                            "%lld x %lld\n",
                            name, static_cast<long long>(layer_.groups),
                            static_cast<long long>(layer_.inputs), static_cast<long long>(layer_.outputs),
                            static_cast<long long>(layer_.window.kernel_height),
                            static_cast<long long>(layer_.window.kernel_width),
                            static_cast<long long>(layer_.window.stride_x),
                            static_cast<long long>(size.height), static_cast<long long>(size.width));
            CHECK(right);
        }
    }

private:
    std::uint8_t requantised(const IntegerConvolutionTask &task, std::int32_t sum, std::int64_t output) {
        const Requantization &to = task.requantization;
        // Each group is padded to whole panels.
        const std::int64_t panel = IntegerWeights::panel, panels = (layer_.outputs + panel - 1) / panel,
                           place = task.weights.is_depthwise()
                                       ? output
                                       : output / layer_.outputs * panels * panel + output % layer_.outputs;
        const std::int32_t m = to.multipliers[place], shift = to.shifts[place];
        const std::int64_t rounded =
            to.once ? definition::rounded_once(sum, m, shift) : definition::rounded_twice(sum, m, shift);
        return static_cast<std::uint8_t>(definition::result_of(rounded, to.zero_point, to.low, to.high));
    }

    Random &random_;
    Layer layer_;
    Bytes source_;
    std::int32_t zero_;
    std::vector<std::int32_t> sums_; ///< the sums of all results
};

void check_layers(Kind kind, int count) {
    Random random(11);
    for (int i = 0; i < count; ++i) {
        Comparison comparison(random, kind);
        for (const KernelTable *table : available_kernels()) {
            comparison.check(table->name, *table, nullptr);
            if (!table->multiplies_quads()) continue;
            QuadKernels quads = table->quads;
            comparison.check(table->name, *table, &quads);
            quads.max_wide = 1.0f; // also where the kernels for pairs of inputs are faster
            if (quads.adds_in_pairs) comparison.check("AVX2 with all wide steps", *table, &quads);
        }
#if defined(MPSCNN_WITH_MODELS)
        if (!has_avx512_vnni()) continue;
        QuadKernels narrow, tiles = kernels("avx512").quads;
        avx2_model_vnni::get(narrow);
        comparison.check("AVX-VNNI's kernels", kernels("avx2"), &narrow);
        amx_model_int8::get(tiles.tiles);
        comparison.check("AMX's kernels", kernels("avx512"), &tiles);
#endif
    }
}

TEST(convolutions) { check_layers(Kind::convolution, 60); }
TEST(pointwise_convolutions) { check_layers(Kind::pointwise, 60); }
TEST(depthwise_convolutions) { check_layers(Kind::depthwise, 60); }
TEST(convolutions_of_groups) { check_layers(Kind::groups, 40); }
TEST(dense_layers) { check_layers(Kind::dense, 60); }

} // namespace
