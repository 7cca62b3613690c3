#pragma once

#include <memory>
#include <string>
#include <vector>

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

} // namespace mpscnn::c_api
