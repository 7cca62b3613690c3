// Parts of detection that Python cannot call: the vector exponential, score tables, and checks of the C
// interface.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "tests/cpp/c_api.h"
#include "vision/detection.h"
#include "vision/lanes.h"
#include "vision/nms.h"
#include "vision/object_mask.h"
#include "vision/rotated_boxes.h"

namespace vision = mpscnn::vision;

using c_api_test::refused;
using mpscnn::ErrorKind;

namespace {

const char *const edges_are_given = R"({"version": 1, "anchors": {"rule": "none"}, "boxes": {"order": "xy"},
    "scores": {"kind": "probability", "background": false}, "suppression": {"score_threshold": 0.5}})";

} // namespace

TEST(the_exponential_is_accurate_to_a_unit_in_the_last_place) {
    double worst = 0.0;
    for (float x = -86.5f; x < 88.0f; x += 0.0371f) {
        const vision::Float4 found = vision::exponential(vision::Float4{x, -x, 0.0f, 1.0f});
        const double exact = std::exp(static_cast<double>(x));
        worst = std::max(worst, std::abs(found[0] - exact) / exact);
    }
    CHECK(worst < 1.2e-7);
}

TEST(the_exponential_has_limits_and_keeps_nan) {
    const float infinity = std::numeric_limits<float>::infinity();
    const vision::Float4 found =
        vision::exponential(vision::Float4{infinity, -infinity, std::nanf(""), 0.0f});
    CHECK(std::isfinite(found[0]) && found[0] > 1e38f);
    CHECK(found[1] > 0.0f && found[1] < 1e-37f);
    CHECK(std::isnan(found[2]));
    CHECK(found[3] == 1.0f);
}

TEST(rows_below_the_threshold_are_passed_over) {
    const std::vector<float> logits{9.0f, -9.0f, -9.0f, 0.0f, -1.0f, 2.0f};
    vision::ScoreTable table(logits, 3, vision::ScoreKind::softmax, true, 0.5f);
    CHECK(table.boxes() == 2 && table.classes() == 2);
    CHECK(table.row(0).empty());
    const auto row = table.row(1);
    CHECK(row.size() == 2);
    CHECK(std::abs(row[1] - std::exp(2.0) / (1.0 + std::exp(-1.0) + std::exp(2.0))) < 1e-6);
}

TEST(every_threshold_may_be_asked_for) {
    const std::vector<float> logits{0.0f, 88.0f, -88.0f};
    for (const auto kind : {vision::ScoreKind::sigmoid, vision::ScoreKind::softmax}) {
        vision::ScoreTable all(logits, 3, kind, false, 0.0f);
        CHECK(all.row(0).size() == 3);
        vision::ScoreTable certain(logits, 3, kind, false, 1.0f);
        CHECK(certain.row(0).empty() || certain.row(0)[1] == 1.0f);
    }
}

TEST(enumerators_out_of_range_are_refused) {
    vision::DetectionHead head;
    head.score_kind = static_cast<vision::ScoreKind>(7);
    CHECK_THROWS(vision::check(head), ErrorKind::parameter, "unknown score kind number 7");
    vision::Suppression settings;
    settings.method = static_cast<vision::SuppressionMethod>(-1);
    CHECK_THROWS(vision::check(settings), ErrorKind::parameter, "unknown suppression method number -1");
}

TEST(the_c_interface_checks_its_arguments) {
    mpscnn_detector *detector = nullptr;
    const float one[4] = {0, 0, 1, 1};
    CHECK(refused(mpscnn_detector_create(nullptr, 1, 1, nullptr, 0, &detector), MPSCNN_ERROR_PARAMETER,
                  "settings"));
    CHECK(refused(mpscnn_detector_create("{", 1, 1, nullptr, 0, &detector), MPSCNN_ERROR_PARAMETER, "JSON"));
    CHECK(refused(mpscnn_detector_create(edges_are_given, 1, 1, nullptr, 3, &detector),
                  MPSCNN_ERROR_PARAMETER, "anchors"));
    CHECK(mpscnn_detector_create(edges_are_given, 240, 320, nullptr, 0, &detector) == MPSCNN_OK);
    CHECK(mpscnn_detector_anchor_count(nullptr) == 0);
    mpscnn_detections *found = nullptr;
    CHECK(refused(mpscnn_detector_run(detector, nullptr, one, 1, 1, nullptr, &found), MPSCNN_ERROR_PARAMETER,
                  "codes"));
    CHECK(refused(mpscnn_detector_run(detector, one, one, 1, 0, nullptr, &found), MPSCNN_ERROR_SHAPE,
                  "1 boxes of 0 numbers"));
    mpscnn_detect_options options{};
    options.size = sizeof options;
    options.score_threshold = 2.0f;
    CHECK(refused(mpscnn_detector_run(detector, one, one, 1, 1, &options, &found), MPSCNN_ERROR_PARAMETER,
                  "score_threshold must be from 0 to 1"));
    options.score_threshold = 0.0f;
    options.iou_threshold = -1.0f;
    CHECK(refused(mpscnn_detector_run(detector, one, one, 1, 1, &options, &found), MPSCNN_ERROR_PARAMETER,
                  "iou_threshold must be from 0 to 1"));
    options.iou_threshold = 0.0f;
    options.max_detections = -1;
    CHECK(refused(mpscnn_detector_run(detector, one, one, 1, 1, &options, &found), MPSCNN_ERROR_PARAMETER,
                  "max_detections must be at least 0"));
    options.max_detections = 0;
    options.tile_side = 4;
    CHECK(refused(mpscnn_detector_run(detector, one, one, 1, 1, &options, &found), MPSCNN_ERROR_PARAMETER,
                  "tile_side is for photos"));
    const float score = 0.75f;
    CHECK(mpscnn_detector_run(detector, one, &score, 1, 1, nullptr, &found) == MPSCNN_OK);
    CHECK(mpscnn_detections_count(found) == 1 && mpscnn_detections_count(nullptr) == 0);
    mpscnn_detection entry{};
    CHECK(refused(mpscnn_detections_get(found, 1, &entry), MPSCNN_ERROR_PARAMETER, "rank"));
    CHECK(mpscnn_detections_get(found, 0, &entry) == MPSCNN_OK && entry.score == 0.75f);
    mpscnn_detection_details details{};
    CHECK(mpscnn_detections_details(found, 0, &details) == MPSCNN_OK && details.mask_width == 0);
    CHECK(!details.corners && !details.keypoints && details.keypoint_count == 0);
    CHECK(refused(mpscnn_detections_details(found, 1, &details), MPSCNN_ERROR_PARAMETER, "rank"));
    std::uint8_t mask = 0;
    CHECK(refused(mpscnn_detections_mask(found, 0, &mask), MPSCNN_ERROR_PARAMETER, "has no mask"));
    mpscnn_detections_release(found);
    mpscnn_detector_release(detector);
    const char *const rotated =
        R"({"version": 1, "anchors": {"rule": "none"}, "angles": {"output": "angles"}})";
    CHECK(mpscnn_detector_create(rotated, 240, 320, nullptr, 0, &detector) == MPSCNN_OK);
    CHECK(refused(mpscnn_detector_run(detector, one, &score, 1, 1, nullptr, &found), MPSCNN_ERROR_UNSUPPORTED,
                  "rotated boxes are found on photos only"));
    mpscnn_detector_release(detector);
}

TEST(rotated_boxes_overlap_by_their_distributions) {
    vision::Boxes boxes;
    boxes.resize(4);
    for (std::size_t i = 0; i < 4; ++i) boxes.set(i, {0.25f, 0.45f, 0.75f, 0.55f});
    boxes.set(3, {0.5f, 0.45f, 1.0f, 0.55f});
    const float half_turn = 3.14159265f;
    const std::array<float, 4> angles{0.0f, half_turn, half_turn / 2, 0.0f};
    vision::rotate(boxes, angles, 100, 100);
    CHECK(vision::overlap(boxes.rotated[0], boxes.rotated[1]) > 0.999f); // the same box
    const float across = vision::overlap(boxes.rotated[0], boxes.rotated[2]);
    CHECK(across > 0.215f && across < 0.216f);
    CHECK(vision::overlap(boxes.rotated[0], boxes.rotated[3]) < 0.45f);
    vision::DetectionHead head;
    head.angles_output = "angles";
    head.suppression.method = vision::SuppressionMethod::linear;
    CHECK_THROWS(vision::check(head), ErrorKind::parameter, "the method 'hard' only");
    CHECK_THROWS(vision::rotate(boxes, std::span(angles).first(2), 100, 100), ErrorKind::shape,
                 "2 angles for 4 boxes");
    const std::array<float, 4> wrong{0.0f, NAN, 0.0f, 0.0f};
    CHECK_THROWS(vision::rotate(boxes, wrong, 100, 100), ErrorKind::parameter, "the angle of box 1 is");
}

TEST(few_rotated_boxes_are_compared_because_each_pair_costs_much) {
    constexpr int count = 6'000, limit = 5'000;
    vision::Boxes boxes;
    boxes.resize(count);
    std::vector<vision::Candidate> candidates;
    for (int i = 0; i < count; ++i) {
        const float place = static_cast<float>(i);
        boxes.set(static_cast<std::size_t>(i), {place, 0.0f, place + 0.5f, 0.5f});
        candidates.push_back({1.0f - place / 1e4f, i, 0});
    }
    const vision::Suppression settings;
    CHECK(vision::suppress(candidates, boxes, settings, count).size() == std::size_t{count});
    vision::rotate(boxes, std::vector<float>(std::size_t{count}, 0.5f), 10, 10);
    const auto kept = vision::suppress(candidates, boxes, settings, count);
    CHECK(kept.size() == std::size_t{limit});
    CHECK(kept.back().box == limit - 1); // the best ones, in their order
}

TEST(masks_cover_the_pixels_of_their_boxes) {
    // One prototype of 2 x 2 points: the left half is above 0, the right half below.
    const std::array<float, 4> numbers{1, -1, 1, -1};
    const float coefficient = 1.0f;
    const vision::Transform twice{2.0, 2.0, 0.0, 0.0}; // the photo is twice as large as the input of 4 x 4
    const vision::ObjectMask mask({numbers.data(), 2, 2, 1}, {&coefficient, 1}, {1.0f, 2.0f, 7.0f, 4.0f},
                                  twice, 4, 4);
    CHECK(mask.left() == 1 && mask.top() == 2 && mask.width() == 6 && mask.height() == 2);
    std::array<std::uint8_t, 12> pixels{};
    mask.write(pixels.data());
    for (std::size_t i = 0; i < pixels.size(); ++i) CHECK(pixels[i] == (i % 6 < 3 ? 1 : 0));
}
