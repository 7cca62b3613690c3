#pragma once

#include "engine/backend/backend.h"

namespace mpscnn::engine {

/// True if CompileOptions::weights asks for 8-bit weights. Throws ParameterError for an unknown name, and for
/// a precision that does not multiply floats or halves.
bool keeps_weights_in_bytes(const std::string &weights, Precision precision);

/// Return a canonical network (passes.h) with 8-bit weights and a range of values for each output channel
/// (WeightTensor::set_ranges). It converts constant weights of convolutions (also subpixel ones) and dense
/// layers, except layers with keep_float32. Weights that are already stored as 8-bit integers keep them, and
/// a folded batch normalization becomes part of their ranges. All other weights become the nearest integers
/// between a channel's smallest and largest weight. Throws WeightsError for weights that exceed the largest
/// float16 number.
Graph with_weights_in_bytes(const Graph &graph);

} // namespace mpscnn::engine
