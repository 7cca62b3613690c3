// The interface between compiled shader libraries and the emulation of Metal. Both include it.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace msl {

constexpr int max_buffers = 31;
constexpr int max_textures = 128;
constexpr int max_threadgroup_arguments = 31;

/// A violation that only shows while a kernel runs. Its visibility lets other shared objects catch it.
struct __attribute__((visibility("default"))) Fault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class ChannelType { unorm8, unorm16, float16, float32, uint8, uint16, uint32, sint32 };

/// A texture's memory: rows of pixels with `components` channels each.
struct TextureView {
    unsigned char *pixels;
    bool is_array;
    unsigned width;
    unsigned height;
    unsigned slices;
    std::size_t row_bytes;
    std::size_t slice_bytes;
    ChannelType channel_type;
    int components;
    bool blue_first; ///< blue, green, red, alpha in memory
};

enum class ArgumentKind { buffer, texture, threadgroup, builtin };

/// A parameter of a kernel.
struct Argument {
    ArgumentKind kind;
    int index;
    /// Buffers and threadgroup memory: size of the type that the parameter points to. Builtins: size of one
    /// component.
    std::size_t size;
    std::size_t alignment;
    /// True for buffers of a non-const type, textures with access::write, and threadgroup memory.
    bool written;
    bool is_array;
    /// The MTLDataType of the type that a buffer's parameter points to, or of a texture's channels.
    int data_type;
};

struct Bindings {
    void *buffers[max_buffers];
    std::size_t buffer_length[max_buffers]; ///< bytes from the bound address to the buffer's end
    const TextureView *textures[max_textures];
    void *threadgroup[max_threadgroup_arguments];
    std::size_t threadgroup_length[max_threadgroup_arguments];
};

/// A dispatch. If `threads` is not a multiple of `group_size`, the last groups are smaller.
struct Grid {
    unsigned threads[3];
    unsigned groups[3];
    unsigned group_size[3];
    unsigned simd_width;
    bool has_matrices; ///< true if the device multiplies matrices in simdgroups
    /// Run the last thread and the last group first. The results of a kernel that depends on the order, or
    /// lacks a barrier, then change.
    bool reverse;
};

struct Kernel {
    const char *name;
    const Argument *arguments;
    const char *const *argument_names;
    int argument_count;
    /// True if the kernel waits at barriers.
    bool cooperative;
    void (*run)(const Bindings &bindings, const Grid &grid);
};

/// A value that is set when a function is taken from its library. It is a global variable of the program.
struct FunctionConstant {
    int index;
    const char *name;
    int data_type; // an MTLDataType
    std::size_t size;
    void *address;
};

/// One translation unit.
struct Program {
    const Kernel *kernels;
    int kernel_count;
    const FunctionConstant *constants;
    int constant_count;
    const char *file; ///< the name of its source file
};

struct Library {
    int version;
    const Program *const *programs;
    int program_count;
};
constexpr int library_version = 5;

} // namespace msl
