#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/run/program.h"

namespace mpscnn::engine {

/// Run a program on inputs of noise with these shapes, and return a hash (FNV-1a, 64 bits) of its outputs.
/// For each output the hash includes the extents and the bits of its numbers as float32. Every NaN counts as
/// the same number.
std::uint64_t fingerprint(const std::shared_ptr<Program> &program, const std::vector<Shape> &input_shapes,
                          int threads);

} // namespace mpscnn::engine
