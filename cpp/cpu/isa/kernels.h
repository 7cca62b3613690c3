#pragma once

// The interface between the CPU engine's lowering and its kernels. Every instruction set provides one
// KernelTable; nothing outside the kernels' headers (docs/cpu_engine.md names them) knows which one runs.

#include <span>
#include <type_traits>
#include <variant>

#include "cpu/kernels/tasks/convolution.h"
#include "cpu/kernels/tasks/elementwise.h"
#include "cpu/kernels/tasks/gradient.h"
#include "cpu/kernels/tasks/half_sums.h"
#include "cpu/kernels/tasks/integer.h"
#include "cpu/kernels/tasks/loss.h"
#include "cpu/kernels/tasks/matrix_product.h"
#include "cpu/kernels/tasks/move.h"
#include "cpu/kernels/tasks/multibox.h"
#include "cpu/kernels/tasks/optimizer.h"
#include "cpu/kernels/tasks/reduction.h"
#include "cpu/kernels/tasks/signal.h"
#include "cpu/kernels/tasks/training.h"
#include "cpu/kernels/tasks/window.h"

namespace mpscnn::cpu {

/// THE list of what kernels do. For each of these every instruction set has a kernel: a kernel file
/// defines it (cpu/kernels) and cpu/isa/instance_functions.h declares it. Conversions are for bfloat16
/// numbers, hence among Bfloat16Kernels.
using Task =
    std::variant<ConvolutionTask, PackTask, ChainTask, PooledConvolutionTask, PoolingTask, ArithmeticTask,
                 AffineTask, SoftmaxTask, DropoutTask, ResizeTask, PaddingTask, ConcatenationTask,
                 MomentsTask, StatisticsTask, NormalizationTask, CrossChannelTask, WindowNormalizationTask,
                 ReductionTask, ArgumentTask, WeightedReductionTask, InterleavedConvolutionTask,
                 SubpixelConvolutionTask, DepthToSpaceTask, BinaryConvolutionTask, BetaScalingTask,
                 HalfSumsTask, TransposeTask, InterleaveTask, TakeTask, ConstantTask, MatrixProductTask,
                 LayerNormalizationTask, SumTask, WeightGradientTask, UpdateTask, LossTask, PartSumTask,
                 NormalizationSumsTask, NormalizationGradientTask,
                 // gradients of layers without weights, losses, new weights
                 NeuronGradientTask, SoftmaxGradientTask, PoolingGradientTask, ResizeGradientTask,
                 TakeGradientTask, GroupGradientTask, LayerGradientTask, CrossChannelGradientTask,
                 MultiboxChoiceTask, MultiboxTask, ConversionTask,
                 // int8 networks
                 IntegerConvolutionTask, IntegerPoolingTask, IntegerSumTask, IntegerProductTask,
                 IntegerMaximumTask, IntegerNearestTask, IntegerBorderTask, IntegerMeanTask, IntegerTableTask,
                 IntegerResizeTask, IntegerSoftmaxTask, QuantizationTask, DequantizationTask>;

template <class Tasks> struct KernelSet;
template <class... TaskType> struct KernelSet<std::variant<TaskType...>> : Kernel<TaskType>... {};

struct VectorTraits {
    const char *name = nullptr;    ///< "baseline", "avx2", "avx512", "amx", "neon"
    std::int64_t vector_width = 0; ///< floats in a vector
    bool has_fma = false;
};

struct HalfConversion {
    void (*halves_from_floats)(const float *source, std::uint16_t *destination, std::int64_t count) = nullptr;
    void (*floats_from_halves)(const std::uint16_t *source, float *destination, std::int64_t count) = nullptr;
};

/// Floats that packed weights take, and the packing from [out][kh][kw][in/groups] order.
struct ConvolutionPacking {
    std::size_t (*packed_size)(const ConvolutionShape &) = nullptr;
    void (*pack)(const ConvolutionShape &, const float *weights, float *packed) = nullptr;
};

/// Activation::apply of functions that kernels call out of line.
struct NeuronFunctions {
    void (*apply_neuron)(const Activation &activation, float *values, std::int64_t count) = nullptr;
};

/// FMAs in registers and nothing else.
struct FmaLoop {
    void (*fma_loop)(std::int64_t rounds) = nullptr;
    std::int64_t round_operations = 0; ///< floating-point operations of a round
};

/// How products of bfloat16 numbers are summed, which their bits depend on.
enum class Bfloat16Products {
    none,
    pairs,          ///< AVX512_BF16: the second number of each pair first, in one chain
    arm_pairs,      ///< FEAT_BF16: the sum of both products of a pair at once
    blocks,         ///< gemm_block_tile.h, by FMAs: slower than float32
    blocks_in_tiles ///< the same by AMX
};
const char *name_of(Bfloat16Products products); ///< "pairs", "arm pairs", "blocks", "blocks in tiles"

/// What a processor that multiplies bfloat16 numbers has besides (cpu/kernels/convolution/bfloat16.cpp).
struct Bfloat16Kernels {
    Bfloat16Products products = Bfloat16Products::none;
    /// Of such weights. Source and residual are of bfloat16 numbers,
    /// in pairs unless it is depthwise (channels and strides are even); the result is of either element, that
    /// of a depthwise one, which is clamped at most, of bfloat16.
    Kernel<ConvolutionTask> convolution;
    Kernel<ChainTask> chain; ///< of such convolutions
    Kernel<ConversionTask> conversion;
};

/// What a processor that multiplies four bytes at a time has for such weights besides.
struct QuadKernels {
    Kernel<IntegerConvolutionTask> convolution; ///< for all weights
    Kernel<IntegerConvolutionTask> tiles;       ///< for those by fours that are not depthwise; may be null
    bool has_depthwise = false;                 ///< by fours; else they have other weights
    std::int32_t centre = 0;                    ///< what each byte has less where it is multiplied
};

/// The kernels of one instruction set.
struct KernelTable : VectorTraits,
                     HalfConversion,
                     ConvolutionPacking,
                     NeuronFunctions,
                     SignalKernels,
                     FmaLoop,
                     KernelSet<Task> {
    /// The kernel for a kind of task.
    template <class TaskType> const Kernel<TaskType> &kernel() const { return *this; }
    /// The kernel for one task.
    template <class TaskType> const Kernel<TaskType> &kernel(const TaskType &task) const {
        if constexpr (std::is_same_v<TaskType, ConvolutionTask>)
            if (task.packed->element == Element::bfloat16) return bfloat16.convolution;
        if constexpr (std::is_same_v<TaskType, ChainTask>)
            if (task.stages->packed->element == Element::bfloat16) return bfloat16.chain;
        if constexpr (std::is_same_v<TaskType, IntegerConvolutionTask>)
            if (multiplies_quads())
                return quads.tiles.run && task.weights.quads && !task.weights.is_depthwise()
                           ? quads.tiles
                           : quads.convolution;
        if constexpr (std::is_same_v<TaskType, HalfSumsTask>)
            if (multiplies_halves()) return halves;
        return *this;
    }

    Kernel<HalfSumsTask> halves; ///< by instructions for these, where the processor has such
    bool multiplies_halves() const { return halves.run != nullptr; }

    QuadKernels quads;
    bool multiplies_quads() const { return quads.convolution.run != nullptr; }

    Bfloat16Kernels bfloat16;
    /// Where it has no such kernels, why not.
    const char *why_no_bfloat16 = nullptr;
    bool multiplies_bfloat16() const { return bfloat16.convolution.run != nullptr; }

    /// Packs weights [outputs][height][width][inputs of a group] into memory of the network; bias may be
    /// null. Of bfloat16 elements an odd number of inputs is made even by one whose weights are zero.
    PackedConvolution pack_convolution(WeightMemory &memory, const float *weights, const float *bias,
                                       const ConvolutionShape &shape) const;
    /// The order and sizes of float32 weights that are not known yet.
    PackedConvolution packed_later(const ConvolutionShape &shape) const;
};

inline constexpr std::size_t max_kernel_tables = 4;

/// The tables this processor runs, best first.
std::span<const KernelTable *const> available_kernels();
/// The best table this processor runs, or the one MPSCNN_CPU names (baseline, avx2, avx512, amx, neon).
/// Throws ParameterError for an unknown name and UnsupportedError for one that this processor lacks.
const KernelTable &kernels();
/// Table by name; throws like kernels().
const KernelTable &kernels(const char *name);

} // namespace mpscnn::cpu
