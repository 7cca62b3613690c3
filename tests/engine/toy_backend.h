#pragma once

// A simple backend that differs from the CPU engine as much as the interface allows: tensors are
// channel-first in double, nodes run one by one, and there are no arena, no fusion and no packed weights. It
// is also the reference for the tests of the CPU engine.

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstring>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/half.h"
#include "engine/backend/backend.h"

namespace toy {

using namespace mpscnn;

/// A tensor of any rank, stored as (n, channels, all other axes).
struct Tensor {
    Shape shape;
    std::vector<double> values;

    Tensor() = default;
    explicit Tensor(const Shape &extents)
        : shape(extents), values(static_cast<std::size_t>(extents.elements())) {}

    std::int64_t batch() const { return shape[0]; }
    std::int64_t channels() const { return shape.back(); }
    std::int64_t positions() const { return shape.elements() / batch() / channels(); }
    double &at(std::int64_t n, std::int64_t position, std::int64_t c) {
        return values[static_cast<std::size_t>((n * channels() + c) * positions() + position)];
    }
    double at(std::int64_t n, std::int64_t position, std::int64_t c) const {
        return const_cast<Tensor &>(*this).at(n, position, c);
    }
    /// Return the element with this index in row-major NHWC order.
    double &row_major(std::int64_t index) {
        const std::int64_t c = index % channels(), position = index / channels();
        return at(position / positions(), position % positions(), c);
    }
    double row_major(std::int64_t index) const { return const_cast<Tensor &>(*this).row_major(index); }
};

inline void each(const Tensor &tensor,
                 const std::function<void(std::int64_t n, std::int64_t position, std::int64_t c)> &action) {
    for (std::int64_t n = 0; n < tensor.batch(); ++n)
        for (std::int64_t position = 0; position < tensor.positions(); ++position)
            for (std::int64_t c = 0; c < tensor.channels(); ++c) action(n, position, c);
}

inline double neuron(const ops::Neuron &function, double x, double slope) {
    switch (function.kind) {
    case ops::NeuronKind::none:
        return x;
    case ops::NeuronKind::linear:
        return function.a * x + function.b;
    case ops::NeuronKind::prelu:
        return x >= 0 ? x : slope * x;
    case ops::NeuronKind::relu:
        return x >= 0 ? x : function.a * x;
    case ops::NeuronKind::relun: {
        const double y = x >= 0 ? x : function.a * x;
        return y > function.b ? function.b : y;
    }
    case ops::NeuronKind::sigmoid:
        return 1 / (1 + std::exp(-x));
    case ops::NeuronKind::hard_sigmoid:
        return std::clamp(function.a * x + function.b, 0.0, 1.0);
    case ops::NeuronKind::tanh:
        return function.a * std::tanh(function.b * x);
    case ops::NeuronKind::absolute:
        return std::fabs(x);
    case ops::NeuronKind::softplus:
        return function.a * std::log1p(std::exp(function.b * x));
    case ops::NeuronKind::softsign:
        return x / (1 + std::fabs(x));
    case ops::NeuronKind::elu:
        return x >= 0 ? x : function.a * std::expm1(x);
    case ops::NeuronKind::power:
        return std::pow(function.a * x + function.b, function.c);
    case ops::NeuronKind::exponential:
        return std::pow(function.c == -1 ? std::exp(1.0) : function.c, function.a * x + function.b);
    case ops::NeuronKind::logarithm:
        return std::log(function.a * x + function.b) / (function.c == -1 ? 1.0 : std::log(function.c));
    case ops::NeuronKind::gelu:
        return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case ops::NeuronKind::hard_swish:
        return x * std::clamp(x + 3, 0.0, 6.0) / 6;
    case ops::NeuronKind::swish:
        return x / (1 + std::exp(-function.b * x));
    case ops::NeuronKind::mish:
        return x * std::tanh(std::log1p(std::exp(x)));
    case ops::NeuronKind::gelu_tanh:
        return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case ops::NeuronKind::clamp:
        return std::clamp<double>(x, function.a, function.b);
    case ops::NeuronKind::sign:
        return x > 0 ? 1 : x < 0 ? -1 : x;
    case ops::NeuronKind::floor:
        return std::floor(x);
    case ops::NeuronKind::ceil:
        return std::ceil(x);
    case ops::NeuronKind::round:
        return std::nearbyint(x);
    case ops::NeuronKind::erf:
        return std::erf(x);
    default:
        fail(ErrorKind::unsupported, {"the simple backend lacks ", ops::name_of(function.kind)});
    }
}

/// Computes one node.
class Evaluation {
public:
    Evaluation(const engine::Node &node, std::vector<const Tensor *> inputs, const Shape &output)
        : node_(node), inputs_(std::move(inputs)), result_(output) {}

    Tensor run(bool round) {
        node_.operation.visit([&](const auto &operation) { compute(operation); });
        if (node_.activation) compute(*node_.activation, result_);
        if (round)
            for (double &x : result_.values) x = round_to_half(static_cast<float>(x));
        return std::move(result_);
    }

private:
    std::vector<float> weights(const char *role, std::int64_t count, float otherwise) const {
        const auto found = node_.weights.find(role);
        return found == node_.weights.end() ? std::vector<float>(static_cast<std::size_t>(count), otherwise)
                                            : found->second.values();
    }
    const Tensor &input() const { return *inputs_[0]; }

    void compute(const ops::Convolution &convolution) {
        const Shape &in = input().shape, &out = result_.shape;
        const auto window = convolution.window.canonical(ops::Convolution::info, in[1], in[2]);
        const std::int64_t per_group = in[3] / convolution.groups, outputs = out[3] / convolution.groups;
        const auto weight = weights("weight", 0, 0), bias = weights("bias", out[3], 0);
        each(result_, [&](std::int64_t n, std::int64_t position, std::int64_t c) {
            double sum = bias[static_cast<std::size_t>(c)];
            for_each_tap(window, position, [&](std::int64_t y, std::int64_t x, std::int64_t tap) {
                if (y < 0 || y >= in[1] || x < 0 || x >= in[2]) return;
                const std::int64_t taps = window.vertical.kernel * window.horizontal.kernel;
                for (std::int64_t i = 0; i < per_group; ++i)
                    sum += input().at(n, y * in[2] + x, c / outputs * per_group + i) *
                           weight[static_cast<std::size_t>((c * taps + tap) * per_group + i)];
            });
            result_.at(n, position, c) = sum;
        });
    }

    static void require(bool known, const char *what) {
        if (!known) fail(ErrorKind::unsupported, std::string("the toy backend lacks ") + what);
    }

    template <class Action>
    void for_each_tap(const ops::CanonicalWindow &window, std::int64_t position, Action action) const {
        const auto &[v, h] = window;
        const std::int64_t top = position / result_.shape[2] * v.stride - v.before;
        const std::int64_t left = position % result_.shape[2] * h.stride - h.before;
        for (std::int64_t i = 0; i < v.kernel; ++i)
            for (std::int64_t j = 0; j < h.kernel; ++j)
                action(top + i * v.dilation, left + j * h.dilation, i * h.kernel + j);
    }

    void compute(const ops::FullyConnected &dense) {
        const std::int64_t count = input().shape.elements() / input().batch();
        const auto weight = weights("weight", 0, 0), bias = weights("bias", dense.outputs, 0);
        each(result_, [&](std::int64_t n, std::int64_t position, std::int64_t c) {
            double sum = bias[static_cast<std::size_t>(c)];
            for (std::int64_t i = 0; i < count; ++i)
                sum += input().row_major(n * count + i) * weight[static_cast<std::size_t>(c * count + i)];
            result_.at(n, position, c) = sum;
        });
    }

    void compute(const ops::Pooling &pooling) {
        const Shape &in = input().shape;
        require(pooling.kind != ops::PoolingKind::l2_norm && pooling.edge == ops::EdgeRule::exclude &&
                    pooling.zero_pad_y == 0 && pooling.zero_pad_x == 0,
                "such pooling");
        const auto window = pooling.canonical(in[1], in[2]);
        const auto &[v, h] = window;
        each(result_, [&](std::int64_t n, std::int64_t position, std::int64_t c) {
            double sum = 0, largest = -std::numeric_limits<double>::infinity();
            std::int64_t counted = 0;
            for_each_tap(window, position, [&](std::int64_t y, std::int64_t x, std::int64_t) {
                const bool exists = y >= 0 && y < in[1] && x >= 0 && x < in[2];
                const bool padding = y < in[1] + v.padding_after && x < in[2] + h.padding_after;
                counted += exists || (pooling.count_padding && padding) ? 1 : 0;
                if (!exists) return;
                const double value = input().at(n, y * in[2] + x, c);
                sum += value;
                largest = std::isnan(value) || value > largest ? value : largest;
            });
            const bool max = pooling.kind == ops::PoolingKind::max;
            result_.at(n, position, c) = max ? largest : sum / static_cast<double>(counted);
        });
    }

    template <std::derived_from<ops::Arithmetic> Op> void compute(const Op &operation) {
        const std::array<std::int64_t, 3> primary{operation.primary_stride_y, operation.primary_stride_x,
                                                  operation.primary_stride_channels},
            secondary{operation.secondary_stride_y, operation.secondary_stride_x,
                      operation.secondary_stride_channels};
        for (std::int64_t i = 0; i < result_.shape.elements(); ++i) {
            const double a = operation.primary_scale * stepped(*inputs_[0], i, primary);
            const double b = operation.secondary_scale * stepped(*inputs_[1], i, secondary);
            double value = combine(a, b, Op::kind) + operation.bias;
            if (operation.has_minimum() && value < operation.minimum) value = operation.minimum;
            if (operation.has_maximum() && value > operation.maximum) value = operation.maximum;
            result_.row_major(i) = value;
        }
    }

    static double combine(double a, double b, ops::ArithmeticKind kind) {
        switch (kind) {
        case ops::ArithmeticKind::add:
            return a + b;
        case ops::ArithmeticKind::subtract:
            return a - b;
        case ops::ArithmeticKind::multiply:
            return a * b;
        case ops::ArithmeticKind::divide:
            return a / b;
        default:
            fail(ErrorKind::unsupported, "the toy engine has no such elementwise operation");
        }
    }

    /// Return the input's element for the result's element `index` in row-major order. `steps` are the
    /// strides (y, x, channels) in the input.
    double stepped(const Tensor &from, std::int64_t index, const std::array<std::int64_t, 3> &steps) const {
        std::int64_t position = 0, stride = 1;
        for (int axis = result_.shape.rank() - 1; axis >= 0; --axis) {
            const int from_end = result_.shape.rank() - axis;
            const std::int64_t step =
                axis > 0 && from_end <= 3 ? steps[static_cast<std::size_t>(3 - from_end)] : 1;
            position += index % result_.shape[axis] * step * stride;
            index /= result_.shape[axis];
            stride *= from.shape[axis];
        }
        return from.row_major(position);
    }

    /// At inference, dropout is the identity. Toys do not have the random numbers that training needs.
    void compute(const ops::Dropout &) { result_.values = input().values; }

    void compute(const ops::BatchNormalization &normalization) {
        const std::int64_t channels = input().channels();
        const auto gamma = weights("gamma", channels, 1), beta = weights("beta", channels, 0);
        const auto mean = weights("mean", 0, 0), variance = weights("variance", 0, 0);
        each(result_, [&](std::int64_t n, std::int64_t position, std::int64_t channel) {
            const auto c = static_cast<std::size_t>(channel);
            const double deviation = std::sqrt(static_cast<double>(variance[c]) + normalization.epsilon);
            result_.at(n, position, channel) =
                gamma[c] * (input().at(n, position, channel) - mean[c]) / deviation + beta[c];
        });
    }

    void compute(const ops::Neuron &function) {
        result_.values = input().values;
        compute(function, result_);
    }

    void compute(const ops::Neuron &function, Tensor &on) const {
        const auto slopes = weights("slope", on.channels(), 0);
        each(on, [&](std::int64_t n, std::int64_t position, std::int64_t c) {
            double &x = on.at(n, position, c);
            x = neuron(function, x, slopes[static_cast<std::size_t>(c)]);
        });
    }

    void compute(const ops::LogSoftmax &) {
        compute(ops::Softmax{});
        for (double &value : result_.values) value = std::log(value);
    }

    void compute(const ops::Softmax &) {
        const std::int64_t channels = input().channels();
        for (std::int64_t n = 0; n < input().batch(); ++n)
            for (std::int64_t position = 0; position < input().positions(); ++position) {
                double largest = -std::numeric_limits<double>::infinity(), sum = 0;
                for (std::int64_t c = 0; c < channels; ++c)
                    largest = std::max(largest, input().at(n, position, c));
                for (std::int64_t c = 0; c < channels; ++c)
                    sum += result_.at(n, position, c) = std::exp(input().at(n, position, c) - largest);
                for (std::int64_t c = 0; c < channels; ++c) result_.at(n, position, c) /= sum;
            }
    }

    /// Both neighbours of a sampling position, and the weight of the second one.
    struct Sample {
        std::int64_t first, second;
        double share;
    };
    static double position_of(const ops::ResizeAxis &axis, std::int64_t output) {
        return (static_cast<double>(output) + axis.centre) * axis.numerator / axis.denominator + axis.offset;
    }
    static Sample sample(const ops::ResizeAxis &axis, std::int64_t output, std::int64_t size) {
        const double limit = static_cast<double>(size - 1);
        const double position = std::clamp(position_of(axis, output), 0.0, limit);
        const auto first = static_cast<std::int64_t>(position);
        return {first, std::min(first + 1, size - 1), position - static_cast<double>(first)};
    }
    static std::int64_t nearest(const ops::ResizeAxis &axis, std::int64_t output, std::int64_t size,
                                const ops::NearestRule &rule) {
        const double position = position_of(axis, output) + rule.bias;
        const double whole = rule.up ? std::ceil(position) : std::floor(position);
        return std::clamp(static_cast<std::int64_t>(whole), std::int64_t{0}, size - 1);
    }

    void compute(const ops::Resize &resize) {
        const Shape &in = input().shape, &out = result_.shape;
        require(resize.edge == ops::EdgeRule::clamp, "resize with zeros outside");
        require(resize.kind != ops::ResizeKind::lanczos, "Lanczos resize");
        const auto vertical = resize.vertical(in[1], out[1]), horizontal = resize.horizontal(in[2], out[2]);
        each(result_, [&](std::int64_t n, std::int64_t position, std::int64_t c) {
            const std::int64_t row = position / out[2], column = position % out[2];
            const auto at = [&](std::int64_t y, std::int64_t x) { return input().at(n, y * in[2] + x, c); };
            double &result = result_.at(n, position, c);
            if (resize.kind == ops::ResizeKind::nearest) {
                const ops::NearestRule rule = resize.nearest_rule();
                result = at(nearest(vertical, row, in[1], rule), nearest(horizontal, column, in[2], rule));
                return;
            }
            const Sample y = sample(vertical, row, in[1]), x = sample(horizontal, column, in[2]);
            const double above = at(y.first, x.first) * (1 - x.share) + at(y.first, x.second) * x.share;
            const double below = at(y.second, x.first) * (1 - x.share) + at(y.second, x.second) * x.share;
            result = above * (1 - y.share) + below * y.share;
        });
    }

    void compute(const ops::Padding &padding) {
        require(padding.mode == ops::PaddingMode::constant_ && padding.values.empty(), "such padding");
        const Shape &in = input().shape, &out = result_.shape;
        each(result_, [&](std::int64_t n, std::int64_t position, std::int64_t channel) {
            const std::int64_t y = position / out[2] - padding.top, x = position % out[2] - padding.left;
            const std::int64_t c = channel - padding.front;
            const bool inside = y >= 0 && y < in[1] && x >= 0 && x < in[2] && c >= 0 && c < in[3];
            result_.at(n, position, channel) = inside ? input().at(n, y * in[2] + x, c) : padding.value;
        });
    }

    void compute(const ops::Slice &slice) {
        const ops::Slice::Origin origin = slice.origin(input().shape);
        const std::int64_t width = result_.shape[2];
        each(result_, [&](std::int64_t n, std::int64_t position, std::int64_t c) {
            const std::int64_t y = origin.row + position / width * slice.stride_y;
            const std::int64_t x = origin.column + position % width * slice.stride_x;
            result_.at(n, position, c) = input().at(n, y * input().shape[2] + x, origin.channel + c);
        });
    }

    void compute(const ops::Reshape &) {
        for (std::int64_t i = 0; i < result_.shape.elements(); ++i)
            result_.row_major(i) = input().row_major(i);
    }

    /// Only operations that the engine's tests use are supported.
    template <class Other> void compute(const Other &other) {
        fail(ErrorKind::unsupported, std::string("toys cannot do ") + other.info.name);
    }

    void compute(const ops::Concatenation &concatenation) {
        const Shape &first = input().shape;
        const int axis = concatenation.positive_axis({&first, 1});
        std::int64_t outer = 1, begin = 0;
        for (int i = 0; i < axis; ++i) outer *= first[i];
        const std::int64_t whole = result_.shape.elements() / outer;
        for (const Tensor *operand : inputs_) {
            const std::int64_t piece = operand->shape.elements() / outer;
            for (std::int64_t o = 0; o < outer; ++o)
                for (std::int64_t i = 0; i < piece; ++i)
                    result_.row_major(o * whole + begin + i) = operand->row_major(o * piece + i);
            begin += piece;
        }
    }

    const engine::Node &node_;
    std::vector<const Tensor *> inputs_;
    Tensor result_;
};

/// Address of the element with this row-major index.
inline std::byte *element(const engine::TensorView &view, std::int64_t index) {
    auto *address = static_cast<std::byte *>(view.data);
    for (int axis = view.shape.rank(); axis-- > 0; index /= view.shape[axis])
        address += index % view.shape[axis] * view.strides[static_cast<std::size_t>(axis)];
    return address;
}

inline Tensor read(const engine::TensorView &view, bool round) {
    Tensor tensor(view.shape);
    for (std::int64_t i = 0; i < view.shape.elements(); ++i) {
        float value = 0;
        std::uint16_t half = 0;
        if (view.type == DType::float32)
            std::memcpy(&value, element(view, i), sizeof value);
        else
            std::memcpy(&half, element(view, i), sizeof half), value = float_from_half(half);
        tensor.row_major(i) = round ? round_to_half(value) : value;
    }
    return tensor;
}

inline void write(const Tensor &tensor, const engine::TensorView &view) {
    for (std::int64_t i = 0; i < view.shape.elements(); ++i) {
        const auto value = static_cast<float>(tensor.row_major(i));
        const std::uint16_t half = half_from_float(value);
        if (view.type == DType::float32)
            std::memcpy(element(view, i), &value, sizeof value);
        else
            std::memcpy(element(view, i), &half, sizeof half);
    }
}

class Plan : public engine::Plan {
public:
    explicit Plan(std::vector<Shape> value_shapes) : shapes(std::move(value_shapes)) {}
    std::size_t arena_bytes() const override { return 0; }
    const std::vector<Shape> shapes;
};

class Executor : public engine::Executor {
public:
    Executor(const engine::Graph &graph, engine::Precision precision)
        : graph_(graph), halves_(precision == engine::Precision::float16) {}

    void prepare(const engine::Plan &) override {}

    void run(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs) override {
        const std::vector<Shape> &shapes = dynamic_cast<const Plan &>(plan).shapes;
        std::vector<Tensor> tensors;
        tensors.reserve(shapes.size());
        for (const engine::TensorView &input : inputs) tensors.push_back(read(input, halves_));
        for (const engine::Node &node : graph_.nodes()) {
            std::vector<const Tensor *> arguments;
            for (engine::ValueId value : node.inputs)
                arguments.push_back(&tensors[static_cast<std::size_t>(value)]);
            const bool round = halves_ && ops::info_of(node.operation).rounds;
            tensors.push_back(Evaluation(node, std::move(arguments), shapes[tensors.size()]).run(round));
        }
        for (std::size_t i = 0; i < outputs.size(); ++i)
            write(tensors[static_cast<std::size_t>(graph_.outputs()[i])], outputs[i]);
    }

private:
    engine::Graph graph_;
    bool halves_;
};

class LoweredGraph : public engine::LoweredGraph {
public:
    LoweredGraph(engine::Graph graph, engine::Precision precision)
        : graph_(std::move(graph)), precision_(precision) {
        if (precision_ == engine::Precision::float16) round_weights();
    }
    std::unique_ptr<engine::Plan> plan(const std::vector<Shape> &input_shapes) const override {
        return std::make_unique<Plan>(graph_.infer_shapes(input_shapes));
    }
    std::unique_ptr<engine::Executor> executor(const engine::SessionOptions &) const override {
        return std::make_unique<Executor>(graph_, precision_);
    }
    std::size_t weight_bytes() const override { return 0; }

private:
    /// Round the weights that are multiplied with inputs.
    void round_weights() {
        for (const engine::Node &node : std::vector<engine::Node>(graph_.nodes())) {
            const auto weight = node.weights.find("weight");
            if (weight == node.weights.end()) continue;
            std::vector<float> values = weight->second.values();
            for (float &value : values) value = round_to_half(value);
            graph_.set_weight(node.name, "weight",
                              engine::WeightTensor::from_floats(weight->second.shape(), std::move(values)));
        }
    }

    engine::Graph graph_;
    engine::Precision precision_;
};

class Backend : public engine::Backend {
public:
    const char *name() const override { return "toy"; }
    std::string device_name() const override { return "a toy"; }
    std::unique_ptr<engine::LoweredGraph> lower(const engine::Graph &graph,
                                                const engine::LowerOptions &options) const override {
        return std::make_unique<LoweredGraph>(graph, options.precision);
    }
};

} // namespace toy
