#include "arrays.h"
#include "arrow.h"
#include "bind.h"
#include "gil.h"
#include "kept_graph.h"
#include "pixels.h"
#include "results.h"

#include <pybind11/stl.h>

namespace mpscnn::bindings {

namespace {

ModelFile parse(const py::bytes &data, const std::string &origin) {
    const std::string_view bytes = data;
    const GilReleased unlocked;
    return ModelFile::parse(std::as_bytes(std::span(bytes)), origin);
}

py::bytes content(const ModelFile &model) {
    const std::string bytes = [&] {
        const GilReleased unlocked;
        return model.content();
    }();
    return py::bytes(bytes);
}

py::tuple classify(const ModelFile &model, Session &session, const Pixels &image, int top) {
    const ImageView &view = image.view();
    const Predictions predictions = [&] {
        const GilReleased unlocked;
        return model.classify(session, view, top);
    }();
    return ranked_classes(predictions);
}

/// Rank the classes of a program's output.
py::tuple rank(const ModelFile &model, const Program &program, const py::array &output) {
    return ranked_classes(model.rank(program, float_tensor(output, "output", Access::read)));
}

py::list detect(const ModelFile &model, Session &session, const Pixels &image, float score_threshold,
                float iou_threshold, int max_detections, int tile_side, double tile_overlap) {
    const ImageView &view = image.view();
    const std::vector<Detection> found = [&] {
        const GilReleased unlocked;
        return model.detect(session, view,
                            {.score_threshold = score_threshold,
                             .iou_threshold = iou_threshold,
                             .max_detections = max_detections,
                             .tile_side = tile_side,
                             .tile_overlap = tile_overlap});
    }();
    return detection_list(found);
}

/// Return the anchors (n, 4), or None if the file has none.
py::object anchors(const ModelFile &model) {
    const std::span<const float> numbers = model.anchors();
    if (numbers.empty()) return py::none();
    return py::array_t<float>({static_cast<py::ssize_t>(numbers.size() / 4), py::ssize_t{4}}, numbers.data());
}

/// Return (layer, features, distances, probabilities), or None if the model is not calibrated.
py::object calibration(const ModelFile &model) {
    const mpscnn_calibration known = model.calibration();
    if (!known.layer) return py::none();
    const auto array = [](const std::vector<py::ssize_t> &shape, const float *numbers) {
        return py::array_t<float>(shape, numbers);
    };
    return py::make_tuple(known.layer, array({known.photos, known.width}, known.features),
                          array({known.photos}, known.distances),
                          array({known.probability_count}, known.probabilities));
}

using ConvertedFloats = py::array_t<float, py::array::c_style | py::array::forcecast>;

void set_calibration(ModelFile &model, const std::string &layer, const ConvertedFloats &features,
                     const ConvertedFloats &distances, const ConvertedFloats &probabilities) {
    if (features.ndim() != 2 || features.shape(0) != distances.size())
        throw ShapeError("calibration: expected features (photos, width), and a distance for each photo");
    model.set_calibration({layer.c_str(), features.data(), distances.data(), features.shape(0),
                           features.shape(1), probabilities.data(), probabilities.size()});
}

float threshold_of_set(const ConvertedFloats &probabilities, double coverage) {
    return set_threshold({probabilities.data(), static_cast<std::size_t>(probabilities.size())}, coverage);
}

py::tuple segment(const ModelFile &model, Session &session, const Pixels &image, int classes, int tile_side,
                  double tile_overlap) {
    const ImageView &view = image.view();
    Segmentation result = [&] {
        const GilReleased unlocked;
        return model.segment(session, view, classes, {.tile_side = tile_side, .tile_overlap = tile_overlap});
    }();
    return label_arrays(std::move(result));
}

void preprocess_image(const Pixels &image, const std::string &description, py::array output) {
    const ImageView &view = image.view();
    const std::span<float> floats = writable_floats(output, 3, "output");
    for (int axis = 0; axis < 3; ++axis)
        if (output.shape(axis) > INT32_MAX) throw ShapeError("output: " + text_of(output) + " is too large");
    const auto height = static_cast<int>(output.shape(0)), width = static_cast<int>(output.shape(1)),
               channels = static_cast<int>(output.shape(2));
    const GilReleased unlocked;
    preprocess(view, description, height, width, channels, floats);
}

} // namespace

void bind_model(py::module_ &module) {
    py::class_<Pixels>(module, "Pixels", "A photo in the memory of arrays.")
        .def(py::init<py::array, const std::string &, int>(), py::arg("pixels"), py::arg("format"),
             py::arg("orientation") = 1)
        .def_static("yuv", &Pixels::yuv, py::arg("y"), py::arg("u"), py::arg("v"), py::arg("matrix"),
                    py::arg("range"), py::arg("siting"), py::arg("orientation") = 1);
    module.def("arrow_pixels", &arrow_pixels, py::arg("schema"), py::arg("array"), py::arg("height"),
               py::arg("width"));
    module.def("arrow_bytes", &arrow_bytes, py::arg("bytes"));

    py::class_<ModelFile>(module, "Model", "A network with its preprocessing and labels.")
        .def_static("load", &ModelFile::load, py::arg("path"), py::call_guard<GilReleased>())
        .def_static("check", &ModelFile::check, py::arg("path"), py::call_guard<GilReleased>())
        .def_static("parse", &parse, py::arg("data"), py::arg("origin"))
        .def("graph", [](const ModelFile &model) { return KeptGraph(model.graph()); })
        .def("describe", &ModelFile::describe)
        .def("content", &content)
        .def("classify", &classify, py::arg("session"), py::arg("image"), py::arg("top") = 0)
        .def("rank", &rank, py::arg("program"), py::arg("output"))
        .def("detect", &detect, py::arg("session"), py::arg("image"), py::arg("score_threshold") = 0.0f,
             py::arg("iou_threshold") = 0.0f, py::arg("max_detections") = 0, py::arg("tile_side") = 0,
             py::arg("tile_overlap") = 0.0)
        .def("anchors", &anchors)
        .def("calibration", &calibration)
        .def("outputs", &ModelFile::outputs)
        .def("set_calibration", &set_calibration, py::arg("layer"), py::arg("features"), py::arg("distances"),
             py::arg("probabilities"))
        .def("remove_calibration", [](ModelFile &model) { model.set_calibration({}); })
        .def("segment", &segment, py::arg("session"), py::arg("image"), py::arg("classes") = 0,
             py::arg("tile_side") = 0, py::arg("tile_overlap") = 0.0);

    module.def("set_threshold", &threshold_of_set, py::arg("probabilities"), py::arg("coverage"));
    module.def("preprocess", &preprocess_image, py::arg("image"), py::arg("preprocess"), py::arg("output"));
    module.def("describe_preprocess", &describe_preprocess, py::arg("preprocess"), py::arg("channels") = 3);
}

} // namespace mpscnn::bindings
