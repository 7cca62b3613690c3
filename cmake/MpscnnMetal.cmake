# Builds the Metal engine: on a Mac with Apple's frameworks, elsewhere (for tests only) with the emulation of
# tests/metal_emulation.

file(GLOB mpscnn_metal_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cpp/metal/*/*.mm")
file(GLOB mpscnn_shaders CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/shaders/*.metal")
file(GLOB mpscnn_shader_headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/shaders/*.h")
set(mpscnn_metallib "${PROJECT_BINARY_DIR}/mpscnn.metallib")

# The shaders' source. Files that are not in the metallib are compiled at run time.
set(mpscnn_shader_source "${PROJECT_BINARY_DIR}/generated/shader_source.cpp")
set(mpscnn_flatten_shaders "${PROJECT_SOURCE_DIR}/cmake/flatten_shaders.cmake")
add_custom_command(OUTPUT "${mpscnn_shader_source}"
    COMMAND "${CMAKE_COMMAND}" "-DOUTPUT=${mpscnn_shader_source}" "-DDIRECTORY=${PROJECT_SOURCE_DIR}/shaders"
        "-DCOMPILER=${CMAKE_CXX_COMPILER}" -P "${mpscnn_flatten_shaders}"
    DEPENDS ${mpscnn_shaders} ${mpscnn_shader_headers} "${mpscnn_flatten_shaders}"
    COMMENT "Writing the shaders' source into the library"
    VERBATIM)

# Unity builds are not tested with Apple's headers, which a build on another system lacks.
set(mpscnn_compiled_shaders "${PROJECT_SOURCE_DIR}/cpp/metal/device/compiled_shaders.mm")
if(NOT APPLE OR CMAKE_CROSSCOMPILING)
    list(REMOVE_ITEM mpscnn_metal_sources "${mpscnn_compiled_shaders}")
    mpscnn_unite_objcxx(mpscnn_metal_sources ${mpscnn_metal_sources})
    list(APPEND mpscnn_metal_sources "${mpscnn_compiled_shaders}")
endif()
add_library(mpscnn_metal OBJECT ${mpscnn_metal_sources} "${mpscnn_shader_source}")
target_include_directories(mpscnn_metal PRIVATE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/cpp")
set_target_properties(mpscnn_metal PROPERTIES
    POSITION_INDEPENDENT_CODE ON
    UNITY_BUILD OFF # some versions of CMake support this for Objective-C++, others do not
    OBJCXX_STANDARD 20
    OBJCXX_STANDARD_REQUIRED ON
    OBJCXX_EXTENSIONS OFF
    OBJCXX_VISIBILITY_PRESET hidden)
mpscnn_compile_options(mpscnn_metal)
mpscnn_optimise(mpscnn_metal -O1)

if(APPLE)
    target_compile_options(mpscnn_metal PRIVATE $<$<COMPILE_LANGUAGE:OBJCXX>:-fno-objc-arc>)
    # Apple's headers would otherwise define macros named `check`, `verify` and `require`.
    target_compile_definitions(mpscnn_metal PRIVATE __ASSERT_MACROS_DEFINE_VERSIONS_WITHOUT_UNDERSCORES=0)
    # In programs without a window, Metal has a default device only if CoreGraphics is linked.
    set(mpscnn_metal_libraries
        "-framework Foundation" "-framework Metal" "-framework MetalPerformanceShaders" "-framework CoreGraphics"
        "-framework CoreVideo" "-framework CoreML")
else()
    target_link_libraries(mpscnn_metal PRIVATE metal_emulation)
    set(mpscnn_metal_libraries metal_emulation ${CMAKE_DL_LIBS})
endif()

# ---- The compiled shaders, which are embedded in the library ------------------------------------------------------

if(APPLE)
    include(MpscnnShaders)
    mpscnn_compile_shaders(mpscnn_metallib
        OUTPUT "${mpscnn_metallib}" SOURCES ${mpscnn_shaders} HEADERS ${mpscnn_shader_headers})
else()
    add_emulated_metallib(mpscnn_metallib
        OUTPUT "${mpscnn_metallib}" SOURCES ${mpscnn_shaders} INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/shaders" ON_GPU)
endif()
if(TARGET mpscnn_metallib)
    add_dependencies(mpscnn_metal mpscnn_metallib)
    set_source_files_properties("${mpscnn_compiled_shaders}" PROPERTIES
        COMPILE_DEFINITIONS "MPSCNN_METALLIB=\"${mpscnn_metallib}\""
        OBJECT_DEPENDS "${mpscnn_metallib}")
endif()
