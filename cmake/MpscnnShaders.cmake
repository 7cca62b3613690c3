# Compiles .metal files to a Metal library, where there is a compiler. It needs a Mac, so that nothing but the name of
# `xcrun` says so here: tests put one of their own on the PATH.

# mpscnn_compile_shaders(<target> OUTPUT <file> SOURCES <.metal>... [HEADERS <file>...])
# No target where there is no compiler. The flags are those with which cpp/metal/device/library.mm compiles source at run time.
function(mpscnn_compile_shaders target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "OUTPUT" "SOURCES;HEADERS")
    set(tools xcrun -sdk macosx)
    # Not `xcrun -f metal`: Xcode may have a place for the compiler without the compiler.
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
