# Compiles .metal files to a Metal library, if Metal's compiler is installed. It is called by the name `xcrun`, so that
# tests can put a program of this name on the PATH.

# mpscnn_compile_shaders(<target> OUTPUT <file> SOURCES <.metal>... [HEADERS <file>...])
# Adds no target if there is no compiler. cpp/metal/device/library.mm uses the same options at run time.
function(mpscnn_compile_shaders target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "OUTPUT" "SOURCES;HEADERS")
    set(tools xcrun -sdk macosx)
    # `xcrun -f metal` is not sufficient, because it may print a path although the compiler is not installed.
    execute_process(COMMAND ${tools} metal --version RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
    if(NOT result EQUAL 0)
        message(STATUS "No Metal compiler: mpscnn will compile its shaders at first use of a device")
        return()
    endif()
    set(compiled)
    foreach(shader IN LISTS arg_SOURCES)
        cmake_path(GET shader STEM name)
        set(air "${CMAKE_CURRENT_BINARY_DIR}/shaders/${name}.air")
        add_custom_command(OUTPUT "${air}"
            COMMAND "${CMAKE_COMMAND}" -E make_directory "${CMAKE_CURRENT_BINARY_DIR}/shaders"
            COMMAND ${tools} metal -std=macos-metal2.3 -fno-fast-math -mmacosx-version-min=11.0 -Wall -Wextra
                -c "${shader}" -o "${air}"
            DEPENDS "${shader}" ${arg_HEADERS}
            VERBATIM)
        list(APPEND compiled "${air}")
    endforeach()
    add_custom_command(OUTPUT "${arg_OUTPUT}"
        COMMAND ${tools} metallib ${compiled} -o "${arg_OUTPUT}"
        DEPENDS ${compiled}
        VERBATIM)
    add_custom_target(${target} ALL DEPENDS "${arg_OUTPUT}")
endfunction()
