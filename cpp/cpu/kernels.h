#pragma once

// The interface between the CPU engine's lowering and its kernels. Every instruction set provides one
// KernelTable; nothing outside cpp/cpu/<kernel files> knows which one runs.
//
// A kernel is described by a plain task struct (what to compute, on which memory). `work` says into how many
// independent items the task divides and how much scratch memory each worker needs; `run` computes the
// items [begin, end). Items may run in any order on any thread: every output element is computed by exactly
// one item with a fixed order of operations, so the bits do not depend on the split.

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/aligned_buffer.h"

namespace mpscnn::cpu {

/// Read-only NHWC tensor. Channels are contiguous; strides are in floats.
struct ConstView {
    const float *data = nullptr;
    std::int64_t batch = 1, height = 1, width = 1, channels = 1;
    std::ptrdiff_t image_stride = 0, row_stride = 0, pixel_stride = 0;
};

/// Writable NHWC tensor.
struct View {
    float *data = nullptr;
    std::int64_t batch = 1, height = 1, width = 1, channels = 1;
    std::ptrdiff_t image_stride = 0, row_stride = 0, pixel_stride = 0;
    /// Floats of a pixel that may be overwritten with anything, at least `channels`: more when the pitch has
    /// padding of our own, so that a last partial vector can be stored whole.
    std::int64_t writable_channels = 1;

    operator ConstView() const {
        return {data, batch, height, width, channels, image_stride, row_stride, pixel_stride};
    }
};

/// Activation as kernels see it. Every supported function of the ReLU family is one of these.
struct Activation {
    enum class Kind {
        none,
        clamp, ///< min(max(x, low), high), NaN kept; relu is [0, inf), relu6 [0, 6]
        leaky, ///< min(x >= 0 ? x : slope * x, high): relu and relun with a slope below zero
        prelu, ///< x >= 0 ? x : slopes[channel] * x
        linear ///< slope * x + low
    };
    Kind kind = Kind::none;
    float low = 0.0f, high = 0.0f, slope = 0.0f;
    const float *slopes =
        nullptr; ///< one per channel, in an AlignedBuffer: whole vectors are read from any channel on
};

/// What happens to a result before it is stored: bias (already in the accumulator), activation, rounding to
/// half, and optionally the addition of a residual with its own activation and rounding.
struct Epilogue {
    Activation activation{};
    bool round_to_half = false;
    const ConstView *residual = nullptr; ///< same shape as the destination
    Activation residual_activation{};
    bool residual_round_to_half = false;
};

/// One axis of a window in canonical form: output o reads source positions o * stride - before + t *
/// dilation.
struct WindowAxis {
    std::int64_t kernel = 1, stride = 1, dilation = 1, before = 0;
};

struct Work {
    std::int64_t items = 0;
    std::size_t scratch_bytes = 0; ///< for each worker, aligned to 64 bytes
};

/// What a convolution's weights are: [outputs][kernel_height][kernel_width][inputs_per_group].
struct ConvolutionShape {
    std::int64_t outputs = 0, inputs_per_group = 0, groups = 1, kernel_height = 1, kernel_width = 1;
    bool depthwise = false; ///< inputs_per_group == 1 and groups > 1: the depthwise kernels do it
};

/// Weights of a convolution (grouped, dense or fully connected) in the order a kernel table wants.
struct PackedConvolution : ConvolutionShape {
    AlignedBuffer<float> weights; ///< order private to the table
    AlignedBuffer<float> bias;    ///< `outputs` values (zeros without bias), padded to full vectors
};

struct ConvolutionTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{}; ///< positions outside the source read as zero
    const PackedConvolution *packed = nullptr;
    Epilogue epilogue{};
};

enum class PoolingKind { max, average };

struct PoolingTask {
    PoolingKind kind = PoolingKind::max;
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{};
    /// Divisor of the average: taps inside the source widened by `counted_*` pixels on each side (0: only
    /// real pixels count; the padding: zero padding counts as well). Maxima ignore positions outside.
    std::int64_t counted_before_y = 0, counted_after_y = 0, counted_before_x = 0, counted_after_x = 0;
    Epilogue epilogue{};
};

/// destination = activation(a + b), elementwise.
struct AdditionTask {
    ConstView a, b;
    View destination;
    Epilogue epilogue{};
};

/// destination = epilogue(source * scale + shift), scale and shift per channel (null: 1 and 0). Serves
/// neurons that stand alone, batch normalization that could not be folded, copies with other strides,
/// rounding.
struct AffineTask {
    ConstView source;
    View destination;
    const float *scale = nullptr, *shift = nullptr; ///< padded to full vectors
    Epilogue epilogue{};
};

/// Softmax over the channels of each pixel, shifted by the maximum.
struct SoftmaxTask {
    ConstView source;
    View destination;
    bool round_to_half = false;
};

enum class ResizeKind { nearest, bilinear };

/// destination[y] is sampled at source position y * scale + offset (per axis), clamped to the source. Nearest
/// takes floor(position + bias): bias 0 truncates, 0.5 rounds half up.
struct ResizeTask {
    ResizeKind kind = ResizeKind::bilinear;
    ConstView source;
    View destination;
    double scale_y = 1, scale_x = 1, offset_y = 0, offset_x = 0, nearest_bias = 0;
    bool round_to_half = false;
};

/// Copies the source into the destination at (top, left, front) and fills the rest with `value`. Also the
/// plain copy between strides (all zero). Negative positions crop.
struct PaddingTask {
    ConstView source;
    View destination;
    std::int64_t top = 0, left = 0, front = 0;
    float value = 0.0f;
};

/// The kernels of one instruction set.
struct KernelTable {
    const char *name;          ///< "baseline", "avx2", "avx512", "neon"
    std::int64_t vector_width; ///< floats in a vector
    bool fused_multiply_add;

    /// Floats that packed weights take, and the packing from [out][kh][kw][in/groups] order.
    std::size_t (*packed_size)(const ConvolutionShape &);
    void (*pack)(const ConvolutionShape &, const float *weights, float *packed);
    /// Allocates and packs; bias may be null.
    PackedConvolution pack_convolution(const float *weights, const float *bias, std::int64_t outputs,
                                       std::int64_t kernel_height, std::int64_t kernel_width,
                                       std::int64_t inputs_per_group, std::int64_t groups) const;

    Work (*convolution_work)(const ConvolutionTask &, int threads);
    void (*convolution)(const ConvolutionTask &, int threads, std::int64_t begin, std::int64_t end,
                        std::byte *scratch);

    Work (*pooling_work)(const PoolingTask &, int threads);
    void (*pooling)(const PoolingTask &, int threads, std::int64_t begin, std::int64_t end,
                    std::byte *scratch);
    Work (*addition_work)(const AdditionTask &, int threads);
    void (*addition)(const AdditionTask &, int threads, std::int64_t begin, std::int64_t end,
                     std::byte *scratch);
    Work (*affine_work)(const AffineTask &, int threads);
    void (*affine)(const AffineTask &, int threads, std::int64_t begin, std::int64_t end, std::byte *scratch);
    Work (*softmax_work)(const SoftmaxTask &, int threads);
    void (*softmax)(const SoftmaxTask &, int threads, std::int64_t begin, std::int64_t end,
                    std::byte *scratch);
    Work (*resize_work)(const ResizeTask &, int threads);
    void (*resize)(const ResizeTask &, int threads, std::int64_t begin, std::int64_t end, std::byte *scratch);
    Work (*padding_work)(const PaddingTask &, int threads);
    void (*padding)(const PaddingTask &, int threads, std::int64_t begin, std::int64_t end,
                    std::byte *scratch);

    void (*halves_from_floats)(const float *source, std::uint16_t *destination, std::int64_t count);
    void (*floats_from_halves)(const std::uint16_t *source, float *destination, std::int64_t count);
};

/// The tables this processor runs, best first.
std::span<const KernelTable *const> available_kernels();
/// The best table this processor runs, or the one MPSCNN_CPU names (baseline, avx2, avx512, neon). Throws
/// ParameterError for an unknown name and UnsupportedError for one that this processor lacks.
const KernelTable &kernels();
/// Table by name; throws like kernels().
const KernelTable &kernels(const char *name);

} // namespace mpscnn::cpu
