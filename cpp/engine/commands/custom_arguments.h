#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/commands/custom_kernel.h"
#include "engine/commands/image.h"

namespace mpscnn::engine {

/// An argument of a custom kernel for one encode: an image or memory of the caller's.
struct CustomArgument {
    std::string name;   ///< of its parameter; empty: the next one of its kind that has no argument by name
    ImagePointer image; ///< or:
    std::span<std::byte> bytes;
    std::string element; ///< of the memory: "float", "half", ...; empty: bytes of any meaning
    bool writable = true;
};

/// Threads, and threads of a threadgroup.
struct CustomGrid {
    std::optional<GridSize> threads; ///< nothing: one for each pixel of each slice of the last image written
    std::optional<GridSize> threadgroup;
};

/// The argument of each of the kernel's parameters, in their order. Throws ParameterError unless each has one
/// that it can take, and ShapeError for an image of another kind of texture.
std::vector<const CustomArgument *> bind_arguments(const CustomKernel &kernel,
                                                   std::span<const CustomArgument> arguments);

/// Threads of a run with these arguments. Throws ParameterError unless the grid and its threadgroup are
/// possible.
GridSize grid_for(const CustomKernel &kernel, std::span<const CustomArgument *const> arguments,
                  const CustomGrid &grid);

} // namespace mpscnn::engine
