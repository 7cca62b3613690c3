#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// The contents of a model file. docs/model_format.md describes the format.
struct ModelFile {
    static constexpr std::int64_t newest_version = 1;

    Graph graph;
    std::vector<std::string> labels;   ///< empty: none
    std::optional<Json> preprocess;    ///< as vision/preprocess.h reads it
    std::optional<Json> detection;     ///< as vision/detection.h reads it
    std::vector<float> anchors;        ///< of a detector that stores them, four numbers for each
    Json information = Json::object(); ///< free text members: license, source, description

    /// Throws WeightsError naming the file and what is wrong with it. Weights are copied out of the file.
    static ModelFile load(const std::string &path);
    /// As `load`, but free each weight after it was checked. The graph has no weights.
    static ModelFile check(const std::string &path);
    static ModelFile parse(std::span<const std::byte> bytes, const std::string &origin);

    /// Return the bytes of a model file with all of this. Weights keep their type. Throws WeightsError for a
    /// weight that is missing.
    std::string content() const;
};

} // namespace mpscnn::engine
