#pragma once

#include "core/json.h"
#include "vision/preprocess.h"

namespace mpscnn::vision {

/// Return the fields of Preprocess as JSON: {"fit": "stretch", "crop_fraction": 1.0, "whole_pixels": false,
/// "filter": "bilinear_antialias", "order": "rgb", "mean": [0.0, 0.0, 0.0], "scale": [1.0, 1.0, 1.0],
/// "letterbox_value": 0.0, "letterbox_position": "center"}. There is one mean and scale per channel (one for
/// gray). "letterbox_value" is one number if it is the same for all channels. When they are read, each of the
/// three may be one number for all channels.
Json to_json(const Preprocess &options);

/// Read the JSON that to_json writes. Absent keys mean the defaults; unknown keys and values that `check`
/// refuses are errors. A string instead of an object is the name of a preset (Preprocess::named) for an input
/// with `channels` channels.
Preprocess preprocess_from_json(const JsonView &json, int channels = 3);

} // namespace mpscnn::vision
