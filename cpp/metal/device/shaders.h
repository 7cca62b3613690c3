#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace mpscnn::metal {

/// Return all of shaders/*.metal as one text with their headers inserted. The build generates this function.
std::string shader_source();

/// Return shaders/*.metal as a Metal library, or nothing if the build had no Metal compiler. It lives as long
/// as the program.
std::span<const std::byte> compiled_shaders();

} // namespace mpscnn::metal
