# cpp/cpu/table_<set>.cpp instantiates the CPU kernels for one instruction set and alone gets that set's flags.

include(CheckCXXSourceCompiles)

# By the compiler, not by CMAKE_SYSTEM_PROCESSOR: that names the machine, which need not be the target.
check_cxx_source_compiles("#ifndef __x86_64__\n#error\n#endif\nint main() {}" MPSCNN_TARGET_X86_64)
check_cxx_source_compiles("#ifndef __aarch64__\n#error\n#endif\nint main() {}" MPSCNN_TARGET_ARM64)

# Removes the tables that the target processor family cannot have from `sources`, sets the others' flags and puts their
# names, best last, in `names`.
function(mpscnn_select_instruction_sets sources names)
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
    set(flags_avx2 -mavx2 -mfma -mf16c)
    set(flags_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c -mprefer-vector-width=512)
    foreach(set baseline avx2 avx512 neon)
        set(table "${PROJECT_SOURCE_DIR}/cpp/cpu/table_${set}.cpp")
        if(set IN_LIST built)
            # -O3 in debug builds too: unoptimised kernels would make every test wait.
            set_source_files_properties("${table}" PROPERTIES COMPILE_OPTIONS "-O3;${flags_${set}}")
        else()
            list(REMOVE_ITEM ${sources} "${table}")
        endif()
    endforeach()
    set(${sources} "${${sources}}" PARENT_SCOPE)
    set(${names} "${built}" PARENT_SCOPE)
endfunction()
