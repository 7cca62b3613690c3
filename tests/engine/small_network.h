#pragma once

// Helpers for the tests of backends: build small networks with random weights, and run them.

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "cpu/plan/cpu_plan.h"
#include "cpu/runtime/cpu_backend.h"
#include "tests/engine/toy_backend.h"

namespace small {

using namespace mpscnn;
using engine::Precision;
using engine::ValueId;

/// Random multiples of 1/8. Products and sums of a few layers are then exact in float32 in any order, so that
/// engines can be compared bit for bit.
class Random {
public:
    explicit Random(std::uint32_t seed) : state_(seed) {}
    float eighths(int limit) {
        state_ = state_ * 1664525u + 1013904223u; // Numerical Recipes
        const auto span = static_cast<std::uint32_t>(2 * limit + 1);
        return static_cast<float>(static_cast<int>((state_ >> 8) % span) - limit) / 8.0f;
    }

private:
    std::uint32_t state_;
};

struct Array {
    Shape shape;
    std::vector<float> values;
};

inline Array random_array(const Shape &shape, std::uint32_t seed) {
    Random random(seed);
    Array array{shape, std::vector<float>(static_cast<std::size_t>(shape.elements()))};
    for (float &value : array.values) value = random.eighths(16);
    return array;
}

/// A graph that gives each added layer a name and random weights.
class Network {
public:
    engine::Graph graph;

    ValueId input(const Shape &shape) {
        return graph.add_input("input" + std::to_string(graph.values()), shape);
    }
    ValueId add(const ops::Operation &operation, std::vector<ValueId> inputs,
                std::optional<ops::Neuron> activation = std::nullopt) {
        const std::string name = ops::info_of(operation).name + std::to_string(graph.values());
        const ValueId value = graph.add_node(name, operation, std::move(inputs), activation);
        for (const ops::WeightSpec &spec : graph.weight_specs(graph.nodes().size() - 1)) {
            std::vector<float> values(static_cast<std::size_t>(spec.shape.elements()));
            for (float &x : values)
                x = spec.role == "variance" ? 0.5f + std::fabs(random_.eighths(8)) : random_.eighths(8);
            graph.set_weight(name, spec.role,
                             engine::WeightTensor::from_floats(spec.shape, std::move(values)));
        }
        return value;
    }
    Network &output(ValueId value) {
        graph.mark_output(value);
        return *this;
    }

private:
    Random random_{7};
};

inline ops::Window window(std::int64_t kernel, std::int64_t stride = 1,
                          ops::PaddingPolicy padding = ops::PaddingPolicy::same, std::int64_t dilation = 1) {
    ops::Window result;
    result.kernel_height = result.kernel_width = kernel;
    result.stride_y = result.stride_x = stride;
    result.dilation_y = result.dilation_x = dilation;
    result.padding = padding;
    return result;
}

inline ops::Convolution convolution(std::int64_t channels, const ops::Window &window,
                                    std::int64_t groups = 1) {
    return {channels, window, groups};
}

inline const ops::Neuron relu{ops::NeuronKind::relu, 0.0f, 0.0f};
inline const ops::Neuron relu6{ops::NeuronKind::relun, 0.0f, 6.0f};

using Arrays = std::vector<Array>;

inline std::vector<Shape> shapes_of(const Arrays &arrays) {
    std::vector<Shape> shapes;
    for (const Array &array : arrays) shapes.push_back(array.shape);
    return shapes;
}

inline std::vector<engine::TensorView> views_of(Arrays &arrays) {
    std::vector<engine::TensorView> views;
    for (Array &array : arrays)
        views.push_back(engine::TensorView::dense(array.values.data(), DType::float32, array.shape));
    return views;
}

/// Arrays for the outputs of a graph, filled with a value that no test computes.
inline Arrays arrays_for_outputs(const engine::Graph &graph, const std::vector<Shape> &input_shapes) {
    const std::vector<Shape> all = graph.infer_shapes(input_shapes);
    Arrays outputs;
    for (ValueId value : graph.outputs()) {
        const Shape &shape = all[static_cast<std::size_t>(value)];
        outputs.push_back({shape, std::vector<float>(static_cast<std::size_t>(shape.elements()), -12345.0f)});
    }
    return outputs;
}

inline Arrays run(const engine::Backend &backend, const engine::Graph &graph, Arrays inputs,
                  Precision precision = Precision::float32, int threads = 1) {
    const auto lowered = backend.lower(graph, {precision});
    const std::vector<Shape> shapes = shapes_of(inputs);
    const auto plan = lowered->plan(shapes);
    const auto executor = lowered->executor({threads});
    executor->prepare(*plan);
    Arrays outputs = arrays_for_outputs(graph, shapes);
    executor->run(*plan, views_of(inputs), views_of(outputs));
    return outputs;
}

/// Return the largest |a - b| / (1 + |b|). NaN is equal only to NaN.
inline double difference(const std::vector<float> &a, const std::vector<float> &b) {
    double largest = a.size() == b.size() ? 0 : INFINITY;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        const bool equal = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
        const double error = equal ? 0 : std::fabs(a[i] - b[i]) / (1 + std::fabs(b[i]));
        largest = std::max(largest, std::isnan(error) ? INFINITY : error);
    }
    return largest;
}

inline double difference(const Arrays &a, const Arrays &b) {
    double largest = a.size() == b.size() ? 0 : INFINITY;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        largest = std::max(largest, difference(a[i].values, b[i].values));
    return largest;
}

inline bool same_bits(const std::vector<float> &a, const std::vector<float> &b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Random inputs of the given shapes for the graph's inputs.
inline Arrays random_inputs(const std::vector<Shape> &shapes) {
    Arrays inputs;
    for (const Shape &shape : shapes)
        inputs.push_back(random_array(shape, static_cast<std::uint32_t>(inputs.size() + 1)));
    return inputs;
}

/// Return the largest difference between the CPU engine and the toy backend. The CPU engine runs on every
/// instruction set of this machine, with 1 and 3 threads.
inline double cpu_error(const engine::Graph &graph, const Arrays &inputs,
                        Precision precision = Precision::float32) {
    const Arrays expected = run(toy::Backend(), graph, inputs, precision);
    double largest = 0;
    for (const cpu::KernelTable *table : cpu::available_kernels()) {
        const auto backend = cpu::make_cpu_backend(table->name);
        for (int threads : {1, 3})
            largest =
                std::max(largest, difference(run(*backend, graph, inputs, precision, threads), expected));
    }
    return largest;
}

/// Return the largest difference between the CPU engine and the toy backend for random inputs.
inline double cpu_error(const Network &network, const std::vector<Shape> &shapes,
                        Precision precision = Precision::float32) {
    return cpu_error(network.graph, random_inputs(shapes), precision);
}

namespace detail {

/// Call `see` for each step of the CPU engine's plan for these input shapes.
template <class See> void see_steps(const Network &network, const std::vector<Shape> &shapes, See see) {
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto plan = lowered->plan(shapes);
    for (const cpu::Step &step : dynamic_cast<const cpu::CpuPlan &>(*plan).steps()) see(step);
}

} // namespace detail

/// The layers that each step computes.
inline std::vector<std::vector<std::string>> cpu_steps(const Network &network,
                                                       const std::vector<Shape> &shapes) {
    std::vector<std::vector<std::string>> steps;
    detail::see_steps(network, shapes, [&](const cpu::Step &step) { steps.push_back(step.layers); });
    return steps;
}

/// Return the number of steps with this kernel.
inline int count_kernels(const Network &network, const std::vector<Shape> &shapes, const std::string &name) {
    int count = 0;
    detail::see_steps(network, shapes, [&](const cpu::Step &step) {
        count += step.task.visit([&](const auto &task) { return task.kernel_name() == name; });
    });
    return count;
}

/// Return true if one step computes exactly these layers.
inline bool computed_together(const Network &network, const std::vector<Shape> &shapes,
                              const std::vector<std::string> &layers) {
    const auto steps = cpu_steps(network, shapes);
    return std::count(steps.begin(), steps.end(), layers) == 1;
}

} // namespace small
