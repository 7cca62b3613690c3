# The extension module mpscnn._core, a client of the shared library like any other.

find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
find_package(pybind11 3.0 CONFIG REQUIRED)

file(GLOB mpscnn_binding_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cpp/bindings/*.cpp")
pybind11_add_module(_core MODULE NO_EXTRAS ${mpscnn_binding_sources})
target_link_libraries(_core PRIVATE mpscnn::mpscnn)
if(TARGET mpscnn-check)
    add_dependencies(_core mpscnn-check) # without which "auto" trusts no device
endif()
set_target_properties(_core PROPERTIES UNITY_BUILD_BATCH_SIZE 0) # all at once: pybind11's headers take longest
mpscnn_compile_options(_core)
mpscnn_optimise(_core)
# A call through the bindings is short. clang still inlines what matters with -Os, GCC does not.
target_compile_options(_core PRIVATE "$<$<AND:$<CONFIG:Release>,$<CXX_COMPILER_ID:Clang,AppleClang>>:-Os>")
mpscnn_optimise_at_link_time(_core)
mpscnn_link_options(_core)
mpscnn_export_only(_core PyInit__core)
mpscnn_contain_runtime(_core)

# The module lies beside lib/ in the installed package and finds the library from there.
if(APPLE)
    set_target_properties(_core PROPERTIES INSTALL_RPATH "@loader_path/lib")
else()
    set_target_properties(_core PROPERTIES INSTALL_RPATH "$ORIGIN/lib")
endif()
install(TARGETS _core LIBRARY DESTINATION . COMPONENT python)
