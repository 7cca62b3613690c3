#pragma once

#include <optional>
#include <string>

#include "engine/file/model_file.h"
#include "vision/detection.h"

namespace mpscnn::c_api {

/// Return the detector that the model file describes, or nothing if it describes none. Throws WeightsError,
/// beginning with `origin`, if the description does not fit the network or its labels.
std::optional<vision::Detector> detector_of(const engine::ModelFile &file, const std::string &origin);

} // namespace mpscnn::c_api
