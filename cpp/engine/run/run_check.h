#pragma once

#include <span>

#include "engine/run/program.h"

namespace mpscnn::engine {

/// Throws unless inputs and outputs have element types that networks support.
void check_elements(const Program &program, std::span<const TensorView> inputs,
                    std::span<const TensorView> outputs);

/// Throws unless the outputs have the planned shapes and overlap neither each other nor an input.
void check_outputs(const Program &program, const Program::Planned &planned,
                   std::span<const TensorView> inputs, std::span<const TensorView> outputs);

} // namespace mpscnn::engine
