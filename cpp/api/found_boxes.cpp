// Options of detection, and the boxes that callers get.

#include "api/found_boxes.h"

#include "api/guard.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

namespace mpscnn::c_api {

vision::Suppression with_options(vision::Suppression settings, const mpscnn_detect_options *options) {
    const auto given = read_options(options, "mpscnn_detect_options");
    if (!(given.score_threshold >= 0.0f && given.score_threshold <= 1.0f))
        fail(ErrorKind::parameter, {"score_threshold must be from 0 to 1, got ", given.score_threshold});
    if (!(given.iou_threshold >= 0.0f && given.iou_threshold <= 1.0f))
        fail(ErrorKind::parameter, {"iou_threshold must be from 0 to 1, got ", given.iou_threshold});
    if (given.max_detections < 0)
        fail(ErrorKind::parameter, {"max_detections must be at least 0, got ", given.max_detections});
    if (given.score_threshold != 0.0f) settings.score_threshold = given.score_threshold;
    if (given.iou_threshold != 0.0f) settings.iou_threshold = given.iou_threshold;
    if (given.max_detections != 0) settings.max_detections = given.max_detections;
    return settings;
}

} // namespace mpscnn::c_api

int mpscnn_detections_count(const mpscnn_detections *detections) {
    return mpscnn::c_api::is_live(detections) ? static_cast<int>(detections->entries.size()) : 0;
}

namespace {

const mpscnn_detections::Entry &entry_of(const mpscnn_detections *detections, int rank) {
    require(detections, "detections");
    if (rank < 0 || rank >= mpscnn_detections_count(detections))
        fail(ErrorKind::parameter,
             {"rank must be below ", mpscnn_detections_count(detections), " and not negative, got ", rank});
    return detections->entries[static_cast<std::size_t>(rank)];
}

} // namespace

mpscnn_status mpscnn_detections_get(const mpscnn_detections *detections, int rank,
                                    mpscnn_detection *detection) {
    return guarded([&] {
        require(detection, "detection");
        const auto &entry = entry_of(detections, rank);
        *detection = {entry.label.c_str(), entry.index,     entry.score,      entry.box.left,
                      entry.box.top,       entry.box.right, entry.box.bottom, entry.anchor};
    });
}

mpscnn_status mpscnn_detections_details(const mpscnn_detections *detections, int rank,
                                        mpscnn_detection_details *details) {
    return guarded([&] {
        require(details, "details");
        const auto &entry = entry_of(detections, rank);
        mpscnn_detection_details result{};
        if (!entry.corners.empty()) result.corners = entry.corners.data();
        result.keypoint_count = static_cast<int32_t>(entry.keypoints.size() / 3);
        if (result.keypoint_count > 0) result.keypoints = entry.keypoints.data();
        if (entry.mask) {
            result.mask_left = entry.mask->left();
            result.mask_top = entry.mask->top();
            result.mask_width = entry.mask->width();
            result.mask_height = entry.mask->height();
        }
        *details = result;
    });
}

mpscnn_status mpscnn_detections_mask(const mpscnn_detections *detections, int rank, uint8_t *mask) {
    return guarded([&] {
        require(mask, "mask");
        const auto &entry = entry_of(detections, rank);
        if (!entry.mask)
            fail(ErrorKind::parameter, {"detection ", rank, " has no mask: the model computes none"});
        entry.mask->write(mask);
    });
}

void mpscnn_detections_release(mpscnn_detections *detections) { mpscnn::c_api::release(detections); }
