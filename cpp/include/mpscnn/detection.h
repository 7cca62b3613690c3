/* mpscnn: boxes from the raw heads of single-shot detectors, for programs that run the network themselves.
 * Part of mpscnn.h, which includes this file; the rules stated there hold here. mpscnn_model_detect does all
 * of it for a photo.
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

/* `settings` is the JSON object of a model file's "mpscnn.detection" (docs/detection.md). `anchors`, four
 * floats each (centre x, centre y, width, height), belong to the anchor rule "stored" and are copied; else
 * NULL and 0. Several threads may use a detector concurrently. */
MPSCNN_API mpscnn_status mpscnn_detector_create(const char *settings, int input_height, int input_width,
                                                const float *anchors, int64_t anchor_count,
                                                mpscnn_detector **detector);
MPSCNN_API void mpscnn_detector_release(mpscnn_detector *detector);
/* The settings with every field filled in. */
MPSCNN_API mpscnn_status mpscnn_detector_describe(const mpscnn_detector *detector, mpscnn_text **json);

/* How many anchors there are; 0 for NULL, and for the rule "none". */
MPSCNN_API int64_t mpscnn_detector_anchor_count(const mpscnn_detector *detector);
/* Writes them all, four floats each as above. */
MPSCNN_API mpscnn_status mpscnn_detector_anchors(const mpscnn_detector *detector, float *anchors);

/* Writes the boxes that the network's numbers, four for each of `count` boxes, mean. */
MPSCNN_API mpscnn_status mpscnn_detector_decode(const mpscnn_detector *detector, const float *codes,
                                                int64_t count, float *boxes);
/* The detections of one image: `codes` (count, 4) and `scores` (count, columns) are the network's outputs.
 * `options` may be NULL. Classes are called "class 3". */
MPSCNN_API mpscnn_status mpscnn_detector_run(const mpscnn_detector *detector, const float *codes,
                                             const float *scores, int64_t count, int columns,
                                             const mpscnn_detect_options *options,
                                             mpscnn_detections **detections);

/* Writes the training targets of an image whose objects are known: `boxes` (count, 4), within 0 to 1, and
 * their `classes` from 0 on, without the background. An anchor learns an object of which it is the best one,
 * or that it overlaps by at least `iou_threshold` (Liu et al. 2016: 0.5). Writes `targets` (anchors, 4 +
 * columns): numbers of the box, then 1 for the class, of which `columns` count the background, the first one.
 * These are an image's labels for mpscnn_trainer_step with the loss "multibox". */
MPSCNN_API mpscnn_status mpscnn_detector_targets(const mpscnn_detector *detector, const float *boxes,
                                                 const int *classes, int64_t count, int columns,
                                                 float iou_threshold, float *targets);

#ifdef __cplusplus
}
#endif

#endif
