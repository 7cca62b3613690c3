#include "arrays.h"
#include "bind.h"
#include "gil.h"
#include "results.h"
#include <algorithm>

namespace mpscnn::bindings {

namespace {

using Floats = py::array_t<float, py::array::c_style>;

/// Return the memory of a C-contiguous float32 array (rows, columns); 0 columns means any number.
std::span<const float> rows(const Floats &array, py::ssize_t columns, const std::string &what) {
    if (array.ndim() != 2 || (columns != 0 && array.shape(1) != columns))
        throw ShapeError(what + ": expected the shape (boxes, " +
                         (columns == 0 ? "columns" : std::to_string(columns)) + "), got " + text_of(array));
    return {array.data(), static_cast<std::size_t>(array.size())};
}

Floats table(const std::vector<float> &numbers) {
    Floats result({static_cast<py::ssize_t>(numbers.size() / 4), py::ssize_t{4}});
    std::copy(numbers.begin(), numbers.end(), result.mutable_data());
    return result;
}

Detector make_detector(const std::string &settings, int height, int width, const py::object &anchors) {
    if (anchors.is_none()) return Detector(settings, height, width);
    return Detector(settings, height, width, rows(anchors.cast<Floats>(), 4, "anchors"));
}

Floats make_targets(const Detector &detector, const Floats &boxes,
                    const py::array_t<int, py::array::c_style> &classes, int columns, float iou_threshold) {
    const auto numbers = rows(boxes, 4, "boxes");
    if (classes.ndim() != 1 || classes.size() != boxes.shape(0))
        throw ShapeError("classes: expected the shape (" + std::to_string(boxes.shape(0)) + "), got " +
                         text_of(classes));
    const std::vector<float> targets = detector.targets(
        numbers, {classes.data(), static_cast<std::size_t>(classes.size())}, columns, iou_threshold);
    const auto row = static_cast<py::ssize_t>(columns) + 4;
    Floats result({static_cast<py::ssize_t>(targets.size()) / row, row});
    std::copy(targets.begin(), targets.end(), result.mutable_data());
    return result;
}

py::list run_detector(const Detector &detector, const Floats &codes, const Floats &scores,
                      float score_threshold, float iou_threshold, int max_detections) {
    const auto numbers = rows(codes, 4, "boxes"), table = rows(scores, 0, "scores");
    if (codes.shape(0) != scores.shape(0))
        throw ShapeError("scores: " + std::to_string(scores.shape(0)) + " rows for " +
                         std::to_string(codes.shape(0)) + " boxes");
    const std::vector<Detection> found = [&] {
        const GilReleased unlocked;
        return detector.run(numbers, table,
                            {.score_threshold = score_threshold,
                             .iou_threshold = iou_threshold,
                             .max_detections = max_detections});
    }();
    return detection_list(found);
}

} // namespace

void bind_detection(py::module_ &module) {
    py::class_<ObjectMask>(module, "ObjectMask", "The mask of an object on a photo.")
        .def_property_readonly("left", &ObjectMask::left)
        .def_property_readonly("top", &ObjectMask::top)
        .def_property_readonly("width", &ObjectMask::width)
        .def_property_readonly("height", &ObjectMask::height)
        .def("pixels", &pixels_of);

    py::class_<Detector>(module, "Detector", "From the heads of a single-shot detector to boxes.")
        .def(py::init(&make_detector), py::arg("settings"), py::arg("height"), py::arg("width"),
             py::arg("anchors") = py::none())
        .def("describe", &Detector::describe)
        .def("anchors", [](const Detector &detector) { return table(detector.anchors()); })
        .def(
            "decode",
            [](const Detector &detector, const Floats &codes) {
                return table(detector.decode(rows(codes, 4, "boxes")));
            },
            py::arg("codes"))
        .def("targets", &make_targets, py::arg("boxes"), py::arg("classes"), py::arg("columns"),
             py::arg("iou_threshold"))
        .def("run", &run_detector, py::arg("codes"), py::arg("scores"), py::arg("score_threshold") = 0.0f,
             py::arg("iou_threshold") = 0.0f, py::arg("max_detections") = 0);
}

} // namespace mpscnn::bindings
