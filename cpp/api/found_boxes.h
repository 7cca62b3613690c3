#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/handle.h"
#include "mpscnn/mpscnn.h"
#include "vision/detection.h"
#include "vision/object_mask.h"

struct mpscnn_detections {
    mpscnn::c_api::Mark<mpscnn_detections> mark = {};
    struct Entry {
        std::string label;
        int index;
        float score;
        mpscnn::vision::Box box;
        int anchor;
        // These are empty unless the model computes them.
        std::vector<float> corners = {};   ///< x and y of four corners
        std::vector<float> keypoints = {}; ///< x, y and probability of each point
        /// The masks that together are the object's: one for each tile on which it was found.
        std::vector<mpscnn::vision::ObjectMask> masks = {};
    };
    std::vector<Entry> entries;
};

namespace mpscnn::c_api {

/// Return the model's suppression settings with the caller's changes. Throws for numbers out of range.
vision::Suppression with_options(vision::Suppression settings, const mpscnn_detect_options *options);

} // namespace mpscnn::c_api
