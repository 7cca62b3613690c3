// A photo, a model, its session: the most probable classes.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "api/guard.h"
#include "api/handles.h"
#include "api/image.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

namespace {

/// The session's buffers, for one caller.
class Classification {
public:
    explicit Classification(mpscnn_session &session) : session_(session) {
        if (session_.classifying.exchange(true, std::memory_order_acquire))
            fail(ErrorKind::state,
                 "this session is classifying a photo in another thread already; a session serves "
                 "one caller at a time. Make one session per thread");
    }
    ~Classification() { session_.classifying.store(false, std::memory_order_release); }
    Classification(const Classification &) = delete;
    Classification &operator=(const Classification &) = delete;

    /// The network's output for the photo.
    std::span<const float> run(const mpscnn_image &image, const vision::Preprocess &preprocess,
                               const Shape &input_shape, const Shape &output_shape) {
        session_.input.resize(static_cast<std::size_t>(input_shape.elements()));
        session_.output.resize(static_cast<std::size_t>(output_shape.elements()));
        const auto height = static_cast<int>(input_shape[1]), width = static_cast<int>(input_shape[2]),
                   channels = static_cast<int>(input_shape[3]);
        vision::preprocess(c_api::image_view(image), preprocess, height, width, channels,
                           session_.input.data(), channels, std::ptrdiff_t{channels} * width);
        const auto input = engine::TensorView::dense(session_.input.data(), DType::float32, input_shape);
        const auto output = engine::TensorView::dense(session_.output.data(), DType::float32, output_shape);
        session_.session->run({&input, 1}, {&output, 1});
        return session_.output;
    }

private:
    mpscnn_session &session_;
};

void require_classifier(const engine::Program &program, const mpscnn_model &model) {
    const std::string what = "network " + quoted(program.name());
    if (!model.preprocess)
        fail(ErrorKind::unsupported,
             what + ": the model file does not say how a photo becomes its input "
                    "('mpscnn.preprocess'); preprocess the photo and run a session instead");
    if (program.inputs().size() != 1 || program.outputs().size() != 1)
        fail(ErrorKind::unsupported, what + " is no classifier: it has " +
                                         std::to_string(program.inputs().size()) + " inputs and " +
                                         std::to_string(program.outputs().size()) + " outputs");
    const Shape input = program.inputs()[0].shape.with_batch(1),
                output = program.outputs()[0].shape.with_batch(1);
    if (input.rank() != 4 || !input.fixed())
        fail(ErrorKind::shape, what + ": classifying needs one image input of a fixed size, it has " +
                                   program.inputs()[0].shape.text() +
                                   "; preprocess the photo to the wanted size and run a session instead");
    if (output.rank() != 2 || !output.fixed())
        fail(ErrorKind::shape, what + " is no classifier: its output is " +
                                   program.outputs()[0].shape.text() + ", not (n, classes)");
    const auto classes = static_cast<std::size_t>(output[1]);
    if (!model.file.labels.empty() && model.file.labels.size() != classes)
        fail(ErrorKind::shape, what + " has " + std::to_string(classes) + " classes, the model has " +
                                   std::to_string(model.file.labels.size()) + " labels");
}

/// Whether the values of an output are probabilities already.
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

/// Indices of the `count` greatest; of equal ones the lower index comes first.
std::vector<int> best_of(const std::vector<float> &probabilities, std::size_t count) {
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

std::string label_of(const mpscnn_model &model, int index) {
    return model.file.labels.empty() ? "class " + std::to_string(index)
                                     : model.file.labels[static_cast<std::size_t>(index)];
}

std::unique_ptr<mpscnn_predictions> classify(const mpscnn_model &model, mpscnn_session &session,
                                             const mpscnn_image &image, int top) {
    const engine::Program &program = *session.session->program();
    require_classifier(program, model);
    const Shape input = program.inputs()[0].shape.with_batch(1),
                output = program.outputs()[0].shape.with_batch(1);
    const std::vector<float> probabilities = [&] {
        Classification classification(session);
        const auto values = classification.run(image, *model.preprocess, input, output);
        std::vector<float> result(values.begin(), values.end());
        if (!ends_in_softmax(program.graph())) softmax(result);
        // Infinite logits have no softmax either.
        if (std::any_of(result.begin(), result.end(), [](float value) { return std::isnan(value); }))
            fail(ErrorKind::parameter,
                 "network " + quoted(program.name()) +
                     ": the result is not a number (NaN), so the classes cannot be ranked");
        return result;
    }();
    const std::size_t count =
        top == 0 ? probabilities.size() : std::min(probabilities.size(), static_cast<std::size_t>(top));
    auto predictions = std::make_unique<mpscnn_predictions>();
    for (int index : best_of(probabilities, count))
        predictions->entries.push_back(
            {label_of(model, index), index, probabilities[static_cast<std::size_t>(index)]});
    return predictions;
}

} // namespace

mpscnn_status mpscnn_model_classify(const mpscnn_model *model, mpscnn_session *session,
                                    const mpscnn_image *image, int top, mpscnn_predictions **predictions) {
    return guarded([&] {
        require(model, "model");
        require(session, "session");
        require(image, "image");
        require(predictions, "predictions");
        if (top < 0) fail(ErrorKind::parameter, "top must be at least 0, got " + std::to_string(top));
        *predictions = classify(*model, *session, *image, top).release();
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
            fail(ErrorKind::parameter, "rank must be 0 to " +
                                           std::to_string(mpscnn_predictions_count(predictions) - 1) +
                                           ", got " + std::to_string(rank));
        const auto &entry = predictions->entries[static_cast<std::size_t>(rank)];
        *prediction = {entry.label.c_str(), entry.index, entry.probability};
    });
}

void mpscnn_predictions_release(mpscnn_predictions *predictions) { delete predictions; }
