#pragma once

#include <cstddef>
#include <span>

namespace mpscnn::metal {

/// A file of shaders/ as Metal compiles it at run time. Each file becomes a library of its own, so an error
/// of the compiler costs the functions of one file.
struct ShaderFile {
    const char *name;      ///< "neuron.metal"
    const char *functions; ///< names of its kernels, with a space between two of them
    const char *source;    ///< its text, in which headers replace their #include lines
};

/// Return all of shaders/*.metal. The build generates this function.
std::span<const ShaderFile> shader_files();

/// Return shaders/*.metal as a Metal library, or nothing if the build had no Metal compiler. Files that did
/// not compile are not in it. It lives as long as the program.
std::span<const std::byte> compiled_shaders();

} // namespace mpscnn::metal
