# Compiles the kernels of the CPU engine, cpp/cpu/kernels/*/*.cpp, once for each instruction set, with its flags.

include(CheckCXXSourceCompiles)

# Ask the compiler for the target processor. CMAKE_SYSTEM_PROCESSOR may name the building machine instead.
check_cxx_source_compiles("#ifndef __x86_64__\n#error\n#endif\nint main() {}" MPSCNN_TARGET_X86_64)
check_cxx_source_compiles("#ifndef __aarch64__\n#error\n#endif\nint main() {}" MPSCNN_TARGET_ARM64)

set(MPSCNN_INSTRUCTION_SETS "all" CACHE STRING
    "Instruction sets to build kernels for: all, native (this machine's best), or a list")

# Sets `result` to the set of `built` that this machine uses, the best one. Sets `extensions` to the sets with special
# instructions that this machine has. All sets are used if this machine says nothing about the machine that will run the
# library, and `extensions` is "all" then: in a cross build, if the program below does not run, and without AVX2, because
# a processor without it is usually an emulated one. A machine that lacks the set cannot run the library's kernels, and
# the library says so (missing_kernels() in cpp/cpu/isa/kernels.h).
function(mpscnn_native_sets built result extensions)
    set(${result} ${built} PARENT_SCOPE)
    set(${extensions} all PARENT_SCOPE)
    if(NOT avx2 IN_LIST built OR CMAKE_CROSSCOMPILING)
        return()
    endif()
    if(CMAKE_OSX_ARCHITECTURES AND NOT CMAKE_OSX_ARCHITECTURES STREQUAL CMAKE_HOST_SYSTEM_PROCESSOR)
        return()
    endif()
    set(CMAKE_CXX_STANDARD 20)
    set(CMAKE_CXX_STANDARD_REQUIRED ON)
    try_run(MPSCNN_NATIVE_SETS_STATUS MPSCNN_NATIVE_SETS_COMPILED
        "${PROJECT_BINARY_DIR}/native_sets" "${PROJECT_SOURCE_DIR}/cmake/native_sets.cpp"
        CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${PROJECT_SOURCE_DIR}/cpp"
        RUN_OUTPUT_VARIABLE found)
    if(DEFINED found) # a later configuration does not run the program again
        set(MPSCNN_NATIVE_SETS_FOUND "${found}" CACHE INTERNAL "Instruction sets of this machine")
    endif()
    foreach(best IN ITEMS avx512 avx2)
        if(MPSCNN_NATIVE_SETS_COMPILED AND MPSCNN_NATIVE_SETS_STATUS EQUAL 0 AND best IN_LIST MPSCNN_NATIVE_SETS_FOUND)
            set(${result} ${best} PARENT_SCOPE)
            set(${extensions} ${MPSCNN_NATIVE_SETS_FOUND} PARENT_SCOPE)
            return()
        endif()
    endforeach()
endfunction()

# Adds an object library mpscnn_kernels_<set> for each instruction set of the target processor family. Sets `objects` to
# their objects, `names` to the names of the sets that users can choose, the best one last, and `compiled` to the names of
# all sets, including those with special instructions.
function(mpscnn_add_kernels objects names compiled)
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
    set(extensions all)
    if(MPSCNN_INSTRUCTION_SETS STREQUAL "native")
        mpscnn_native_sets("${built}" built extensions)
    elseif(MPSCNN_INSTRUCTION_SETS AND NOT MPSCNN_INSTRUCTION_SETS STREQUAL "all")
        foreach(set IN LISTS MPSCNN_INSTRUCTION_SETS)
            if(NOT set IN_LIST built)
                message(FATAL_ERROR "MPSCNN_INSTRUCTION_SETS names '${set}'; this target has ${built}; or say all, or native.")
            endif()
        endforeach()
        set(chosen)
        foreach(set IN LISTS built)
            if(set IN_LIST MPSCNN_INSTRUCTION_SETS)
                list(APPEND chosen ${set})
            endif()
        endforeach()
        set(built ${chosen})
    endif()
    message(STATUS "Instruction sets of the CPU engine's kernels: ${built}")
    set(flags_avx2 -mavx2 -mfma -mf16c)
    set(flags_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c -mprefer-vector-width=512)
    file(GLOB instances CONFIGURE_DEPENDS cpp/cpu/kernels/*/*.cpp)
    list(FILTER instances EXCLUDE REGEX "/extensions/|/integer_tiles[.]cpp$")
    # These are half of all kernels. Their code states which loops are unrolled, so they do not need -O3.
    set(convolution_flags -O2)
    if(MPSCNN_TARGET_ARM64 AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
        # Otherwise GCC would load factors so early that the sums no longer fit into the registers.
        list(APPEND convolution_flags -fno-schedule-insns)
    endif()
    set_source_files_properties(cpp/cpu/kernels/convolution/convolution.cpp PROPERTIES COMPILE_OPTIONS "${convolution_flags}")
    set_source_files_properties(cpp/cpu/kernels/integers/integer_convolution.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    # Sets for bf16 dot products, by special instructions of the processor or by FMAs.
    set(bfloat16_of_avx2 avx2_bf16)
    set(bfloat16_of_avx512 avx512_fma_bf16 avx512_bf16 amx_bf16)
    set(bfloat16_of_neon neon_bf16)
    set(flags_avx2_bf16 ${flags_avx2})
    set(flags_avx512_fma_bf16 ${flags_avx512})
    set(flags_avx512_bf16 ${flags_avx512} -mavx512bf16)
    set(flags_amx_bf16 ${flags_avx512_bf16}) # AMX instructions are written in inline assembly
    set(flags_amx_model_bf16 ${flags_avx512})
    set(flags_neon_bf16 -march=armv8.2-a+bf16)
    set(bfloat16_instances cpp/cpu/kernels/extensions/bfloat16.cpp)
    # Destructors restore settings of the thread. With exceptions, they would need functions of the C++ library.
    set_source_files_properties(${bfloat16_instances} PROPERTIES COMPILE_OPTIONS "${convolution_flags};-fno-exceptions")
    # Sets for dot products of bytes: by special instructions of the processor, or in pairs (avx2_quads).
    set(flags_avx512_vnni ${flags_avx512} -mavx512vnni)
    set(flags_amx_int8 ${flags_avx512_vnni})
    set(flags_amx_model_int8 ${flags_avx512_vnni})
    set(flags_avx2_quads ${flags_avx2})
    set(flags_avx2_vnni ${flags_avx2} -mavxvnni)
    set(flags_avx2_model_vnni ${flags_avx2} -mavx512f -mavx512vl -mavx512vnni)
    set(flags_neon_dot -march=armv8.2-a+dotprod)
    set(flags_neon_i8mm -march=armv8.2-a+dotprod+i8mm)
    set(integers_of_avx2 avx2_quads avx2_vnni)
    set(integers_of_avx512 avx512_vnni amx_int8)
    set(integers_of_neon neon_dot neon_i8mm)
    # Sets for sums in float16, by special instructions of the processor.
    set(flags_avx512_fp16 ${flags_avx512} -mavx512fp16)
    set(flags_neon_fp16 -march=armv8.2-a+fp16)
    set(halves_of_avx512 avx512_fp16)
    set(halves_of_neon neon_fp16)
    set(libraries ${built})
    foreach(set IN LISTS built)
        foreach(extension IN LISTS bfloat16_of_${set} integers_of_${set} halves_of_${set})
            if(extensions STREQUAL "all" OR extension IN_LIST extensions)
                list(APPEND libraries ${extension})
            endif()
        endforeach()
    endforeach()
    set(${compiled} "${libraries}" PARENT_SCOPE)
    if(MPSCNN_BUILD_TESTS AND avx2 IN_LIST built AND avx512 IN_LIST built)
        list(APPEND libraries amx_model_bf16 amx_model_int8 avx2_model_vnni) # only tests link these objects
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
        elseif(set MATCHES "_(vnni|quads|dot|i8mm)$")
            add_library(${library} OBJECT cpp/cpu/kernels/integers/integer_convolution.cpp)
        elseif(set MATCHES "_fp16$")
            add_library(${library} OBJECT cpp/cpu/kernels/extensions/half_instructions.cpp)
        elseif(set MATCHES "_int8$")
            add_library(${library} OBJECT cpp/cpu/kernels/integers/integer_tiles.cpp)
        else()
            add_library(${library} OBJECT ${instances})
        endif()
        target_include_directories(${library} PRIVATE cpp .)
        # In unity builds several files are compiled together, because the headers of vectors take most of a small file's
        # time. CMake compiles files with their own options separately.
        set_target_properties(${library} PROPERTIES POSITION_INDEPENDENT_CODE ON UNITY_BUILD_BATCH_SIZE 20)
        mpscnn_compile_options(${library})
        target_compile_definitions(${library} PRIVATE MPSCNN_SET=${set}
                                   "MPSCNN_SIMD_HEADER=\"${directory}/simd_${set}.h\"")
        # Kernels are optimised in debug builds, too, because other kernels would make every test wait. Those for old
        # x86-64 processors are optimised for size, except for the convolutions, which have their own options.
        # Without -fno-math-errno, a square root calls the C library for negative numbers, which sets errno.
        set(level -O3)
        if(set STREQUAL baseline)
            set(level -Os)
        endif()
        target_compile_options(${library} PRIVATE ${level} -fno-math-errno ${flags_${set}})
        if(MPSCNN_SANITIZE MATCHES "undefined")
            # Checks of pointer sums make compilation ten times slower, and AddressSanitizer checks the accesses.
            target_compile_options(${library} PRIVATE -fno-sanitize=pointer-overflow)
        endif()
        if(NOT set MATCHES "model")
            list(APPEND all "$<TARGET_OBJECTS:${library}>")
        endif()
    endforeach()
    set(${objects} "${all}" PARENT_SCOPE)
    if(amx_bf16 IN_LIST libraries)
        list(APPEND built amx) # AVX-512 with AMX for dot products of bf16 and bytes
    endif()
    set(${names} "${built}" PARENT_SCOPE)
endfunction()
