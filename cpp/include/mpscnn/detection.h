/* mpscnn: boxes from the raw heads of single-shot detectors, for programs that run the network themselves.
 * Part of mpscnn.h, which includes this file and states general rules. For photos, mpscnn_model_detect
 * includes all of these steps.
 *
 * Boxes are four floats: left, top, right, bottom. Here they are fractions of the network's input, 0 to 1.
 */
#ifndef MPSCNN_DETECTION_H
#define MPSCNN_DETECTION_H

#include "mpscnn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mpscnn_detector mpscnn_detector;

/* Create a detector. `settings` is the JSON object of a model file's "mpscnn.detection"
 * (docs/detection.md). `anchors` are four floats for each anchor (centre x, centre y, width, height), which
 * are copied. They are needed for the anchor rule "stored", otherwise NULL and 0. Several threads may use a
 * detector concurrently. */
MPSCNN_API mpscnn_status mpscnn_detector_create(const char *settings, int input_height, int input_width,
                                                const float *anchors, int64_t anchor_count,
                                                mpscnn_detector **detector);
MPSCNN_API void mpscnn_detector_release(mpscnn_detector *detector);
/* Return the settings with every field. */
MPSCNN_API mpscnn_status mpscnn_detector_describe(const mpscnn_detector *detector, mpscnn_text **json);

/* Return the number of anchors; 0 for NULL, and for the rule "none". */
MPSCNN_API int64_t mpscnn_detector_anchor_count(const mpscnn_detector *detector);
/* Write all anchors, four floats for each: centre x, centre y, width, height. */
MPSCNN_API mpscnn_status mpscnn_detector_anchors(const mpscnn_detector *detector, float *anchors);

/* Convert the network's numbers to boxes. `codes` has four numbers for each of `count` boxes. */
MPSCNN_API mpscnn_status mpscnn_detector_decode(const mpscnn_detector *detector, const float *codes,
                                                int64_t count, float *boxes);
/* Return the detections of one image. `codes` (count, 4) and `scores` (count, columns) are the network's
 * outputs. `options` may be NULL. Labels are "class 3" and so on. */
MPSCNN_API mpscnn_status mpscnn_detector_run(const mpscnn_detector *detector, const float *codes,
                                             const float *scores, int64_t count, int columns,
                                             const mpscnn_detect_options *options,
                                             mpscnn_detections **detections);

/* Write the training targets of an image with known objects: `boxes` (count, 4), within 0 to 1, and their
 * `classes` from 0 on, without the background. An anchor is assigned the object for which it is the best
 * anchor, or an object that it overlaps by at least `iou_threshold` (Liu et al. 2016: 0.5). `targets`
 * (anchors, 4 + columns) receives four numbers for the box of an anchor's object, and then `columns`
 * numbers: 1 for the object's class, and 0 for the others. The first of the columns is the background; it
 * is 1, and the box is zeros, for an anchor without an object. The targets of each image are its labels for
 * mpscnn_trainer_step with the loss "multibox". Settings without anchors or without a background give
 * MPSCNN_ERROR_PARAMETER. */
MPSCNN_API mpscnn_status mpscnn_detector_targets(const mpscnn_detector *detector, const float *boxes,
                                                 const int *classes, int64_t count, int columns,
                                                 float iou_threshold, float *targets);

#ifdef __cplusplus
}
#endif

#endif
