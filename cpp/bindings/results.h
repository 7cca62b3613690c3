#pragma once

#include <pybind11/numpy.h>

#include <vector>

#include <mpscnn/mpscnn.hpp>

#include "text.h"

// Python objects for the results of a photo.

namespace mpscnn::bindings {

namespace py = pybind11;

/// (label, index, probability) of each class.
py::list prediction_list(const Predictions &predictions);

/// (label, index, score, (left, top, right, bottom), anchor) of each.
py::list detection_list(const std::vector<Detection> &detections);

/// The class of every pixel, and all scores or None; in the same memory.
py::tuple label_arrays(Segmentation segmentation);

} // namespace mpscnn::bindings
