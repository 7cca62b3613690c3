#include "engine/trust/self_check.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "engine/backend/support.h"

namespace mpscnn::engine {

namespace {

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

bool has_variables(const Graph &graph) {
    return std::any_of(graph.inputs().begin(), graph.inputs().end(),
                       [](const Input &input) { return input.is_variable; });
}

struct Answer {
    Shape shape;
    std::vector<float> values;
};

Answer answer_of(const Backend &backend, const Graph &graph, Precision precision, std::int64_t images) {
    std::vector<Shape> input_shapes;
    std::vector<std::vector<float>> inputs;
    std::vector<TensorView> sources;
    for (const Input &input : graph.inputs()) {
        const Shape &shape =
            input_shapes.emplace_back(input.is_variable ? input.shape : input.shape.with_batch(images));
        const auto seed = static_cast<std::uint32_t>(inputs.size() + 1);
        std::vector<float> &values = inputs.emplace_back(self_check_noise(shape.elements(), seed));
        if (input.name.starts_with(self_check_positive))
            for (float &value : values) value = std::fabs(value);
        sources.push_back(TensorView::dense(values.data(), DType::float32, shape));
    }
    const std::vector<Shape> shapes = graph.infer_shapes(input_shapes);
    Answer answer{shapes[static_cast<std::size_t>(graph.outputs()[0])], {}};
    // Fill the result with NaN, so that elements that the engine does not write are noticed.
    answer.values.assign(static_cast<std::size_t>(answer.shape.elements()), std::nanf(""));
    LowerOptions options{precision};
    if (graph.name().starts_with(self_check_own)) options.metal_kernels = MetalKernels::own;
    const auto lowered = backend.lower(graph, options);
    const auto plan = lowered->plan(input_shapes);
    const auto executor = lowered->executor({.threads = 1});
    executor->prepare(*plan);
    const TensorView result = TensorView::dense(answer.values.data(), DType::float32, answer.shape);
    executor->run(*plan, sources, {&result, 1});
    return answer;
}

std::optional<std::string> difference(const Answer &given, const Answer &right) {
    const auto magnitude = [](float value) { return std::fabs(value); };
    float largest = 0;
    for (float value : right.values) largest = std::max(largest, magnitude(value));
    std::size_t wrong = 0, first = 0;
    for (std::size_t i = right.values.size(); i-- > 0;) {
        const float value = given.values[i], wanted = right.values[i];
        if (std::isnan(value) && std::isnan(wanted)) continue;
        if (magnitude(value - wanted) <= self_check_tolerance * largest) continue; // false for NaN
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

} // namespace

std::string position_text(const Shape &shape, std::size_t index) {
    std::string text;
    for (int axis = shape.rank(); axis-- > 0; index /= static_cast<std::size_t>(shape[axis]))
        text =
            std::to_string(index % static_cast<std::size_t>(shape[axis])) + (text.empty() ? "" : ", ") + text;
    return concat({"(", text, ")"});
}

bool is_of_training(const Graph &network) { return has_variables(network); }

std::vector<Precision> self_check_precisions(const Backend &subject, const Graph &network) {
    std::vector<Precision> precisions;
    for (Precision precision : {Precision::float32, Precision::float16}) {
        // Cases of training are compared in float32 only.
        if (is_of_training(network) && precision != Precision::float32) continue;
        if (!refuses(subject, network, precision)) precisions.push_back(precision);
    }
    return precisions;
}

std::optional<std::string> find_wrong_answer(const Backend &subject, const Backend &reference,
                                             const Graph &network, Precision precision) {
    for (const std::int64_t images : self_check_images(network)) {
        const Answer right = answer_of(reference, network, precision, images);
        if (const auto what = difference(answer_of(subject, network, precision, images), right))
            return concat({network.nodes().back().name, " in ", name_of(precision), " with ", images,
                           images == 1 ? " image: " : " images: ", *what});
    }
    return std::nullopt;
}

std::optional<std::string> find_wrong_answer(const Backend &subject, const Backend &reference,
                                             const Graph &network) {
    for (Precision precision : self_check_precisions(subject, network))
        if (auto wrong = find_wrong_answer(subject, reference, network, precision)) return wrong;
    return std::nullopt;
}

} // namespace mpscnn::engine
