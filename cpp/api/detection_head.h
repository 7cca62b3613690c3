#pragma once

#include <optional>
#include <string>

#include "engine/model_file.h"
#include "vision/detection.h"

namespace mpscnn::c_api {

/// How the model's outputs become boxes; nothing where the file says nothing of it. Throws WeightsError,
/// beginning with `origin`, when what it says does not fit the network or its labels.
std::optional<vision::Detector> detector_of(const engine::ModelFile &file, const std::string &origin);

} // namespace mpscnn::c_api
