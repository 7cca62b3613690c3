#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/backend/custom_kernel.h"
#include "engine/commands/image.h"

namespace mpscnn::engine {

/// An argument for one run of a user's kernel: an image, or memory of the caller.
struct CustomArgument {
    /// Name of the parameter. An empty name means the next parameter of the same kind that no argument
    /// names.
    std::string name;
    ImagePointer image; ///< null: the argument is memory
    std::span<std::byte> bytes;
    std::string element; ///< type of the memory: "float", "half", ...; empty: untyped bytes
    bool writable = true;
};

/// The numbers of threads, and of threads in a threadgroup.
struct CustomGrid {
    /// If this has no value, there is one thread for each pixel and slice (four channels) of the last image
    /// written.
    std::optional<GridSize> threads;
    std::optional<GridSize> threadgroup;
};

/// Return the argument of each of the kernel's parameters, in their order. Throws ParameterError unless each
/// parameter has a suitable argument, and ShapeError for an image with another texture type.
std::vector<const CustomArgument *> bind_arguments(const CustomKernel &kernel,
                                                   std::span<const CustomArgument> arguments);

/// Return the number of threads of a run with these arguments. Throws ParameterError unless the grid and its
/// threadgroup are possible.
GridSize grid_for(const CustomKernel &kernel, std::span<const CustomArgument *const> arguments,
                  const CustomGrid &grid);

} // namespace mpscnn::engine
