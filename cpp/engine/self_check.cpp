#include "engine/self_check.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <mutex>

#include "core/text.h"
#include "engine/check_record.h"
#include "engine/support.h"

namespace mpscnn::engine {

namespace {

constexpr const char *skip_variable = "MPSCNN_SKIP_SELF_CHECK";

/// What engines may differ by, as a part of the largest result: a rounding to half and sums in another order.
/// Far less than any mistake in a window, an index or a weight makes.
constexpr float tolerance = 1.0f / 128;

/// In [-1, 1], the same everywhere (Numerical Recipes' generator, the high bits).
std::vector<float> noise(std::int64_t count, std::uint32_t seed) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float &value : values) {
        seed = seed * 1664525u + 1013904223u;
        value = static_cast<float>(seed >> 8) / 8388608.0f - 1.0f;
    }
    return values;
}

void fill_weights(Graph &graph) {
    for (std::size_t i = 0; i < graph.nodes().size(); ++i)
        for (const ops::WeightSpec &spec : graph.weight_specs(i))
            graph.set_weight(graph.nodes()[i].name, spec.role,
                             WeightTensor::from_floats(spec.shape, noise(spec.shape.elements(), 7 + i)));
}

/// One layer on an image of odd extents whose channels do not fill their last slice.
Graph layer_graph(const std::string &name, ops::Operation operation, std::int64_t channels = 6) {
    Graph graph("self-check: " + name);
    const ValueId image = graph.add_input("image", {Shape::any, 7, 5, channels});
    graph.mark_output(graph.add_node(name, std::move(operation), {image}));
    fill_weights(graph);
    return graph;
}

ops::Window window(std::int64_t kernel, std::int64_t stride, ops::PaddingPolicy padding) {
    ops::Window window;
    window.kernel_height = window.kernel_width = kernel;
    window.stride_y = window.stride_x = stride;
    window.padding = padding;
    return window;
}

ops::Pooling pooling(ops::PoolingKind kind) {
    ops::Pooling pooling;
    pooling.kind = kind;
    pooling.window = window(3, 2, ops::PaddingPolicy::same);
    return pooling;
}

ops::TransposedConvolution transposed() {
    ops::TransposedConvolution operation;
    operation.output_channels = 5;
    operation.window.kernel_height = operation.window.kernel_width = 3;
    operation.window.stride_y = operation.window.stride_x = 2;
    return operation;
}

ops::Resize resize() {
    ops::Resize operation;
    operation.height = 9;
    operation.width = 12;
    return operation;
}

std::vector<Graph> small_networks() {
    const auto same = ops::PaddingPolicy::same;
    std::vector<Graph> graphs;
    graphs.push_back(layer_graph("convolution", ops::Convolution{9, window(3, 2, same), 1}));
    graphs.push_back(layer_graph("depthwise convolution", ops::Convolution{6, window(3, 1, same), 6}));
    graphs.push_back(layer_graph("transposed convolution", transposed()));
    graphs.push_back(layer_graph("maximum at edges", pooling(ops::PoolingKind::max)));
    graphs.push_back(layer_graph("average at edges", pooling(ops::PoolingKind::average)));
    graphs.push_back(layer_graph("resize", resize()));
    graphs.push_back(layer_graph("dense layer", ops::FullyConnected{5}));
    return graphs;
}

bool refuses(const Backend &backend, const Graph &graph, Precision precision) {
    std::vector<Shape> shapes;
    for (ValueId value = 0; value < graph.values(); ++value) shapes.push_back(graph.shape(value));
    try {
        require_supported(graph, shapes, backend.name(), precision);
        return false;
    } catch (const Error &error) {
        if (error.kind() != ErrorKind::unsupported) throw;
        return true;
    }
}

struct Answer {
    Shape shape;
    std::vector<float> values;
};

Answer answer_of(const Backend &backend, const Graph &graph, Precision precision) {
    const Shape input_shape = graph.inputs()[0].shape.with_batch(2);
    const std::vector<Shape> shapes = graph.infer_shapes({input_shape});
    Answer answer{shapes[static_cast<std::size_t>(graph.outputs()[0])], {}};
    // Where the engine writes nothing, nothing right may be found.
    answer.values.assign(static_cast<std::size_t>(answer.shape.elements()), std::nanf(""));
    std::vector<float> input = noise(input_shape.elements(), 1);
    const auto lowered = backend.lower(graph, {precision});
    const auto plan = lowered->plan({input_shape});
    const auto executor = lowered->executor({.threads = 1});
    executor->prepare(*plan);
    const TensorView source = TensorView::dense(input.data(), DType::float32, input_shape);
    const TensorView result = TensorView::dense(answer.values.data(), DType::float32, answer.shape);
    executor->run(*plan, {&source, 1}, {&result, 1});
    return answer;
}

std::string position_text(const Shape &shape, std::size_t index) {
    std::string text;
    for (int axis = shape.rank(); axis-- > 0; index /= static_cast<std::size_t>(shape[axis]))
        text =
            std::to_string(index % static_cast<std::size_t>(shape[axis])) + (text.empty() ? "" : ", ") + text;
    return concat({"(", text, ")"});
}

std::optional<std::string> difference(const Answer &given, const Answer &right) {
    const auto magnitude = [](float value) { return std::fabs(value); };
    float largest = 0;
    for (float value : right.values) largest = std::max(largest, magnitude(value));
    std::size_t wrong = 0, first = 0;
    for (std::size_t i = right.values.size(); i-- > 0;) {
        if (magnitude(given.values[i] - right.values[i]) <= tolerance * largest) continue; // not so for NaN
        first = i;
        ++wrong;
    }
    if (wrong == 0) return std::nullopt;
    const bool zeros =
        std::all_of(given.values.begin(), given.values.end(), [](float value) { return value == 0; });
    return concat({"result ", position_text(right.shape, first), " is ", given.values[first], ", on the CPU ",
                   right.values[first], " (",
                   (zeros ? std::string("all results are zero")
                          : std::to_string(wrong) + " of " + std::to_string(right.values.size()) + " differ"),
                   ")"});
}

/// Why the backend is refused; empty when it is not. Kept for the rest of the process.
const std::string &verdict_on(const Backend &subject, const Backend &judge) {
    static std::mutex mutex;
    static std::map<std::string, std::string> known;
    const std::string identity = subject.identity();
    const std::lock_guard lock(mutex);
    if (const auto found = known.find(identity); found != known.end()) return found->second;
    if (was_right_before(identity)) return known[identity];
    const std::optional<std::string> wrong = find_wrong_answer(subject, judge);
    if (!wrong) remember_as_right(identity);
    return known[identity] = wrong.value_or("");
}

} // namespace

std::optional<std::string> find_wrong_answer(const Backend &subject, const Backend &judge) {
    for (const Graph &graph : small_networks())
        for (Precision precision : {Precision::float32, Precision::float16}) {
            if (refuses(subject, graph, precision)) continue;
            const Answer right = answer_of(judge, graph, precision);
            if (const auto what = difference(answer_of(subject, graph, precision), right))
                return concat({graph.nodes()[0].name, " in ", name_of(precision), ": ", *what});
        }
    return std::nullopt;
}

bool skips_self_check() {
    const char *skip = std::getenv(skip_variable);
    return skip && std::string(skip) == "1";
}

void require_right_answers(const Backend &subject, const Backend &judge) {
    if (skips_self_check()) return;
    const std::string &wrong = verdict_on(subject, judge);
    if (!wrong.empty())
        fail(ErrorKind::device,
             {"device ", quoted(subject.device_name()), " answers wrongly and is not used; ", wrong,
              ". A newer system may cure it; ", skip_variable, "=1 uses the device all the same"});
}

} // namespace mpscnn::engine
