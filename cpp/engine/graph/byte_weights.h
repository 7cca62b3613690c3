#pragma once

#include "engine/run/backend.h"

namespace mpscnn::engine {

/// Whether weights are to be kept in 8 bits: CompileOptions::weights. Throws ParameterError for an unknown
/// name, and for a precision that does not multiply floats or halves.
bool keeps_weights_in_bytes(const std::string &weights, Precision precision);

/// The same canonical network whose constant weights of convolutions (subpixel ones too) and dense layers are
/// 8-bit integers with a range for each output channel (WeightTensor::set_ranges), except of layers with
/// keep_float32. Weights that are stored as 8-bit integers keep these; a batch normalization folded into them
/// becomes part of the ranges. Others become the nearest integers between a channel's smallest and largest
/// weight. Throws WeightsError for weights beyond halves.
Graph with_weights_in_bytes(const Graph &graph);

} // namespace mpscnn::engine
