#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "metal/arrays/array_program.h"

namespace mpscnn::metal {

/// The extents of a matrix product: the rows and columns of the result, and the length of the sums.
struct ProductExtents {
    std::int64_t rows, columns, depths;

    /// Return the number of tiles of a kernel whose tiles have `tile` rows and columns.
    std::int64_t tiles(std::int64_t tile) const;
    /// Return whether the layer has few pixels and long sums. Then tiles of 64 x 64 would leave most cores of
    /// a GPU idle (shaders/array_small_product.h).
    bool is_small() const;
};

/// The role of weights in the order that the kernels for few pixels read.
inline constexpr const char *packed_role = "packed weight";

/// Return weights, whose order is [column][depth], in the order that shaders/array_small_product.h defines.
std::vector<float> packed_weights(const std::vector<float> &weights, std::int64_t columns,
                                  std::int64_t depths);

/// Return the variant in simdgroups of a product shader, or nothing if the device may not use it.
std::optional<std::string> variant_in_simdgroups(const ArrayProgram &program, const std::string &shader,
                                                 NeuronKind activation);

/// Return the kernel for a small product instead of `shader`. Return nothing if the product is not small, has
/// no packed weights, or if the device may not use the kernel.
std::optional<std::string> small_product(const ArrayProgram &program, const std::string &shader,
                                         const ProductExtents &extents, NeuronKind activation);

} // namespace mpscnn::metal
