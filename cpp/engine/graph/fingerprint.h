#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/run/program.h"

namespace mpscnn::engine {

/// Return a hash (FNV-1a, 64 bits) of a program's outputs for inputs of these shapes that hold noise. For
/// each output it includes the extents and the bits of its numbers as float32. Every NaN counts as the same
/// number.
std::uint64_t fingerprint(const std::shared_ptr<Program> &program, const std::vector<Shape> &input_shapes,
                          int threads);

} // namespace mpscnn::engine
