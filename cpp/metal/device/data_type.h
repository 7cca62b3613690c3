#pragma once

#include <cstddef>
#include <string>

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// A scalar type of the shading language with at most 32 bits, or a vector of two to four of them.
struct DataType {
    enum class Scalar { boolean, signed_integer, unsigned_integer, floating };

    const char *scalar_name = "";
    Scalar scalar = Scalar::floating;
    int bits = 32; ///< bits of each component
    int components = 1;

    /// Return the name in the shading language: "half", "float4".
    std::string name() const;
    /// Return the size; a vector of three takes as much as one of four.
    std::size_t bytes() const;
};

/// Return the type for Metal's number, or nullptr for structs, matrices and all other types that are not in
/// the table.
const DataType *find_data_type(MTLDataType type);

} // namespace mpscnn::metal
