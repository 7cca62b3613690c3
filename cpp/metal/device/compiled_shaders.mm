#include "metal/device/shaders.h"

#include <cstdint>

#if defined(MPSCNN_METALLIB) // the build defines the path of the compiled shaders

// The assembler includes the file, because the compiler would take minutes for a C++ array of its bytes.
#if defined(__APPLE__)
#define MPSCNN_CONSTANTS ".section __TEXT,__const\n"
#define MPSCNN_HIDDEN ".private_extern "
#define MPSCNN_LOCAL "L"
#else
#define MPSCNN_CONSTANTS ".section .rodata\n"
#define MPSCNN_HIDDEN ".hidden "
#define MPSCNN_LOCAL ".L"
#endif

// clang-format off
__asm__(MPSCNN_CONSTANTS
        ".globl mpscnn_metallib\n"
        MPSCNN_HIDDEN "mpscnn_metallib\n"
        ".balign 64\n"
        "mpscnn_metallib:\n"
        ".incbin \"" MPSCNN_METALLIB "\"\n"
        MPSCNN_LOCAL "mpscnn_metallib_end:\n"
        ".globl mpscnn_metallib_size\n"
        MPSCNN_HIDDEN "mpscnn_metallib_size\n"
        ".balign 8\n"
        "mpscnn_metallib_size:\n"
        ".quad " MPSCNN_LOCAL "mpscnn_metallib_end - mpscnn_metallib\n"
        ".text\n");
// clang-format on

extern const std::byte metallib[] __asm__("mpscnn_metallib");
extern const std::uint64_t metallib_size __asm__("mpscnn_metallib_size");

namespace mpscnn::metal {
std::span<const std::byte> compiled_shaders() { return {metallib, static_cast<std::size_t>(metallib_size)}; }
} // namespace mpscnn::metal

#else

namespace mpscnn::metal {
std::span<const std::byte> compiled_shaders() { return {}; }
} // namespace mpscnn::metal

#endif
