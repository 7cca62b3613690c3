#pragma once

#include "core/json.h"
#include "vision/detection.h"

namespace mpscnn::vision {

/// Return the JSON of a model file's "mpscnn.detection" (docs/model_format.md), with every field.
Json to_json(const DetectionHead &head);

/// Read the JSON that to_json writes. Absent keys mean the defaults, except "version" and "anchors", which
/// are required. The anchors' "rule" is also required, and the "strides" and "sizes" of the rule "sizes".
/// Unknown keys and values that `check` refuses are errors.
DetectionHead detection_from_json(const JsonView &json);

} // namespace mpscnn::vision
