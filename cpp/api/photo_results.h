#pragma once

// Readers that turn a network's outputs for one photo into results. A reader checks as much as possible when
// it is created. It writes its results only if the run succeeds. Model, program and the memory of the results
// must stay valid until then.

#include "api/handles.h"
#include "vision/image_view.h"

namespace mpscnn::c_api {

using Read = engine::Frame::Read;

/// The `top` best classes, all when 0.
Read into_predictions(const engine::Program &program, const mpscnn_model &model, int top,
                      mpscnn_predictions **predictions);
/// The objects, boxes in pixels of the photo as seen. `options` may be NULL.
Read into_detections(const engine::Program &program, const mpscnn_model &model,
                     const vision::ImageView &photo, const mpscnn_detect_options *options,
                     mpscnn_detections **detections);
/// The class of every pixel; `scores` of `classes` each, or NULL.
Read into_labels(const engine::Program &program, const mpscnn_model &model, const vision::ImageView &photo,
                 std::uint8_t *labels, float *scores, int classes);

} // namespace mpscnn::c_api
