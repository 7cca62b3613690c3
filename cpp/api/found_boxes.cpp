// Options of detection, and the boxes that callers get.

#include "api/found_boxes.h"

#include <algorithm>
#include <cstdint>

#include "api/guard.h"
#include "vision/tiles.h"

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

/// Return the pixels of the photo that the masks cover together.
vision::PhotoPart covered(const std::vector<vision::ObjectMask> &masks) {
    int left = INT32_MAX, top = INT32_MAX, right = 0, bottom = 0;
    for (const vision::ObjectMask &mask : masks) {
        left = std::min(left, mask.left());
        top = std::min(top, mask.top());
        right = std::max(right, mask.left() + mask.width());
        bottom = std::max(bottom, mask.top() + mask.height());
    }
    return {left, top, right - left, bottom - top};
}

/// Write the pixels that belong to any of the masks.
void write_union(const std::vector<vision::ObjectMask> &masks, std::uint8_t *pixels) {
    if (masks.size() == 1) return masks.front().write(pixels);
    const vision::PhotoPart all = covered(masks);
    std::fill_n(pixels, static_cast<std::size_t>(all.width) * static_cast<std::size_t>(all.height), 0);
    std::vector<std::uint8_t> own;
    for (const vision::ObjectMask &mask : masks) {
        own.resize(static_cast<std::size_t>(mask.width()) * static_cast<std::size_t>(mask.height()));
        mask.write(own.data());
        const std::uint8_t *source = own.data();
        for (int row = mask.top() - all.top; row < mask.top() - all.top + mask.height(); ++row) {
            std::uint8_t *target = pixels + std::ptrdiff_t{row} * all.width + (mask.left() - all.left);
            for (int column = 0; column < mask.width(); ++column) *target++ |= *source++;
        }
    }
}

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
        if (!entry.masks.empty()) {
            const vision::PhotoPart mask = covered(entry.masks);
            result.mask_left = mask.left;
            result.mask_top = mask.top;
            result.mask_width = mask.width;
            result.mask_height = mask.height;
        }
        *details = result;
    });
}

mpscnn_status mpscnn_detections_mask(const mpscnn_detections *detections, int rank, uint8_t *mask) {
    return guarded([&] {
        require(mask, "mask");
        const auto &entry = entry_of(detections, rank);
        if (entry.masks.empty())
            fail(ErrorKind::parameter, {"detection ", rank, " has no mask: the model computes none"});
        write_union(entry.masks, mask);
    });
}

void mpscnn_detections_release(mpscnn_detections *detections) { mpscnn::c_api::release(detections); }
