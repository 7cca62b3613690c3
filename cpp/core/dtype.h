#pragma once

#include <cstddef>

namespace mpscnn {

/// Element types of tensors. The numbers are part of the C interface (mpscnn_dtype).
enum class DType { float32 = 0, float16 = 1, uint8 = 2 };

constexpr std::size_t size_of(DType type) {
    return type == DType::float32 ? 4 : type == DType::float16 ? 2 : 1;
}

constexpr const char *name_of(DType type) {
    return type == DType::float32 ? "float32" : type == DType::float16 ? "float16" : "uint8";
}

} // namespace mpscnn
