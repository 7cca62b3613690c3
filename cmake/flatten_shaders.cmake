# Writes OUTPUT, a C++ file with the table of all DIRECTORY/*.metal: the name of each file, the names of its kernels, and
# its text. The text contains the headers that the file includes, because Metal compiles source at run time without a file
# system to find headers in. `#line` directives let its messages name the files and lines of DIRECTORY. COMPILER is a C++
# compiler. Its preprocessor expands the macros that define kernels, so that their names can be read.
#
#   cmake -DOUTPUT=shader_source.cpp -DDIRECTORY=shaders -DCOMPILER=c++ -P flatten_shaders.cmake

cmake_minimum_required(VERSION 3.21)

# Reads a file, and adds a `#line` directive after each `#include "..."`.
function(read_with_lines name result)
    file(READ "${DIRECTORY}/${name}" rest)
    string(REPLACE "#pragma once\n" "\n" rest "${rest}")
    set(text "#line 1 \"${name}\"\n")
    set(line 1)
    while(rest MATCHES "#include \"[^\"]+\"\n")
        set(include "${CMAKE_MATCH_0}")
        string(FIND "${rest}" "${include}" begin)
        string(LENGTH "${include}" length)
        math(EXPR behind "${begin} + ${length}")
        string(SUBSTRING "${rest}" 0 ${behind} before)
        string(SUBSTRING "${rest}" ${behind} -1 rest)
        string(REGEX REPLACE "[^\n]" "" newlines "${before}")
        string(LENGTH "${newlines}" count)
        math(EXPR line "${line} + ${count}")
        string(APPEND text "${before}#line ${line} \"${name}\"\n")
    endwhile()
    set(${result} "${text}${rest}" PARENT_SCOPE)
endfunction()

# Replaces each `#include "..."` by the text of the header, or by nothing if the header has been inserted before.
function(insert_headers text result)
    while(text MATCHES "#include \"([^\"]+)\"\n")
        set(line "${CMAKE_MATCH_0}")
        set(name "${CMAKE_MATCH_1}")
        set(header "")
        if(NOT name IN_LIST inserted)
            list(APPEND inserted "${name}")
            read_with_lines("${name}" header)
        endif()
        string(FIND "${text}" "${line}" begin)
        string(LENGTH "${line}" length)
        math(EXPR behind "${begin} + ${length}")
        string(SUBSTRING "${text}" 0 ${begin} before)
        string(SUBSTRING "${text}" ${behind} -1 after)
        string(CONCAT text "${before}" "${header}" "${after}")
    endwhile()
    set(inserted "${inserted}" PARENT_SCOPE)
    set(${result} "${text}" PARENT_SCOPE)
endfunction()

# Returns the names of the kernels in a text, with a space between two of them.
function(find_kernels name text result)
    string(REGEX REPLACE "#include <[^\n]*\n" "" text "${text}") # headers of the shading language
    set(file "${OUTPUT}.${name}.txt")
    file(WRITE "${file}" "${text}")
    execute_process(COMMAND "${COMPILER}" -E -P -x c++ "${file}"
        OUTPUT_VARIABLE expanded ERROR_VARIABLE messages RESULT_VARIABLE failed)
    file(REMOVE "${file}")
    if(failed)
        message(FATAL_ERROR "${COMPILER} cannot expand the macros of ${name}:\n${messages}")
    endif()
    string(REGEX MATCHALL "kernel[ \n]+void[ \n]+[A-Za-z0-9_]+" kernels "${expanded}")
    list(TRANSFORM kernels REPLACE "kernel[ \n]+void[ \n]+" "")
    list(JOIN kernels " " kernels)
    set(${result} "${kernels}" PARENT_SCOPE)
endfunction()

set(entries "")
file(GLOB shaders "${DIRECTORY}/*.metal")
list(SORT shaders)
foreach(shader IN LISTS shaders)
    cmake_path(GET shader FILENAME name)
    set(inserted)
    read_with_lines("${name}" text)
    insert_headers("${text}" text)
    find_kernels("${name}" "${text}" kernels)
    string(APPEND entries "    {\"${name}\",\n     \"${kernels}\",\n     R\"metal(" "${text}" ")metal\"},\n")
endforeach()

file(WRITE "${OUTPUT}"
    "#include \"metal/device/shaders.h\"\n\n"
    "namespace {\n\nconstexpr mpscnn::metal::ShaderFile files[] = {\n" "${entries}" "};\n\n} // namespace\n\n"
    "std::span<const mpscnn::metal::ShaderFile> mpscnn::metal::shader_files() { return files; }\n")
