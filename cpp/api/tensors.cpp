#include "api/tensors.h"

#include <algorithm>
#include <cstdint>
#include <memory>

#include "core/error.h"
#include "core/page_memory.h"
#include "engine/run/tensor_copy.h"

namespace mpscnn::c_api {

DType dtype_of(std::int32_t dtype, const char *what) {
    switch (dtype) {
    case MPSCNN_FLOAT32:
        return DType::float32;
    case MPSCNN_FLOAT16:
        return DType::float16;
    case MPSCNN_UINT8:
        return DType::uint8;
    case MPSCNN_FLOAT64:
        return DType::float64;
    case MPSCNN_INT32:
        return DType::int32;
    default:
        fail(ErrorKind::parameter,
             {what, ": unknown dtype ", dtype,
              "; known are MPSCNN_FLOAT32, MPSCNN_FLOAT16, MPSCNN_UINT8, MPSCNN_FLOAT64 and MPSCNN_INT32"});
    }
}

namespace {

bool without_strides(const mpscnn_tensor &tensor) {
    return std::all_of(tensor.strides, tensor.strides + tensor.rank,
                       [](std::int64_t stride) { return stride == 0; });
}

/// Throws ShapeError unless the bytes of a tensor fit 64 bits. Extents of 0 count as 1, since strides are
/// products of the other extents.
void require_addressable(const Shape &shape, DType type, const char *what) {
    auto bytes = static_cast<std::ptrdiff_t>(size_of(type));
    for (const std::int64_t extent : shape)
        if (__builtin_mul_overflow(bytes, std::max<std::int64_t>(extent, 1), &bytes))
            fail(ErrorKind::shape, {what, ": shape ", shape.text(), " is larger than any memory"});
}

void require_aligned(const engine::TensorView &view, const char *what) {
    const auto bytes = static_cast<std::ptrdiff_t>(size_of(view.type));
    const bool aligned_data =
        reinterpret_cast<std::uintptr_t>(view.data) % static_cast<std::size_t>(bytes) == 0;
    const bool aligned_strides = std::all_of(view.strides.begin(), view.strides.begin() + view.shape.rank(),
                                             [&](std::ptrdiff_t stride) { return stride % bytes == 0; });
    if (!aligned_data || !aligned_strides)
        fail(ErrorKind::parameter,
             {what, ": data and strides must be aligned to the ", bytes, " bytes of an element"});
}

engine::WeightType weight_type_of(DType type, const std::string &what) {
    switch (type) {
    case DType::float16:
        return engine::WeightType::float16;
    case DType::uint8:
        return engine::WeightType::uint8;
    case DType::int32:
        return engine::WeightType::int32;
    case DType::float32:
        return engine::WeightType::float32;
    case DType::float64:
        break;
    }
    fail(ErrorKind::shape,
         {what, ": expected float32, float16, uint8 or int32 elements, got ", name_of(type)});
}

} // namespace

Shape shape_of(const std::int64_t *extents, int rank, const char *what) {
    if (rank < 0 || rank > Shape::max_rank)
        fail(ErrorKind::shape, {what, ": the rank must be 0 to ", Shape::max_rank, ", got ", rank});
    return Shape(std::span(extents, static_cast<std::size_t>(rank)));
}

Shape shape_of(const mpscnn_tensor &tensor, const char *what) {
    return shape_of(tensor.shape, tensor.rank, what);
}

void give_shape(const Shape &shape, std::int64_t extents[MPSCNN_MAX_RANK], int *rank) {
    std::copy(shape.begin(), shape.end(), extents);
    *rank = shape.rank();
}

engine::TensorView view_of(const mpscnn_tensor &tensor, const char *what) {
    const DType type = dtype_of(tensor.dtype, what);
    const Shape shape = shape_of(tensor, what);
    if (!shape.fixed()) fail(ErrorKind::shape, {what, ": extents must not be negative, got ", shape.text()});
    require_addressable(shape, type, what);
    engine::TensorView view = engine::TensorView::dense(tensor.data, type, shape);
    if (!without_strides(tensor)) std::copy_n(tensor.strides, shape.rank(), view.strides.begin());
    require_aligned(view, what);
    if (shape.elements() > 0 && !view.memory_range())
        fail(ErrorKind::parameter, {what, ": the strides lead beyond the ends of memory"});
    return view;
}

namespace {

/// Allocate memory for a weight. Large weights get separate pages, which return to the system as soon as they
/// are freed; an allocator may keep freed memory.
std::shared_ptr<std::byte> memory_of_weight(std::size_t bytes) {
    constexpr std::size_t large = std::size_t{4} << 20;
    if (bytes >= large) {
        const std::shared_ptr<PageMemory> pages = PageMemory::allocate(bytes);
        return {pages, pages->data()};
    }
    const std::shared_ptr<std::byte[]> memory(new std::byte[bytes]);
    return {memory, memory.get()};
}

} // namespace

engine::WeightTensor weight_of(const mpscnn_tensor &tensor, const std::string &what) {
    const engine::TensorView view = view_of(tensor, what.c_str());
    if (!view.data) fail(ErrorKind::parameter, {what, ": data must not be NULL"});
    const std::size_t bytes = static_cast<std::size_t>(view.shape.elements()) * size_of(view.type);
    const std::shared_ptr<std::byte> copy = memory_of_weight(bytes);
    engine::copy_elements(view, engine::TensorView::dense(copy.get(), view.type, view.shape));
    return {view.shape, weight_type_of(view.type, what), copy};
}

} // namespace mpscnn::c_api
