#pragma once

#include <cstddef>

namespace mpscnn {

/// Element types of tensors. The numbers are part of the C interface (mpscnn_dtype).
enum class DType {
    float32 = 0,
    float16 = 1,
    uint8 = 2,
    float64 = 3, ///< for signals only
    int32 = 4    ///< for weights only, with scales and zero points like uint8
};

constexpr std::size_t size_of(DType type) {
    switch (type) {
    case DType::float64:
        return 8;
    case DType::float32:
    case DType::int32:
        return 4;
    case DType::float16:
        return 2;
    case DType::uint8:
        break;
    }
    return 1;
}

constexpr const char *name_of(DType type) {
    switch (type) {
    case DType::float64:
        return "float64";
    case DType::float32:
        return "float32";
    case DType::int32:
        return "int32";
    case DType::float16:
        return "float16";
    case DType::uint8:
        break;
    }
    return "uint8";
}

} // namespace mpscnn
