#pragma once

// Readers that turn a network's outputs for one photo into results. A reader checks as much as possible when
// it is created. It writes its results only if the run succeeds. Model, program and the memory of the results
// must stay valid until the run has ended.

#include <vector>

#include "api/handles.h"
#include "vision/image_view.h"

namespace mpscnn::c_api {

using Read = engine::Frame::Read;

/// The images that a network runs on, as one batch, and the reader of its outputs. They are the photo, or its
/// tiles (vision/tiles.h).
struct PhotoReading {
    std::vector<vision::ImageView> images;
    Read read;
};

/// Return a reader for the `top` best classes; 0: all classes.
Read into_predictions(const engine::Program &program, const mpscnn_model &model, int top,
                      mpscnn_predictions **predictions);
/// Return a reader for detections. Boxes are in pixels of the upright photo. `options` may be NULL.
PhotoReading into_detections(const engine::Program &program, const mpscnn_model &model,
                             const vision::ImageView &photo, const mpscnn_detect_options *options,
                             mpscnn_detections **detections);
/// Return a reader for the class of every pixel. `scores` has `classes` scores for each pixel, or is NULL.
/// `options` may be NULL.
PhotoReading into_labels(const engine::Program &program, const mpscnn_model &model,
                         const vision::ImageView &photo, const mpscnn_segment_options *options,
                         std::uint8_t *labels, float *scores, int classes);

} // namespace mpscnn::c_api
