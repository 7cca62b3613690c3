#pragma once

#include <string>
#include <vector>

namespace mpscnn::engine {

/// The numbers that labelled photos gave with a classifier (docs/evaluation.md, "Calibration").
struct Calibration {
    std::string layer;                ///< the layer whose results are the features of a photo
    std::vector<float> features;      ///< the features of each photo, photos x elements of the layer
    std::vector<float> distances;     ///< one for each photo, in increasing order; see vision/calibration.h
    std::vector<float> probabilities; ///< those of the photos' classes, in increasing order
};

} // namespace mpscnn::engine
