#include "results.h"

#include <pybind11/stl.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "gil.h"

namespace mpscnn::bindings {

namespace {

/// Return an array that owns the numbers.
template <class Number>
py::array_t<Number> array_of(std::vector<Number> numbers, const std::vector<py::ssize_t> &shape) {
    auto owned = std::make_unique<std::vector<Number>>(std::move(numbers));
    const py::capsule owner(owned.get(),
                            [](void *memory) { delete static_cast<std::vector<Number> *>(memory); });
    return py::array_t<Number>(shape, owned.release()->data(), owner);
}

} // namespace

py::tuple ranked_classes(const Predictions &predictions) {
    py::list entries;
    for (const Prediction &entry : predictions.top(predictions.size()))
        entries.append(py::make_tuple(entry.label, entry.index, entry.probability));
    return py::make_tuple(entries, predictions.scores(), predictions.unfamiliar());
}

namespace {

/// Return (corners, keypoints, mask) of a detection.
py::tuple details_of(const Detection &entry) {
    py::list corners, keypoints;
    for (const auto &[x, y] : entry.corners) corners.append(py::make_tuple(x, y));
    for (const auto &[x, y, score] : entry.keypoints) keypoints.append(py::make_tuple(x, y, score));
    return py::make_tuple(corners, keypoints, entry.mask);
}

} // namespace

py::array_t<std::uint8_t> pixels_of(const ObjectMask &mask) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(mask.height()) *
                                     static_cast<std::size_t>(mask.width()));
    {
        const GilReleased unlocked;
        mask.write(pixels.data());
    }
    return array_of(std::move(pixels), {mask.height(), mask.width()});
}

py::list detection_list(const std::vector<Detection> &detections) {
    py::list result;
    for (const Detection &entry : detections)
        result.append(py::make_tuple(entry.label, entry.index, entry.score,
                                     py::make_tuple(entry.left, entry.top, entry.right, entry.bottom),
                                     entry.anchor, details_of(entry)));
    return result;
}

py::tuple label_arrays(Segmentation segmentation) {
    const py::ssize_t height = segmentation.height, width = segmentation.width,
                      classes = segmentation.classes;
    auto labels = array_of(std::move(segmentation.labels), {height, width});
    if (classes == 0) return py::make_tuple(labels, py::none());
    return py::make_tuple(labels, array_of(std::move(segmentation.scores), {height, width, classes}));
}

} // namespace mpscnn::bindings
