#include <cstdint>
#include <string>

#include "api/described_heads.h"
#include "api/guard.h"
#include "api/handles.h"
#include "core/text.h"
#include "core/text_file.h"
#include "vision/calibration.h"
#include "vision/detection_json.h"
#include "vision/preprocess_json.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

namespace {

std::unique_ptr<mpscnn_model> model_of(engine::ModelFile file, const std::string &origin) {
    auto model = std::make_unique<mpscnn_model>(
        mpscnn_model{.file = std::move(file), .preprocess = std::nullopt, .detector = std::nullopt});
    model->detector = c_api::detector_of(model->file, origin);
    if (!model->file.preprocess) return model;
    if (model->file.graph.inputs().empty())
        fail(ErrorKind::weights, {origin, ": 'mpscnn.preprocess' is given for a network without inputs"});
    const Shape &input = model->file.graph.inputs()[0].shape;
    const JsonView json(*model->file.preprocess, origin + ": mpscnn.preprocess", ErrorKind::weights);
    model->preprocess = vision::preprocess_from_json(json, static_cast<int>(input.back()));
    return model;
}

Json describe(const mpscnn_model &model) {
    Json result = Json::object();
    result.set("name", model.file.graph.name());
    result.set("labels", model.file.labels.empty() ? Json() : Json(model.file.labels));
    result.set("preprocess", model.preprocess ? to_json(*model.preprocess) : Json());
    result.set("detection", model.detector ? to_json(model.detector->head()) : Json());
    result.set("scores", model.file.scores ? Json(name_of(*model.file.scores)) : Json());
    result.set("answers", model.file.answers ? *model.file.answers : Json());
    result.set("information", model.file.information);
    return result;
}

void save(const engine::ModelFile &file, const std::string &path) {
    const auto check = [&](const std::string &temporary) {
        try {
            model_of(engine::ModelFile::check(temporary), temporary);
        } catch (const Error &error) { // the message begins with the file's name
            const std::string_view message = error.what();
            fail(ErrorKind::weights,
                 {"model for ", path,
                  message.starts_with(temporary) ? message.substr(temporary.size()) : message});
        }
    };
    const std::string reason = replace_file(path, file.content(), check);
    if (!reason.empty()) fail(ErrorKind::weights, {path, ": cannot be written: ", reason});
}

/// Make a model file from a network and the caller's `description`.
engine::ModelFile described(const engine::Graph &graph, const char *description) {
    engine::ModelFile file;
    file.graph = graph;
    if (!description) return file;
    const Json json = parse_json(description);
    const JsonView view(json, "description");
    view.allow_only({"labels", "preprocess", "detection", "scores", "answers", "information"});
    const auto given = [&](const char *key) { return view.has(key) && !view.at(key).value().is_null(); };
    if (given("labels")) file.labels = view.at("labels").get<std::vector<std::string>>();
    if (given("preprocess")) file.preprocess = view.at("preprocess").value();
    if (given("detection")) file.detection = view.at("detection").value();
    if (given("scores")) file.scores = engine::scores_named(view.at("scores").get<std::string>());
    if (given("answers")) file.answers = view.at("answers").value();
    if (given("information")) file.information = view.at("information").value();
    return file;
}

} // namespace

mpscnn_status mpscnn_model_load(const char *path, mpscnn_model **model) {
    return guarded([&] {
        require(model, "model");
        const std::string file(c_api::text(path, "path"));
        *model = model_of(engine::ModelFile::load(file), file).release();
    });
}

mpscnn_status mpscnn_model_check(const char *path) {
    return guarded([&] {
        const std::string file(c_api::text(path, "path"));
        model_of(engine::ModelFile::check(file), file);
    });
}

mpscnn_status mpscnn_model_parse(const void *data, size_t size, const char *origin, mpscnn_model **model) {
    return guarded([&] {
        require(model, "model");
        if (size > 0) require(data, "data");
        const std::string name(c_api::text(origin, "origin"));
        const std::span bytes(static_cast<const std::byte *>(data), size);
        *model = model_of(engine::ModelFile::parse(bytes, name), name).release();
    });
}

void mpscnn_model_release(mpscnn_model *model) { mpscnn::c_api::release(model); }

mpscnn_status mpscnn_model_graph(const mpscnn_model *model, mpscnn_graph **graph) {
    return guarded([&] {
        require(model, "model");
        require(graph, "graph");
        *graph = new mpscnn_graph{.graph = model->file.graph};
    });
}

mpscnn_status mpscnn_model_describe(const mpscnn_model *model, mpscnn_text **json) {
    return guarded([&] {
        require(model, "model");
        require(json, "json");
        c_api::give(to_text(describe(*model)), json);
    });
}

mpscnn_status mpscnn_model_set_scores(mpscnn_model *model, const char *scores) {
    return guarded([&] {
        require(model, "model");
        const auto given = scores ? std::optional(engine::scores_named(scores)) : std::nullopt;
        const auto end = engine::scores_of(model->file.graph);
        // The probabilities of a calibration are those of the scores that it was measured with.
        if (given.value_or(end.value_or(engine::Scores::softmax)) !=
            model->file.scores.value_or(end.value_or(engine::Scores::softmax)))
            model->file.calibration.reset();
        model->file.scores = given;
    });
}

mpscnn_status mpscnn_model_calibration(const mpscnn_model *model, mpscnn_calibration *calibration) {
    return guarded([&] {
        require(model, "model");
        require(calibration, "calibration");
        *calibration = {};
        if (!model->file.calibration) return;
        const engine::Calibration &known = *model->file.calibration;
        *calibration = {known.layer.c_str(),
                        known.features.data(),
                        known.distances.data(),
                        static_cast<int64_t>(known.distances.size()),
                        static_cast<int64_t>(known.features.size() / known.distances.size()),
                        known.probabilities.data(),
                        static_cast<int64_t>(known.probabilities.size())};
    });
}

mpscnn_status mpscnn_model_set_calibration(mpscnn_model *model, const mpscnn_calibration *calibration) {
    return guarded([&] {
        require(model, "model");
        require(calibration, "calibration");
        const mpscnn_calibration &given = *calibration;
        if (!given.layer) {
            model->file.calibration.reset();
            return;
        }
        if (given.width < 0 || (given.width > 0 && given.photos > INT64_MAX / given.width))
            fail(ErrorKind::parameter, {"calibration: the width ", given.width, " is not possible"});
        c_api::require_array(given.distances, given.photos, "distances");
        c_api::require_array(given.features, given.photos * given.width, "features");
        c_api::require_array(given.probabilities, given.probability_count, "probabilities");
        model->file.calibrate({std::string(c_api::text(given.layer, "layer")),
                               {given.features, given.features + given.photos * given.width},
                               {given.distances, given.distances + given.photos},
                               {given.probabilities, given.probabilities + given.probability_count}},
                              ErrorKind::parameter);
    });
}

mpscnn_status mpscnn_set_threshold(const float *probabilities, int64_t count, double coverage,
                                   float *threshold) {
    return guarded([&] {
        c_api::require_array(probabilities, count, "probabilities");
        require(threshold, "threshold");
        *threshold = vision::set_threshold({probabilities, static_cast<std::size_t>(count)}, coverage);
    });
}

mpscnn_status mpscnn_model_content(const mpscnn_model *model, mpscnn_text **content) {
    return guarded([&] {
        require(model, "model");
        require(content, "content");
        c_api::give(model->file.content(), content);
    });
}

mpscnn_status mpscnn_model_save(const mpscnn_model *model, const char *path) {
    return guarded([&] {
        require(model, "model");
        save(model->file, std::string(c_api::text(path, "path")));
    });
}

mpscnn_status mpscnn_graph_save(const mpscnn_graph *graph, const char *description, const char *path) {
    return guarded([&] {
        require(graph, "graph");
        const std::string name(c_api::text(path, "path"));
        save(described(graph->graph, description), name);
    });
}
