#pragma once

#include "core/json.h"
#include "vision/detection.h"

namespace mpscnn::vision {

/// The JSON of a model file's "mpscnn.detection" (docs/model_format.md), every field filled in.
Json to_json(const DetectionHead &head);

/// Reads the same object. Absent keys mean the defaults, except "version" and "anchors"; unknown keys and
/// values that `check` refuses are errors.
DetectionHead detection_from_json(const JsonView &json);

} // namespace mpscnn::vision
