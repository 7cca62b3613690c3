// Detection from the outputs of heads that the caller computed.

#include <algorithm>

#include "api/found_boxes.h"
#include "api/handle.h"
#include "api/handles.h"
#include "core/json.h"
#include "core/text.h"
#include "mpscnn/detection.h"
#include "vision/detection_json.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

struct mpscnn_detector {
    mpscnn::c_api::Mark<mpscnn_detector> mark = {};
    vision::Detector detector;
};

namespace {

vision::Anchors anchors_from(const float *numbers, std::int64_t count) {
    vision::Anchors anchors;
    for (std::int64_t i = 0; i < count; ++i, numbers += 4)
        anchors.add(numbers[0], numbers[1], numbers[2], numbers[3]);
    return anchors;
}

std::span<const float> numbers_of(const float *data, std::int64_t count, int columns) {
    constexpr std::int64_t maximum = 1 << 30;
    if (columns < 1 || count > maximum / columns)
        fail(ErrorKind::shape, {"detector: ", count, " boxes of ", columns,
                                " numbers, expected at least 1 and at most 2^30 in all"});
    return {data, static_cast<std::size_t>(count) * static_cast<std::size_t>(columns)};
}

} // namespace

mpscnn_status mpscnn_detector_create(const char *settings, int input_height, int input_width,
                                     const float *anchors, int64_t anchor_count, mpscnn_detector **detector) {
    return guarded([&] {
        require(detector, "detector");
        c_api::require_array(anchors, anchor_count, "anchors");
        const Json description = parse_json(c_api::text(settings, "settings"));
        auto head = vision::detection_from_json(JsonView(description, "detection"));
        if (anchor_count > 0 && !std::holds_alternative<vision::StoredAnchors>(head.anchors))
            fail(ErrorKind::parameter,
                 "detector: anchors are given, but the settings' anchor rule is not 'stored'");
        *detector =
            new mpscnn_detector{.detector = vision::Detector(std::move(head), input_height, input_width,
                                                             anchors_from(anchors, anchor_count))};
    });
}

void mpscnn_detector_release(mpscnn_detector *detector) { mpscnn::c_api::release(detector); }

mpscnn_status mpscnn_detector_describe(const mpscnn_detector *detector, mpscnn_text **json) {
    return guarded([&] {
        require(detector, "detector");
        require(json, "json");
        c_api::give(to_text(vision::to_json(detector->detector.head())), json);
    });
}

int64_t mpscnn_detector_anchor_count(const mpscnn_detector *detector) {
    return mpscnn::c_api::is_live(detector) ? static_cast<int64_t>(detector->detector.anchors().size()) : 0;
}

mpscnn_status mpscnn_detector_anchors(const mpscnn_detector *detector, float *anchors) {
    return guarded([&] {
        require(detector, "detector");
        const vision::Anchors &own = detector->detector.anchors();
        if (own.size() > 0) require(anchors, "anchors");
        for (std::size_t i = 0; i < own.size(); ++i, anchors += 4) {
            anchors[0] = own.x[i];
            anchors[1] = own.y[i];
            anchors[2] = own.width[i];
            anchors[3] = own.height[i];
        }
    });
}

mpscnn_status mpscnn_detector_decode(const mpscnn_detector *detector, const float *codes, int64_t count,
                                     float *boxes) {
    return guarded([&] {
        require(detector, "detector");
        c_api::require_array(codes, count, "codes");
        if (count > 0) require(boxes, "boxes");
        const vision::Boxes decoded = detector->detector.decode(numbers_of(codes, count, 4));
        for (std::size_t i = 0; i < decoded.size(); ++i, boxes += 4) {
            boxes[0] = decoded.left[i];
            boxes[1] = decoded.top[i];
            boxes[2] = decoded.right[i];
            boxes[3] = decoded.bottom[i];
        }
    });
}

mpscnn_status mpscnn_detector_run(const mpscnn_detector *detector, const float *codes, const float *scores,
                                  int64_t count, int columns, const mpscnn_detect_options *options,
                                  mpscnn_detections **detections) {
    return guarded([&] {
        require(detector, "detector");
        require(detections, "detections");
        c_api::require_array(codes, count, "codes");
        c_api::require_array(scores, count, "scores");
        const vision::Detector &own = detector->detector;
        if (!own.head().angles_output.empty())
            fail(ErrorKind::unsupported, "detector: the settings have angles, and rotated boxes are found on "
                                         "photos only (Model.detect)");
        const auto settings = c_api::with_options(own.head().suppression, options);
        if (c_api::read_options(options, "mpscnn_detect_options").tile_side != 0)
            fail(ErrorKind::parameter, "tile_side is for photos: a detector gets the outputs of one image");
        auto found = std::make_unique<mpscnn_detections>();
        for (const vision::Detection &entry :
             own.detect(numbers_of(codes, count, 4), numbers_of(scores, count, columns), columns, settings))
            found->entries.push_back(
                {concat({"class ", entry.label}), entry.label, entry.score, entry.box, entry.anchor});
        *detections = found.release();
    });
}

mpscnn_status mpscnn_detector_targets(const mpscnn_detector *detector, const float *boxes, const int *classes,
                                      int64_t count, int columns, float iou_threshold, float *targets) {
    return guarded([&] {
        require(detector, "detector");
        c_api::require_array(boxes, count, "boxes");
        c_api::require_array(classes, count, "classes");
        std::vector<vision::LabelledBox> objects;
        for (std::int64_t i = 0; i < count; ++i, boxes += 4)
            objects.push_back({{boxes[0], boxes[1], boxes[2], boxes[3]}, classes[i]});
        const vision::Detector &own = detector->detector;
        if (own.anchors().size() > 0) require(targets, "targets");
        const int row = 4 + std::clamp(columns, 0, vision::max_columns);
        const auto anchors_count = static_cast<std::int64_t>(own.anchors().size());
        const std::size_t numbers = numbers_of(targets, anchors_count, row).size();
        own.targets(objects, columns, iou_threshold, {targets, numbers});
    });
}
