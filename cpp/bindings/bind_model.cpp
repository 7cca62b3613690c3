#include "arrays.h"
#include "bind.h"

namespace mpscnn::bindings {

namespace {

ModelFile parse(const py::bytes &data, const std::string &origin) {
    const std::string_view bytes = data;
    const py::gil_scoped_release unlocked;
    return ModelFile::parse(std::as_bytes(std::span(bytes)), origin);
}

py::list classify(const ModelFile &model, Session &session, const py::array &image, const std::string &format,
                  int orientation, int top) {
    const ImageView view = image_view(image, format, orientation);
    const Predictions predictions = [&] {
        const py::gil_scoped_release unlocked;
        return model.classify(session, view, top);
    }();
    py::list result;
    for (const Prediction &entry : predictions.top(predictions.size()))
        result.append(py::make_tuple(entry.label, entry.index, entry.probability));
    return result;
}

void preprocess_image(const py::array &image, const std::string &format, int orientation,
                      const std::string &description, py::array output) {
    const ImageView view = image_view(image, format, orientation);
    const std::span<float> floats = writable_floats(output, 3, "output");
    for (int axis = 0; axis < 3; ++axis)
        if (output.shape(axis) > INT32_MAX) throw ShapeError("output: " + text_of(output) + " is too large");
    const auto height = static_cast<int>(output.shape(0)), width = static_cast<int>(output.shape(1)),
               channels = static_cast<int>(output.shape(2));
    const py::gil_scoped_release unlocked;
    preprocess(view, description, height, width, channels, floats);
}

} // namespace

void bind_model(py::module_ &module) {
    py::class_<ModelFile>(module, "Model", "A network with its preprocessing and labels.")
        .def_static("load", &ModelFile::load, py::arg("path"), py::call_guard<py::gil_scoped_release>())
        .def_static("parse", &parse, py::arg("data"), py::arg("origin"))
        .def("graph", &ModelFile::graph)
        .def("describe", &ModelFile::describe)
        .def("classify", &classify, py::arg("session"), py::arg("image"), py::arg("format"),
             py::arg("orientation") = 1, py::arg("top") = 0);

    module.def("preprocess", &preprocess_image, py::arg("image"), py::arg("format"), py::arg("orientation"),
               py::arg("preprocess"), py::arg("output"));
    module.def("describe_preprocess", &describe_preprocess, py::arg("preprocess"), py::arg("channels") = 3);
}

} // namespace mpscnn::bindings
