# Compiler and linker options: language, warnings, sanitizers, visibility.

if(PROJECT_IS_TOP_LEVEL)
    if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
        set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
    endif()
    set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
    find_program(MPSCNN_CCACHE ccache)
    if(MPSCNN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
        set(CMAKE_CXX_COMPILER_LAUNCHER "${MPSCNN_CCACHE}")
        # Unity builds compile files that CMake writes. With paths relative to the build folder, these files are equal in
        # all build folders, so the folders share cached objects.
        if(NOT DEFINED ENV{CCACHE_BASEDIR})
            list(PREPEND CMAKE_CXX_COMPILER_LAUNCHER
                "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${PROJECT_BINARY_DIR}" CCACHE_NOHASHDIR=1)
        endif()
        set(CMAKE_OBJCXX_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
    endif()
endif()

# Sets the options for all targets of this project.
function(mpscnn_compile_options target)
    target_compile_features(${target} PUBLIC cxx_std_20)
    set_target_properties(${target} PROPERTIES
        CXX_EXTENSIONS OFF
        CXX_SCAN_FOR_MODULES OFF
        CXX_VISIBILITY_PRESET hidden
        VISIBILITY_INLINES_HIDDEN ON)
    # The compiler must not contract products and sums to FMAs on its own, because results would depend on its choice.
    # Kernels call FMAs explicitly.
    target_compile_options(${target} PRIVATE -ffp-contract=off -ffunction-sections -fdata-sections)
    if(PROJECT_IS_TOP_LEVEL)
        target_compile_options(${target} PRIVATE -Wall -Wextra)
        # GCC 12 and 13 warn about the standard library's own operator+ of strings (GCC bug 105651).
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
            target_compile_options(${target} PRIVATE -Wno-restrict)
        endif()
    endif()
    mpscnn_sanitize(${target} PRIVATE)
endfunction()

# Sets `result` to the files to compile for the given Objective-C++ sources. In unity builds there is a file for each
# folder, which includes the folder's sources. CMake supports this only from version 3.29 on.
function(mpscnn_unite_objcxx result)
    set(${result} ${ARGN} PARENT_SCOPE)
    if(NOT CMAKE_UNITY_BUILD)
        return()
    endif()
    set(folders)
    foreach(source IN LISTS ARGN)
        cmake_path(GET source PARENT_PATH folder)
        cmake_path(GET folder FILENAME name)
        list(APPEND folders ${name})
        string(APPEND includes_${name} "#include \"${source}\"\n")
    endforeach()
    list(REMOVE_DUPLICATES folders)
    set(united)
    foreach(name IN LISTS folders)
        set(file "${CMAKE_CURRENT_BINARY_DIR}/unity/${name}.mm")
        file(CONFIGURE OUTPUT "${file}" CONTENT "${includes_${name}}" @ONLY)
        list(APPEND united "${file}")
    endforeach()
    set(${result} ${united} PARENT_SCOPE)
endfunction()

# Optimises all code except the kernels. -O3 would make it a tenth larger, and only vectorized loops would be faster.
# With -O2, another option makes GCC vectorize these loops. The code plans and starts kernels, which takes little of the
# time of a run. So builds that need not be the fastest use `level`: with -O1 compilers take two thirds of the time of
# -O2. With -Og, which is -O1 without some inlining, GCC takes a fifth less than with -O1. For clang both are the same.
function(mpscnn_optimise target level)
    if(MPSCNN_LINK_TIME_OPTIMISATION)
        set(level "-O2;$<$<CXX_COMPILER_ID:GNU>:-fvect-cost-model=dynamic>")
    endif()
    target_compile_options(${target} PRIVATE "$<$<CONFIG:Release>:${level}>")
    if(CMAKE_UNITY_BUILD)
        # By default GCC looks for unused memory from 128 MB on, which takes a tenth of the time of large files. The unit
        # is kB.
        target_compile_options(${target} PRIVATE
            "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:--param=ggc-min-heapsize=500000>")
    endif()
endfunction()

# Optimises at link time, which merges equal functions of different files (such as templates), inlines more, and removes
# unused code. This is not for kernels, whose instruction sets must stay separate (cpp/cpu/isa/simd.h).
function(mpscnn_optimise_at_link_time)
    if(NOT MPSCNN_LINK_TIME_OPTIMISATION)
        return()
    endif()
    check_ipo_supported(RESULT supported OUTPUT reason LANGUAGES CXX)
    if(supported)
        set_target_properties(${ARGN} PROPERTIES INTERPROCEDURAL_OPTIMIZATION ON)
    else()
        message(STATUS "No optimisation at link time: ${reason}")
    endif()
endfunction()

# Links the instrumentation of sanitizers. For a static library, the programs that use it must link it.
function(mpscnn_link_options target)
    get_target_property(type ${target} TYPE)
    if(type STREQUAL "STATIC_LIBRARY")
        mpscnn_sanitize(${target} INTERFACE)
    else()
        mpscnn_sanitize(${target} PRIVATE)
    endif()
endfunction()

function(mpscnn_sanitize target scope)
    if(MPSCNN_SANITIZE)
        set(flags -fsanitize=${MPSCNN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
        target_compile_options(${target} ${scope} ${flags})
        target_link_options(${target} ${scope} ${flags})
    endif()
    if(MPSCNN_BUILD_FUZZERS)
        target_compile_options(${target} ${scope} -fsanitize=fuzzer-no-link)
    endif()
    if(MPSCNN_COVERAGE)
        target_compile_options(${target} ${scope} --coverage)
        target_link_options(${target} ${scope} --coverage)
    endif()
endfunction()

# Exports only symbols that match a pattern, by a list for the linker. Hidden visibility alone would still export
# instantiated templates of the C++ library.
function(mpscnn_export_only target pattern)
    set(list "${CMAKE_CURRENT_BINARY_DIR}/${target}.exports")
    if(APPLE)
        file(CONFIGURE OUTPUT "${list}" CONTENT "_${pattern}\n")
        target_link_options(${target} PRIVATE "LINKER:-exported_symbols_list,${list}" "LINKER:-dead_strip")
    else()
        file(CONFIGURE OUTPUT "${list}" CONTENT "{ global: ${pattern}; local: *; };\n")
        target_link_options(${target} PRIVATE "LINKER:--version-script=${list}" "LINKER:--gc-sections")
    endif()
endfunction()

# Links the C++ library statically, for systems that may lack it.
function(mpscnn_contain_runtime)
    if(NOT MPSCNN_STATIC_RUNTIME)
        return()
    endif()
    foreach(target IN LISTS ARGN)
        target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc)
    endforeach()
endfunction()

# Adds a source file to `target` that defines the constants of core/build_info.h. No other file has them, so that build
# folders can share all other objects through the compiler cache.
function(mpscnn_add_build_info target instruction_sets)
    string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
    string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}" flags)
    if(MPSCNN_SANITIZE)
        string(APPEND flags " -fsanitize=${MPSCNN_SANITIZE}")
    endif()
    string(REGEX REPLACE "([\"\\])" "\\\\\\1" flags "${flags}")
    list(TRANSFORM instruction_sets REPLACE "(.+)" "\"\\1\"" OUTPUT_VARIABLE MPSCNN_INSTRUCTION_SET_NAMES)
    list(JOIN MPSCNN_INSTRUCTION_SET_NAMES ", " MPSCNN_INSTRUCTION_SET_NAMES)
    set(MPSCNN_CXX_FLAGS "${flags}")
    file(RELATIVE_PATH MPSCNN_PROGRAMS_FROM_LIBRARY "${CMAKE_INSTALL_FULL_LIBDIR}" "${CMAKE_INSTALL_FULL_BINDIR}")
    set(source "${PROJECT_BINARY_DIR}/generated/build_info.cpp")
    configure_file("${PROJECT_SOURCE_DIR}/cmake/build_info.cpp.in" "${source}" @ONLY)
    target_sources(${target} PRIVATE "${source}")
    set_source_files_properties("${source}" PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
