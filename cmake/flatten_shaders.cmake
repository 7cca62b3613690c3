# Writes OUTPUT, a C++ file with the text of all DIRECTORY/*.metal and of the headers that they include: Metal compiles
# source at run time without a file system to find headers in.
#
#   cmake -DOUTPUT=shader_source.cpp -DDIRECTORY=shaders -P flatten_shaders.cmake

cmake_minimum_required(VERSION 3.21)

set(inserted)

# Puts headers in the place of the first `#include "..."` until there is none; each header once.
function(insert_headers text result)
    while(text MATCHES "#include \"([^\"]+)\"\n")
        set(line "${CMAKE_MATCH_0}")
        set(name "${CMAKE_MATCH_1}")
        set(header "")
        if(NOT name IN_LIST inserted)
            list(APPEND inserted "${name}")
            file(READ "${DIRECTORY}/${name}" header)
            string(REPLACE "#pragma once\n" "" header "${header}")
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
    file(READ "${shader}" text)
    insert_headers("${text}" text)
    string(APPEND source "${text}")
endforeach()

file(WRITE "${OUTPUT}"
    "#include \"metal/shader_source.h\"\n\n"
    "std::string mpscnn::metal::shader_source() {\n    return R\"metal(" "${source}" ")metal\";\n}\n")
