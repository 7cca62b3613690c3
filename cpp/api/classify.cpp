// Classification of a photo with a model and its session: the most probable classes.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "api/guard.h"
#include "api/photo_frame.h"
#include "api/photo_results.h"
#include "api/tensors.h"
#include "core/half.h"
#include "core/text.h"
#include "engine/graph/scores.h"
#include "engine/run/run_check.h"
#include "engine/run/tensor_copy.h"
#include "vision/calibration.h"
#include "vision/ranking.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

namespace {

using engine::Scores;

/// The kind of a program's scores, and whether their function is still to be applied.
struct Scoring {
    Scores scores;
    bool is_applied; ///< true: the function is applied to the network's output
};

/// True if a program computes the features of a calibrated model as its second output.
bool has_features(const engine::Program &program, const mpscnn_model &model) {
    return model.file.calibration && program.outputs().size() == 2 &&
           program.outputs()[1].name == model.file.calibration->layer;
}

/// Find out what the scores of a program are: what the model says, otherwise the function with which the
/// network ends, otherwise a softmax.
Scoring scoring_of(const engine::Program &program, const mpscnn_model &model) {
    const std::optional<Scores> end =
        has_features(program, model) ? engine::scores_of(model.file.graph) : program.scores();
    const Scores scores = model.file.scores.value_or(end.value_or(Scores::softmax));
    return {scores, scores != end && scores != Scores::as_is};
}

/// A binary classifier computes one score, the probability of the second of its two labels.
bool is_binary(const mpscnn_model &model, std::int64_t scores) {
    return scores == 1 && model.file.labels.size() == 2;
}

/// Throws unless the classes of the program's output can be ranked.
void require_rank(const engine::Program &program, const mpscnn_model &model, int top) {
    const std::string what = concat({"network ", quoted(program.name()), " is not a classifier: "});
    if (program.outputs().size() != 1 && !has_features(program, model))
        fail(ErrorKind::unsupported, {what, "it has ", program.outputs().size(), " outputs"});
    const Shape output = program.outputs()[0].shape.with_batch(1);
    const std::optional<std::int64_t> scores = engine::score_count(output);
    if (!scores)
        fail(ErrorKind::shape,
             {what, "its output is ", program.outputs()[0].shape.text(), ", not (n, classes)",
              output.rank() == 4 ? "; classes of pixels are found by segmenting: mpscnn segment" : ""});
    if (!is_binary(model, *scores)) c_api::require_labels(program, model, *scores);
    if (top < 0) fail(ErrorKind::parameter, {"top must be at least 0, got ", top});
    const Scoring scoring = scoring_of(program, model);
    if (*scores == 1 && scoring.is_applied && scoring.scores == Scores::softmax)
        fail(ErrorKind::unsupported,
             {what,
              "its output is a single number, and the softmax of a single number is always 1; if it is the "
              "logit of a probability, load the model with scores \"sigmoid\"; for any other number, "
              "load it with scores \"as is\""});
}

/// Return the scores of all classes, given the program's output.
std::vector<float> class_scores(const mpscnn_model &model, const Scoring &scoring,
                                std::vector<float> values) {
    if (scoring.is_applied) (scoring.scores == Scores::softmax ? vision::softmax : vision::sigmoid)(values);
    if (is_binary(model, static_cast<std::int64_t>(values.size()))) values = {1.0f - values[0], values[0]};
    return values;
}

/// Rank the classes by their scores, which are computed from the output `values`.
std::unique_ptr<mpscnn_predictions> rank(const mpscnn_model &model, const engine::Program &program,
                                         std::vector<float> values, int top) {
    const Scoring scoring = scoring_of(program, model);
    const std::vector<float> scores = class_scores(model, scoring, std::move(values));
    // Softmax is undefined for infinite logits as well.
    if (std::any_of(scores.begin(), scores.end(), [](float value) { return std::isnan(value); }))
        fail(ErrorKind::parameter, {"network ", quoted(program.name()),
                                    ": the result is not a number (NaN), so the classes cannot be ranked"});
    const std::size_t count =
        top == 0 ? scores.size() : std::min(scores.size(), static_cast<std::size_t>(top));
    auto predictions = std::make_unique<mpscnn_predictions>();
    predictions->scores = scoring.scores;
    for (int index : vision::top_k(scores, count))
        predictions->entries.push_back(
            {c_api::label_of(model, index), index, scores[static_cast<std::size_t>(index)]});
    return predictions;
}

std::vector<float> values_of(const engine::TensorView &output, const engine::Port &port) {
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
        auto ranked = rank(model, program, values_of(outputs[0], program.outputs()[0]), top);
        if (has_features(program, model)) {
            const engine::Calibration &known = *model.file.calibration;
            const std::vector<float> features = values_of(outputs[1], program.outputs()[1]);
            ranked->unfamiliar =
                vision::share_below(known.distances, vision::neighbour_distance(features, known.features));
        }
        *predictions = ranked.release();
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
                   c_api::photo_frame(program, {c_api::image_view(*image)}, *model->preprocess, read));
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
        *predictions =
            rank(*model, *program->program, values_of(view, program->program->outputs()[0]), top).release();
    });
}

const char *mpscnn_predictions_scores(const mpscnn_predictions *predictions) {
    return mpscnn::c_api::is_live(predictions) ? name_of(predictions->scores) : "";
}

double mpscnn_predictions_unfamiliar(const mpscnn_predictions *predictions) {
    return mpscnn::c_api::is_live(predictions) ? predictions->unfamiliar
                                               : std::numeric_limits<double>::quiet_NaN();
}

int mpscnn_predictions_count(const mpscnn_predictions *predictions) {
    return mpscnn::c_api::is_live(predictions) ? static_cast<int>(predictions->entries.size()) : 0;
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

void mpscnn_predictions_release(mpscnn_predictions *predictions) { mpscnn::c_api::release(predictions); }
