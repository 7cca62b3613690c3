#pragma once

#include <cstddef>
#include <span>

namespace mpscnn::metal {

/// shaders/*.metal as a Metal library; empty where the build had no Metal compiler. Lives as long as the
/// program.
std::span<const std::byte> compiled_shaders();

} // namespace mpscnn::metal
