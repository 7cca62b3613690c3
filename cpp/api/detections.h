#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/file/model_file.h"
#include "mpscnn/mpscnn.h"
#include "vision/detection.h"

struct mpscnn_detections {
    struct Entry {
        std::string label;
        int index;
        float score;
        mpscnn::vision::Box box;
        int anchor;
    };
    std::vector<Entry> entries;
};

namespace mpscnn::c_api {

/// The model's suppression with what the caller wants otherwise. Throws for numbers out of range.
vision::Suppression with_options(vision::Suppression settings, const mpscnn_detect_options *options);

/// How the model's outputs become boxes; nothing where the file says nothing of it. Throws WeightsError,
/// beginning with `origin`, when what it says does not fit the network or its labels.
std::optional<vision::Detector> detector_of(const engine::ModelFile &file, const std::string &origin);

} // namespace mpscnn::c_api
