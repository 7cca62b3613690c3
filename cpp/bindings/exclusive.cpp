#include "exclusive.h"

namespace mpscnn::bindings {

namespace {

PyObject *shared_module = nullptr;

} // namespace

void Exclusive::share(const py::module_ &module) { shared_module = module.ptr(); }

py::handle Exclusive::shared() { return shared_module; }

} // namespace mpscnn::bindings
