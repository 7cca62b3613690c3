# Runs a command of Metal's tools that writes OUTPUT. If the command fails, OUTPUT becomes an empty file and a warning says
# so, unless REQUIRED is true. Inputs that are empty files, which failed before, are left out of the command. Without any
# other input the command is not run.
#
#   cmake -DOUTPUT=neuron.air -DREQUIRED=OFF -P compile_shaders.cmake -- xcrun -sdk macosx metal -c neuron.metal -o neuron.air

cmake_minimum_required(VERSION 3.21)

set(command)
set(inputs 0)
set(is_command FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(number RANGE ${last})
    set(word "${CMAKE_ARGV${number}}")
    if(NOT is_command)
        if(word STREQUAL "--")
            set(is_command TRUE)
        endif()
        continue()
    endif()
    if(word MATCHES "\\.(air|metal)$" AND NOT word STREQUAL OUTPUT)
        file(SIZE "${word}" size)
        if(size EQUAL 0)
            continue()
        endif()
        math(EXPR inputs "${inputs} + 1")
    endif()
    list(APPEND command "${word}")
endforeach()

cmake_path(GET OUTPUT PARENT_PATH folder)
file(MAKE_DIRECTORY "${folder}")
set(result "there is no input")
if(inputs GREATER 0)
    execute_process(COMMAND ${command} RESULT_VARIABLE result ERROR_VARIABLE messages)
    if(result EQUAL 0)
        if(messages)
            message(NOTICE "${messages}") # the compiler's warnings
        endif()
        return()
    endif()
endif()
if(REQUIRED)
    message(FATAL_ERROR "Metal's tools cannot make ${OUTPUT} (${result}):\n${messages}")
endif()
message(WARNING "Metal's tools cannot make ${OUTPUT} (${result}), so mpscnn will compile these shaders at first use of a "
    "device:\n${messages}")
file(WRITE "${OUTPUT}" "")
