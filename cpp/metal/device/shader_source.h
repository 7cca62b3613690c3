#pragma once

#include <string>

namespace mpscnn::metal {

/// All of shaders/*.metal with their headers inserted; the build writes it.
std::string shader_source();

} // namespace mpscnn::metal
