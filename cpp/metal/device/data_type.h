#pragma once

#include <cstddef>
#include <string>

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// A scalar type of the shading language, or a vector of two to four of them.
struct DataType {
    enum class Scalar { boolean, signed_integer, unsigned_integer, floating };

    const char *scalar_name = "";
    Scalar scalar = Scalar::floating;
    int bits = 32; ///< of a component
    int components = 1;

    /// "half", "float4"
    std::string name() const;
    /// A vector of three takes the room of four.
    std::size_t bytes() const;
};

/// nullptr for structs, matrices and whatever else has no such type.
const DataType *find_data_type(MTLDataType type);

} // namespace mpscnn::metal
