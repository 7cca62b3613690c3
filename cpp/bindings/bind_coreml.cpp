#include <cstddef>
#include <string>

#include "bind.h"
#include "gil.h"

namespace mpscnn::bindings {

namespace {

/// Write a network as a Core ML program. The answer of the Python function is JSON, also for its errors.
/// Without an answer, for example at the end of the process, the library reports an error itself.
void write_coreml(const char *network, std::size_t bytes, const char *request, mpscnn_coreml_reply reply,
                  void *reply_context, void *) {
    std::string answer;
    {
        const ForeignGil locked;
        if (!locked) return;
        try {
            const py::object write = py::module_::import("mpscnn._private.toolkit").attr("write_coreml");
            answer = call_python(write, py::make_tuple(py::bytes(network, bytes), py::str(request)))
                         .cast<std::string>();
        } catch (py::error_already_set &error) {
            if (error.matches(PyExc_KeyboardInterrupt))
                PyErr_SetInterrupt(); // Python raises it when the library has returned
            else
                error.discard_as_unraisable("mpscnn: writing a Core ML program");
            return;
        }
    }
    reply(answer.c_str(), reply_context);
}

} // namespace

void bind_coreml(py::module_ &module) {
    mpscnn_set_coreml_writer(write_coreml, nullptr);
    module.def("coreml_compile", &coreml_compile, py::arg("package"), py::call_guard<GilReleased>(),
               "Compiles a Core ML model package; returns the path of the compiled model.");
}

} // namespace mpscnn::bindings
