#pragma once

#include "core/json.h"
#include "vision/preprocess.h"

namespace mpscnn::vision {

/// {"fit": "stretch", "crop_fraction": 1.0, "filter": "bilinear_antialias", "order": "rgb", "mean": [0.0,
/// 0.0, 0.0], "scale": [1.0, 1.0, 1.0], "letterbox_value": 0.0, "letterbox_position": "center"}: the fields
/// of Preprocess, with one mean and scale per channel (one for gray).
Json to_json(const Preprocess &options);

/// Read the same object. Absent keys mean the defaults; unknown keys and values that `check` refuses are
/// errors. A string is the name of a preset, Preprocess::named, for a network input with this number of
/// channels.
Preprocess preprocess_from_json(const JsonView &json, int channels = 3);

} // namespace mpscnn::vision
