# Builds the extension module mpscnn._core, which links the shared library like any other program.

find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
find_package(pybind11 3.0 CONFIG REQUIRED)

file(GLOB mpscnn_binding_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cpp/bindings/*.cpp")
pybind11_add_module(_core MODULE NO_EXTRAS ${mpscnn_binding_sources})
target_link_libraries(_core PRIVATE mpscnn::mpscnn)
if(TARGET mpscnn-check)
    add_dependencies(_core mpscnn-check) # without this program, "auto" chooses no GPU
endif()
set_target_properties(_core PROPERTIES UNITY_BUILD_BATCH_SIZE 0) # one file, because pybind11's headers take most of the time
mpscnn_compile_options(_core)
# The bindings do little work, so their size matters. At link time GCC inlines too little with -Os, but clang enough.
mpscnn_optimise(_core -Os)
target_compile_options(_core PRIVATE "$<$<AND:$<CONFIG:Release>,$<CXX_COMPILER_ID:Clang,AppleClang>>:-Os>")
mpscnn_optimise_at_link_time(_core)
mpscnn_link_options(_core)
mpscnn_export_only(_core PyInit__core)
mpscnn_contain_runtime(_core)

# In the installed package, the module finds the library in lib/ next to it.
if(APPLE)
    set_target_properties(_core PROPERTIES INSTALL_RPATH "@loader_path/lib")
else()
    set_target_properties(_core PROPERTIES INSTALL_RPATH "$ORIGIN/lib")
endif()
install(TARGETS _core LIBRARY DESTINATION . COMPONENT python)
