# The kernels of the CPU engine, cpp/cpu/kernels/*.cpp, are compiled once for each instruction set, alone with its flags.

include(CheckCXXSourceCompiles)

# By the compiler, not by CMAKE_SYSTEM_PROCESSOR: that names the machine, which need not be the target.
check_cxx_source_compiles("#ifndef __x86_64__\n#error\n#endif\nint main() {}" MPSCNN_TARGET_X86_64)
check_cxx_source_compiles("#ifndef __aarch64__\n#error\n#endif\nint main() {}" MPSCNN_TARGET_ARM64)

set(MPSCNN_INSTRUCTION_SETS "" CACHE STRING "Instruction sets to build kernels for, the first one of the target among them (default: all)")

# Adds an object library mpscnn_kernels_<set> for each instruction set of the target processor family. Puts their objects
# in `objects` and the sets' names, best last, in `names`.
function(mpscnn_add_kernels objects names)
    list(LENGTH CMAKE_OSX_ARCHITECTURES architectures)
    if(architectures GREATER 1)
        message(FATAL_ERROR "mpscnn is built for one architecture at a time, CMAKE_OSX_ARCHITECTURES is "
                            "'${CMAKE_OSX_ARCHITECTURES}'. Join two builds with lipo.")
    endif()
    if(MPSCNN_TARGET_X86_64)
        set(built baseline avx2 avx512)
    elseif(MPSCNN_TARGET_ARM64)
        set(built neon)
    else()
        message(FATAL_ERROR "mpscnn has CPU kernels for x86-64 and arm64, not for ${CMAKE_SYSTEM_PROCESSOR}.")
    endif()
    if(MPSCNN_INSTRUCTION_SETS)
        foreach(set IN LISTS MPSCNN_INSTRUCTION_SETS)
            if(NOT set IN_LIST built)
                message(FATAL_ERROR "MPSCNN_INSTRUCTION_SETS names '${set}'; this target has ${built}.")
            endif()
        endforeach()
        list(GET built 0 needed) # what every processor of the target has
        if(NOT needed IN_LIST MPSCNN_INSTRUCTION_SETS)
            message(FATAL_ERROR "MPSCNN_INSTRUCTION_SETS must hold ${needed}, it is '${MPSCNN_INSTRUCTION_SETS}'.")
        endif()
        set(chosen)
        foreach(set IN LISTS built)
            if(set IN_LIST MPSCNN_INSTRUCTION_SETS)
                list(APPEND chosen ${set})
            endif()
        endforeach()
        set(built ${chosen})
    endif()
    set(flags_avx2 -mavx2 -mfma -mf16c)
    set(flags_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c -mprefer-vector-width=512)
    file(GLOB instances CONFIGURE_DEPENDS cpp/cpu/kernels/*.cpp)
    list(FILTER instances EXCLUDE REGEX "/bfloat16[.]cpp$")
    # Half of all kernels, which say themselves what is unrolled.
    set(convolution_flags -O2)
    if(MPSCNN_TARGET_ARM64 AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
        # GCC would load factors so early that sums no longer fit the registers.
        list(APPEND convolution_flags -fno-schedule-insns)
    endif()
    set_source_files_properties(cpp/cpu/kernels/convolution.cpp PROPERTIES COMPILE_OPTIONS "${convolution_flags}")
    # Of square roots the processor's instruction alone; otherwise a call of the C library for negative numbers' errno.
    set_source_files_properties(cpp/cpu/kernels/group_gradient.cpp PROPERTIES COMPILE_OPTIONS -fno-math-errno)
    # For products of bfloat16 numbers, by the instructions that a processor has for them or by FMAs.
    set(bfloat16_of_avx2 avx2_bf16)
    set(bfloat16_of_avx512 avx512_fma_bf16 avx512_bf16 amx_bf16)
    set(bfloat16_of_neon neon_bf16)
    set(flags_avx2_bf16 ${flags_avx2})
    set(flags_avx512_fma_bf16 ${flags_avx512})
    set(flags_avx512_bf16 ${flags_avx512} -mavx512bf16)
    set(flags_amx_bf16 ${flags_avx512_bf16}) # its own instructions are written in assembler
    set(flags_amx_model_bf16 ${flags_avx512})
    set(flags_neon_bf16 -march=armv8.2-a+bf16)
    set(bfloat16_instances cpp/cpu/kernels/bfloat16.cpp)
    # Settings of the thread return in destructors, for which exceptions would need functions of the C++ library.
    set_source_files_properties(${bfloat16_instances} PROPERTIES COMPILE_OPTIONS "${convolution_flags};-fno-exceptions")
    # Processors with AVX512_VNNI multiply integers by it.
    set(flags_avx512_vnni ${flags_avx512} -mavx512vnni)
    set(vnni_instances cpp/cpu/kernels/integer_convolution.cpp)
    set(libraries ${built})
    if(avx512 IN_LIST built)
        list(APPEND libraries avx512_vnni)
    endif()
    foreach(set IN LISTS built)
        list(APPEND libraries ${bfloat16_of_${set}})
    endforeach()
    if(MPSCNN_BUILD_TESTS AND avx512 IN_LIST built)
        list(APPEND libraries amx_model_bf16) # for a test alone, which takes its objects
    endif()
    foreach(set IN LISTS libraries)
        set(library "mpscnn_kernels_${set}")
        set(directory cpu/isa)
        if(set MATCHES "model")
            set(library "mpscnn_test_kernels_${set}")
            set(directory tests/cpp)
        endif()
        if(set MATCHES "_bf16$")
            add_library(${library} OBJECT ${bfloat16_instances})
        elseif(set MATCHES "_vnni$")
            add_library(${library} OBJECT ${vnni_instances})
        else()
            add_library(${library} OBJECT ${instances})
        endif()
        target_include_directories(${library} PRIVATE cpp .)
        # Each file alone in unity builds, too: they are long, and the compiler cache knows them from other builds.
        set_target_properties(${library} PROPERTIES POSITION_INDEPENDENT_CODE ON UNITY_BUILD OFF)
        mpscnn_compile_options(${library})
        target_compile_definitions(${library} PRIVATE MPSCNN_SET=${set}
                                   "MPSCNN_SIMD_HEADER=\"${directory}/simd_${set}.h\"")
        # Optimised in debug builds too: other kernels would make every test wait.
        target_compile_options(${library} PRIVATE -O3 ${flags_${set}})
        if(NOT set MATCHES "model")
            list(APPEND all "$<TARGET_OBJECTS:${library}>")
        endif()
    endforeach()
    set(${objects} "${all}" PARENT_SCOPE)
    if(avx512 IN_LIST built) # with other products of bfloat16 numbers
        list(APPEND built amx)
    endif()
    set(${names} "${built}" PARENT_SCOPE)
endfunction()
