#include <array>
#include <cstddef>

#include "bind.h"
#include "exclusive.h"
#include "gil.h"

PYBIND11_MODULE(mpscnn_bindings, module, pybind11::mod_gil_not_used()) {
    using namespace mpscnn::bindings;
    module.doc() =
        "The C++ core of mpscnn: thin classes over the C interface. Use the classes of mpscnn instead.";
    Exclusive::share(module);
    ForeignGil::close_at_exit();
    bind_errors();
    bind_messages(module);
    bind_coreml(module);
    bind_library(module);
    bind_graph(module);
    bind_program(module);
    bind_model(module);
    bind_detection(module);
    bind_json(module);
    bind_kernels(module);
    bind_custom_kernel(module);
    bind_custom_layer(module);
    bind_runner(module);
    bind_signal(module);
    bind_trainer(module);
}

namespace {

/// Refuse an import outside the main interpreter. Library threads and pybind11 take the GIL of the main
/// interpreter, which would deadlock in another one.
int require_main_interpreter(PyObject *) {
    if (PyInterpreterState_Get() == PyInterpreterState_Main()) return 0;
    PyErr_SetString(
        PyExc_ImportError,
        "mpscnn cannot be imported in a subinterpreter, only in the main interpreter of the process; "
        "use threads or processes instead");
    return -1;
}

/// Return pybind11's module slots, with require_main_interpreter() before them. pybind11's slots declare that
/// other interpreters are not supported, but Python ignores this declaration for interpreters that share the
/// main interpreter's GIL.
std::array<PyModuleDef_Slot, 8> checked_slots(const PyModuleDef_Slot *slots) {
    std::array<PyModuleDef_Slot, 8> checked{};
    std::size_t count = 0;
    checked[count++] = {Py_mod_exec, reinterpret_cast<void *>(&require_main_interpreter)};
    for (; slots->slot != 0; ++slots) checked.at(count++) = *slots;
    checked.at(count) = {0, nullptr};
    return checked;
}

} // namespace

/// Initialize the module. Python up to 3.12 calls this in the interpreter that imports the module. Newer
/// versions call it in the main interpreter.
extern "C" PYBIND11_EXPORT PyObject *PyInit__core() {
    if (require_main_interpreter(nullptr) != 0) return nullptr;
    auto *definition = reinterpret_cast<PyModuleDef *>(PyInit_mpscnn_bindings());
    if (definition == nullptr) return nullptr;
    static std::array<PyModuleDef_Slot, 8> slots = checked_slots(definition->m_slots);
    definition->m_slots = slots.data();
    return reinterpret_cast<PyObject *>(definition);
}
