#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/file/calibration.h"
#include "engine/graph/graph.h"
#include "engine/graph/scores.h"

namespace mpscnn::engine {

/// The contents of a model file. docs/model_format.md describes the format.
struct ModelFile {
    static constexpr std::int64_t newest_version = 1;

    Graph graph;
    std::vector<std::string> labels; ///< names of classes; empty if there are none
    std::optional<Json> preprocess;  ///< in the format of vision/preprocess.h
    std::optional<Json> detection;   ///< in the format of vision/detection.h
    std::optional<Scores> scores;    ///< of a classifier; without a value they follow from the graph
    std::optional<Json> answers;     ///< thresholds of tags, units of numbers, or names of points
    std::vector<float> anchors;      ///< box priors of a detector that stores them: four numbers for each
    /// Results of classifications share it. NULL: the model is not calibrated.
    std::shared_ptr<const Calibration> calibration;
    Json information = Json::object(); ///< free text: license, source, description

    /// Load a file. Weights are copied, so the file may change later. Throws WeightsError that names the file
    /// and its problem.
    static ModelFile load(const std::string &path);
    /// Map a file that nobody changes, so that its weights use the system's pages of the file instead of a
    /// copy. The file may be deleted.
    static ModelFile map(const std::string &path);
    /// Check a file without keeping its weights: each is freed after its check. The returned graph has no
    /// weights.
    static ModelFile check(const std::string &path);
    static ModelFile parse(std::span<const std::byte> bytes, const std::string &origin);

    /// Set the calibration. Throws Error(kind) unless it fits the graph.
    void calibrate(Calibration given, ErrorKind kind);

    /// Return the bytes of a model file with this content. Weights keep their type. Throws WeightsError for a
    /// missing weight.
    std::string content() const;
    /// Call `take` with the pieces of content(), in order. The weights are not copied.
    void write(const std::function<void(std::string_view piece)> &take) const;
};

} // namespace mpscnn::engine
