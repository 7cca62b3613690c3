#pragma once

#include <pybind11/numpy.h>

#include <cstdint>
#include <vector>

#include <mpscnn/mpscnn.hpp>

#include "text.h"

// Python objects for the results of a photo.

namespace mpscnn::bindings {

namespace py = pybind11;

/// Return a list of (label, index, probability), and what the probabilities are.
py::tuple ranked_classes(const Predictions &predictions);

/// Return a list of (label, index, score, (left, top, right, bottom), anchor, (corners, keypoints, mask)).
py::list detection_list(const std::vector<Detection> &detections);

/// Return the pixels of a mask, (height, width), 1 for those of the object.
py::array_t<std::uint8_t> pixels_of(const ObjectMask &mask);

/// Return the class of every pixel, and all scores or None. The arrays own the memory of the segmentation.
py::tuple label_arrays(Segmentation segmentation);

} // namespace mpscnn::bindings
