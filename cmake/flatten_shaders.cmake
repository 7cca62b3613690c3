# Writes OUTPUT, a C++ file with the text of all DIRECTORY/*.metal and of the headers that they include: Metal compiles
# source at run time without a file system to find headers in. `#line` directives let its messages name the files and
# lines of DIRECTORY.
#
#   cmake -DOUTPUT=shader_source.cpp -DDIRECTORY=shaders -P flatten_shaders.cmake

cmake_minimum_required(VERSION 3.21)

set(inserted)

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

set(source "")
file(GLOB shaders "${DIRECTORY}/*.metal")
list(SORT shaders)
foreach(shader IN LISTS shaders)
    cmake_path(GET shader FILENAME name)
    read_with_lines("${name}" text)
    insert_headers("${text}" text)
    string(APPEND source "${text}")
endforeach()

file(WRITE "${OUTPUT}"
    "#include \"metal/device/shaders.h\"\n\n"
    "std::string mpscnn::metal::shader_source() {\n    return R\"metal(" "${source}" ")metal\";\n}\n")
