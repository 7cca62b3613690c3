/// Boxes from the raw heads of single-shot detectors, for C++20: an owning class over mpscnn/detection.h.
/// Part of mpscnn.hpp, which includes this file. Model::detect includes the choice of boxes.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "model.hpp"
#include "network.hpp"

namespace mpscnn {
inline namespace api {

/// A detector's settings and anchors for one input size. Several threads may use it.
class Detector {
public:
    /// See mpscnn_detector_create; `anchors` has four numbers for each anchor.
    Detector(const std::string &settings, int input_height, int input_width,
             std::span<const float> anchors = {}) {
        require_fours(anchors, "anchors");
        mpscnn_detector *handle = nullptr;
        detail::ensure(mpscnn_detector_create(detail::c_string(settings), input_height, input_width,
                                              anchors.data(), static_cast<std::int64_t>(anchors.size() / 4),
                                              &handle));
        handle_.reset(handle);
    }

    /// Return the settings with every field, as JSON.
    std::string describe() const { return detail::text_of(mpscnn_detector_describe, get()); }

    /// Return centre x, centre y, width and height of each anchor.
    std::vector<float> anchors() const {
        std::vector<float> result(4 * static_cast<std::size_t>(mpscnn_detector_anchor_count(get())));
        detail::ensure(mpscnn_detector_anchors(get(), result.data()));
        return result;
    }

    /// Return left, top, right and bottom of each box, as fractions of the network's input.
    std::vector<float> decode(std::span<const float> codes) const {
        require_fours(codes, "codes");
        std::vector<float> result(codes.size());
        detail::ensure(mpscnn_detector_decode(get(), codes.data(),
                                              static_cast<std::int64_t>(codes.size() / 4), result.data()));
        return result;
    }

    /// Return the detections of one image, the most probable first. `codes` has four numbers for each box,
    /// and `scores` one number for each box and class.
    std::vector<Detection> run(std::span<const float> codes, std::span<const float> scores,
                               const DetectOptions &options = {}) const {
        require_fours(codes, "codes");
        const std::size_t boxes = codes.size() / 4;
        if (boxes == 0 || scores.size() % boxes != 0)
            throw ShapeError("scores: " + std::to_string(scores.size()) +
                             " numbers are not equally many for each of " + std::to_string(boxes) + " boxes");
        mpscnn_detections *detections = nullptr;
        detail::ensure(mpscnn_detector_run(get(), codes.data(), scores.data(),
                                           static_cast<std::int64_t>(boxes),
                                           detail::count(scores.size() / boxes), &options, &detections));
        return detail::detections_of(detections);
    }

    /// Return the training targets for an image with these objects, (anchors, 4 + columns): see
    /// mpscnn_detector_targets. `boxes` has four numbers for each of the `classes`.
    std::vector<float> targets(std::span<const float> boxes, std::span<const int> classes, int columns,
                               float iou_threshold = 0.5f) const {
        require_fours(boxes, "boxes");
        if (boxes.size() / 4 != classes.size())
            throw ShapeError("classes: " + std::to_string(classes.size()) + " for " +
                             std::to_string(boxes.size() / 4) + " boxes");
        const auto width = static_cast<std::size_t>(columns > 0 ? columns : 0) + 4;
        std::vector<float> result(width * static_cast<std::size_t>(mpscnn_detector_anchor_count(get())));
        detail::ensure(mpscnn_detector_targets(get(), boxes.data(), classes.data(),
                                               static_cast<std::int64_t>(classes.size()), columns,
                                               iou_threshold, result.data()));
        return result;
    }

    mpscnn_detector *get() const noexcept { return handle_.get(); }

private:
    static void require_fours(std::span<const float> numbers, const char *name) {
        if (numbers.size() % 4 != 0)
            throw ShapeError(std::string(name) + ": " + std::to_string(numbers.size()) +
                             " numbers, expected four for each box");
    }

    detail::Handle<mpscnn_detector, mpscnn_detector_release> handle_;
};

} // namespace api
} // namespace mpscnn
