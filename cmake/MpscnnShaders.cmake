# Compiles .metal files to a Metal library, if Metal's compiler is installed. It is called by the name `xcrun`, so that
# tests can put a program of this name on the PATH.

option(MPSCNN_REQUIRE_SHADERS "Fail the build if a shader does not compile (for continuous integration)" OFF)

# mpscnn_compile_shaders(<target> OUTPUT <file> SOURCES <.metal>... [HEADERS <file>...])
# Adds no target if there is no compiler. cpp/metal/device/library.mm uses the same options at run time. A file that does
# not compile is left out with a warning, and so is the whole library if it cannot be linked: the output is empty then. What
# the library lacks is compiled at run time.
function(mpscnn_compile_shaders target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "OUTPUT" "SOURCES;HEADERS")
    set(tools xcrun -sdk macosx)
    # `xcrun -f metal` is not sufficient, because it may print a path although the compiler is not installed.
    execute_process(COMMAND ${tools} metal --version RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
    if(NOT result EQUAL 0)
        if(MPSCNN_REQUIRE_SHADERS)
            message(FATAL_ERROR "MPSCNN_REQUIRE_SHADERS is set, but Metal's compiler is not installed "
                "(xcodebuild -downloadComponent MetalToolchain)")
        endif()
        message(STATUS "No Metal compiler: mpscnn will compile its shaders at first use of a device")
        return()
    endif()
    set(script "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/compile_shaders.cmake")
    set(compiled)
    foreach(shader IN LISTS arg_SOURCES)
        cmake_path(GET shader STEM name)
        set(air "${CMAKE_CURRENT_BINARY_DIR}/shaders/${name}.air")
        add_custom_command(OUTPUT "${air}"
            COMMAND "${CMAKE_COMMAND}" "-DOUTPUT=${air}" "-DREQUIRED=${MPSCNN_REQUIRE_SHADERS}" -P "${script}" --
                ${tools} metal -std=macos-metal2.3 -fno-fast-math -mmacosx-version-min=11.0 -Wall -Wextra
                -c "${shader}" -o "${air}"
            DEPENDS "${shader}" ${arg_HEADERS} "${script}"
            VERBATIM)
        list(APPEND compiled "${air}")
    endforeach()
    add_custom_command(OUTPUT "${arg_OUTPUT}"
        COMMAND "${CMAKE_COMMAND}" "-DOUTPUT=${arg_OUTPUT}" "-DREQUIRED=${MPSCNN_REQUIRE_SHADERS}" -P "${script}" --
            ${tools} metallib ${compiled} -o "${arg_OUTPUT}"
        DEPENDS ${compiled} "${script}"
        VERBATIM)
    add_custom_target(${target} ALL DEPENDS "${arg_OUTPUT}")
endfunction()
