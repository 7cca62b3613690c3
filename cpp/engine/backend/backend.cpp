#include "engine/backend/backend.h"

#include <cstdint>

#include "core/text.h"
#include "engine/backend/custom_kernel.h"
#include "engine/backend/native_run.h"

namespace mpscnn::engine {

const char *name_of(MetalKernels kernels) { return kernels == MetalKernels::own ? "own" : "mps"; }

const char *name_of(Precision precision) {
    switch (precision) {
    case Precision::float32:
        return "float32";
    case Precision::float16:
        return "float16";
    case Precision::bfloat16:
        return "bfloat16";
    case Precision::int8:
        break;
    }
    return "int8";
}

TensorView TensorView::dense(void *data, DType type, const Shape &shape) {
    TensorView view{data, type, shape, {}};
    auto stride = static_cast<std::ptrdiff_t>(size_of(type));
    for (int axis = shape.rank(); axis-- > 0;) {
        view.strides[static_cast<std::size_t>(axis)] = stride;
        stride *= shape[axis];
    }
    return view;
}

std::optional<MemoryRange> TensorView::memory_range() const {
    auto first = reinterpret_cast<std::uintptr_t>(data), last = first;
    for (int axis = 0; axis < shape.rank(); ++axis) {
        std::ptrdiff_t reach = 0;
        if (__builtin_mul_overflow(shape[axis] - 1, strides[static_cast<std::size_t>(axis)], &reach))
            return std::nullopt;
        std::uintptr_t &end = reach < 0 ? first : last;
        if (__builtin_add_overflow(end, reach, &end)) return std::nullopt;
    }
    if (__builtin_add_overflow(last, size_of(type), &last) || last - first > PTRDIFF_MAX) return std::nullopt;
    return MemoryRange{first, last};
}

bool TensorView::is_dense() const {
    const TensorView wanted = dense(data, type, shape);
    for (int axis = 0; axis < shape.rank(); ++axis) {
        const auto i = static_cast<std::size_t>(axis);
        if (shape[axis] > 1 && strides[i] != wanted.strides[i]) return false;
    }
    return true;
}

ExecutionProfile Executor::profile(const Plan &, std::span<const TensorView>, std::span<const TensorView>,
                                   int) {
    fail(ErrorKind::unsupported,
         "profile: steps are measured only if one device computes all layers, without custom layers");
}

Json Plan::explain(int) const {
    fail(ErrorKind::unsupported,
         "explain: only the CPU engine explains how layers are computed, and only without custom layers; "
         "compile for device \"cpu\"");
}

void require_plan_shapes(const char *role, const std::vector<Shape> &expected,
                         std::span<const TensorView> given) {
    if (given.size() != expected.size())
        fail(ErrorKind::shape, {"the plan has ", expected.size(), " ", role, "s, got ", given.size()});
    for (std::size_t i = 0; i < given.size(); ++i)
        if (!(given[i].shape == expected[i]))
            fail(ErrorKind::shape, {role, " ", i, ": the plan is for shape ", expected[i].text(), ", got ",
                                    given[i].shape.text()});
}

void Backend::convolve(const ops::SignalConvolution &, const TensorView &, const TensorView &,
                       const TensorView &) const {
    fail(ErrorKind::unsupported, {"signal_convolution: not done by ", quoted(name()), "; use the CPU"});
}

const Implementations &Backend::implementations() const {
    static const Implementations all;
    return all;
}

std::shared_ptr<const CustomKernel> Backend::compile(const CustomKernelSource &) const {
    fail(ErrorKind::unsupported, {"custom kernels run on Metal only, not on ", quoted(name())});
}

std::unique_ptr<NativeRun> Backend::native_run(void *, std::span<const Port>) const {
    fail(ErrorKind::unsupported, {"a network on ", quoted(name()),
                                  " has no images and command buffers of the caller's; compile it for "
                                  "the caller's Metal device"});
}

std::string CustomParameter::text() const {
    return concat({kind == Kind::image ? "texture " : "buffer ", index, " ", quoted(name)});
}

} // namespace mpscnn::engine
