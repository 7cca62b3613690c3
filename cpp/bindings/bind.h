#pragma once

#include <pybind11/pybind11.h>

#include "text.h"

namespace mpscnn::bindings {

void bind_errors();
void bind_messages(pybind11::module_ &module);
void bind_coreml(pybind11::module_ &module);
void bind_library(pybind11::module_ &module);
void bind_graph(pybind11::module_ &module);
void bind_program(pybind11::module_ &module);
void bind_model(pybind11::module_ &module);
void bind_detection(pybind11::module_ &module);
void bind_json(pybind11::module_ &module);
void bind_kernels(pybind11::module_ &module);
void bind_custom_kernel(pybind11::module_ &module);
void bind_custom_layer(pybind11::module_ &module);
void bind_runner(pybind11::module_ &module);
void bind_signal(pybind11::module_ &module);
void bind_trainer(pybind11::module_ &module);

} // namespace mpscnn::bindings
