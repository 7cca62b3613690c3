// Classification of a photo with a model and its session: the most probable classes.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "api/guard.h"
#include "api/photo_frame.h"
#include "api/photo_results.h"
#include "api/tensors.h"
#include "core/half.h"
#include "core/text.h"
#include "engine/run/run_check.h"
#include "engine/run/tensor_copy.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

namespace {

/// Throws unless the classes of the program's output can be ranked.
void require_rank(const engine::Program &program, const mpscnn_model &model, int top) {
    const std::string what = concat({"network ", quoted(program.name()), " is not a classifier: "});
    if (program.outputs().size() != 1)
        fail(ErrorKind::unsupported, {what, "it has ", program.outputs().size(), " outputs"});
    const Shape output = program.outputs()[0].shape.with_batch(1);
    if (output.rank() != 2 || !output.fixed())
        fail(ErrorKind::shape,
             {what, "its output is ", program.outputs()[0].shape.text(), ", not (n, classes)",
              output.rank() == 4 ? "; classes of pixels are found by segmenting: mpscnn segment" : ""});
    c_api::require_labels(program, model, output[1]);
    if (top < 0) fail(ErrorKind::parameter, {"top must be at least 0, got ", top});
}

/// True if the values of an output are probabilities already.
bool ends_in_softmax(const engine::Graph &graph) {
    engine::ValueId value = graph.outputs()[0];
    while (!graph.is_input(value) && std::holds_alternative<ops::Reshape>(graph.producer(value).operation))
        value = graph.producer(value).inputs[0];
    return !graph.is_input(value) && std::holds_alternative<ops::Softmax>(graph.producer(value).operation);
}

void softmax(std::vector<float> &values) {
    const float largest = *std::max_element(values.begin(), values.end());
    double sum = 0.0;
    for (float value : values) sum += std::exp(static_cast<double>(value) - largest);
    for (float &value : values)
        value = static_cast<float>(std::exp(static_cast<double>(value) - largest) / sum);
}

/// Return the indices of the `count` largest; among equal ones the lower index comes first.
std::vector<int> top_k(const std::vector<float> &probabilities, std::size_t count) {
    std::vector<int> order(probabilities.size());
    std::iota(order.begin(), order.end(), 0);
    const auto better = [&](int a, int b) {
        const float x = probabilities[static_cast<std::size_t>(a)],
                    y = probabilities[static_cast<std::size_t>(b)];
        return x > y || (x == y && a < b);
    };
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), better);
    order.resize(count);
    return order;
}

/// Rank the classes by their probabilities, which are computed from logits if necessary.
std::unique_ptr<mpscnn_predictions> rank(const mpscnn_model &model, const engine::Program &program,
                                         std::vector<float> probabilities, int top) {
    if (!ends_in_softmax(program.graph())) softmax(probabilities);
    // Softmax is undefined for infinite logits as well.
    if (std::any_of(probabilities.begin(), probabilities.end(),
                    [](float value) { return std::isnan(value); }))
        fail(ErrorKind::parameter, {"network ", quoted(program.name()),
                                    ": the result is not a number (NaN), so the classes cannot be ranked"});
    const std::size_t count =
        top == 0 ? probabilities.size() : std::min(probabilities.size(), static_cast<std::size_t>(top));
    auto predictions = std::make_unique<mpscnn_predictions>();
    for (int index : top_k(probabilities, count))
        predictions->entries.push_back(
            {c_api::label_of(model, index), index, probabilities[static_cast<std::size_t>(index)]});
    return predictions;
}

std::vector<float> values_of(const engine::TensorView &output, const engine::Program &program) {
    const engine::Port &port = program.outputs()[0];
    const Shape expected = port.shape.with_batch(1);
    if (!(output.shape == expected))
        fail(ErrorKind::shape,
             {"output ", quoted(port.name), ": expected ", expected.text(), ", got ", output.shape.text()});
    const auto count = static_cast<std::size_t>(expected.elements());
    std::vector<float> values(count);
    if (output.type == DType::float32) {
        engine::copy_elements(output, engine::TensorView::dense(values.data(), DType::float32, expected));
    } else {
        std::vector<std::uint16_t> halves(count);
        engine::copy_elements(output, engine::TensorView::dense(halves.data(), DType::float16, expected));
        floats_from_halves(halves, values);
    }
    return values;
}

} // namespace

c_api::Read c_api::into_predictions(const engine::Program &program, const mpscnn_model &model, int top,
                                    mpscnn_predictions **predictions) {
    c_api::require_photo_input(program, model, "classifying");
    require_rank(program, model, top);
    return [&program, &model, top, predictions](std::span<const engine::TensorView> outputs) {
        *predictions = rank(model, program, values_of(outputs[0], program), top).release();
    };
}

mpscnn_status mpscnn_model_classify(const mpscnn_model *model, mpscnn_session *session,
                                    const mpscnn_image *image, int top, mpscnn_predictions **predictions) {
    return guarded([&] {
        require(model, "model");
        require(session, "session");
        require(image, "image");
        require(predictions, "predictions");
        const engine::Program &program = *session->session->program();
        const auto read = c_api::into_predictions(program, *model, top, predictions);
        c_api::run(*session,
                   c_api::photo_frame(program, c_api::image_view(*image), *model->preprocess, read));
    });
}

mpscnn_status mpscnn_model_rank(const mpscnn_model *model, const mpscnn_program *program,
                                const mpscnn_tensor *output, int top, mpscnn_predictions **predictions) {
    return guarded([&] {
        require(model, "model");
        require(program, "program");
        require(output, "output");
        require(predictions, "predictions");
        require_rank(*program->program, *model, top);
        const engine::TensorView view = c_api::view_of(*output, "output");
        engine::check_elements(*program->program, {}, {&view, 1});
        *predictions = rank(*model, *program->program, values_of(view, *program->program), top).release();
    });
}

int mpscnn_predictions_count(const mpscnn_predictions *predictions) {
    return predictions ? static_cast<int>(predictions->entries.size()) : 0;
}

mpscnn_status mpscnn_predictions_get(const mpscnn_predictions *predictions, int rank,
                                     mpscnn_prediction *prediction) {
    return guarded([&] {
        require(predictions, "predictions");
        require(prediction, "prediction");
        if (rank < 0 || rank >= mpscnn_predictions_count(predictions))
            fail(ErrorKind::parameter,
                 {"rank must be 0 to ", mpscnn_predictions_count(predictions) - 1, ", got ", rank});
        const auto &entry = predictions->entries[static_cast<std::size_t>(rank)];
        *prediction = {entry.label.c_str(), entry.index, entry.probability};
    });
}

void mpscnn_predictions_release(mpscnn_predictions *predictions) { delete predictions; }
