#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace mpscnn::metal {

/// All of shaders/*.metal with their headers inserted; the build writes it.
std::string shader_source();

/// shaders/*.metal as a Metal library; empty where the build had no Metal compiler. Lives as long as the
/// program.
std::span<const std::byte> compiled_shaders();

} // namespace mpscnn::metal
