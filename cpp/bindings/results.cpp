#include "results.h"

#include <memory>

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
    return py::make_tuple(entries, predictions.scores());
}

py::list detection_list(const std::vector<Detection> &detections) {
    py::list result;
    for (const Detection &entry : detections)
        result.append(py::make_tuple(entry.label, entry.index, entry.score,
                                     py::make_tuple(entry.left, entry.top, entry.right, entry.bottom),
                                     entry.anchor));
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
