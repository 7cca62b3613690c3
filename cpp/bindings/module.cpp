#include "bind.h"

PYBIND11_MODULE(_core, module) {
    using namespace mpscnn::bindings;
    module.doc() =
        "The C++ core of mpscnn: thin classes over the C interface. Use the classes of mpscnn instead.";
    bind_errors();
    bind_library(module);
    bind_graph(module);
    bind_program(module);
    bind_model(module);
    bind_detection(module);
    bind_kernels(module);
    bind_custom_kernel(module);
    bind_runner(module);
    bind_signal(module);
}
