#pragma once

// The interface between the CPU engine and its kernels. Each instruction set has one KernelTable. No code
// outside the kernels' headers (docs/cpu_engine.md names them) depends on the instruction set.

#include <span>
#include <type_traits>

#include "core/variant.h"
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
#include "cpu/kernels/tasks/recurrent.h"
#include "cpu/kernels/tasks/reduction.h"
#include "cpu/kernels/tasks/signal.h"
#include "cpu/kernels/tasks/training.h"
#include "cpu/kernels/tasks/window.h"

namespace mpscnn::cpu {

/// The list of all kernel tasks. Every instruction set has a kernel for each: a file of cpu/kernels defines
/// it, and cpu/isa/instance_functions.h declares it. The conversion between float32 and bfloat16 is an
/// exception: only Bfloat16Kernels has it.
struct TaskList
    : TypeList<ConvolutionTask, PackTask, ChainTask, PooledConvolutionTask, PoolingTask, ArithmeticTask,
               AffineTask, SoftmaxTask, DropoutTask, ResizeTask, PaddingTask, ConcatenationTask, MomentsTask,
               StatisticsTask, NormalizationTask, CrossChannelTask, WindowNormalizationTask, ReductionTask,
               ArgumentTask, TopKTask, WeightedReductionTask, InterleavedConvolutionTask,
               SubpixelConvolutionTask, DepthToSpaceTask, BinaryConvolutionTask, BetaScalingTask,
               HalfSumsTask, TransposeTask, InterleaveTask, TakeTask, TakeAlongTask, ConstantTask,
               MatrixProductTask, LayerNormalizationTask, RecurrentTask, RecurrentGradientTask, SumTask,
               WeightGradientTask, UpdateTask, LossTask, PartSumTask, NormalizationSumsTask,
               NormalizationGradientTask,
               // gradients of layers without weights, losses, new weights
               NeuronGradientTask, SoftmaxGradientTask, PoolingGradientTask, ResizeGradientTask,
               TakeGradientTask, GroupGradientTask, LayerGradientTask, CrossChannelGradientTask,
               MultiboxChoiceTask, MultiboxTask, ConversionTask,
               // int8 networks
               IntegerConvolutionTask, IntegerPoolingTask, IntegerSumTask, IntegerProductTask,
               IntegerMatrixProductTask, IntegerMaximumTask, IntegerNearestTask, IntegerBorderTask,
               IntegerMeanTask, IntegerTableTask, IntegerResizeTask, IntegerSoftmaxTask,
               IntegerLogSoftmaxTask, IntegerUnitNormTask, QuantizationTask, DequantizationTask> {};
using Task = Variant<TaskList>;

template <class... TaskType> struct KernelSet : Kernel<TaskType>... {};

struct VectorTraits {
    const char *name = nullptr;    ///< "baseline", "avx2", "avx512", "amx", "neon"
    std::int64_t vector_width = 0; ///< floats in a vector
    bool has_fma = false;
};

struct HalfConversion {
    void (*halves_from_floats)(const float *source, std::uint16_t *destination, std::int64_t count) = nullptr;
    void (*floats_from_halves)(const std::uint16_t *source, float *destination, std::int64_t count) = nullptr;
};

/// The functions that pack convolution weights: packed_size returns the number of floats of packed weights,
/// and pack packs weights from the order [out][kh][kw][in/groups].
struct ConvolutionPacking {
    std::size_t (*packed_size)(const ConvolutionShape &) = nullptr;
    void (*pack)(const ConvolutionShape &, const float *weights, float *packed) = nullptr;
};

/// The functions that pack a recurrent layer's weights. The first returns the number of floats of packed
/// weights, and the second packs them from the order [gates * units][units]. For gru_before, the packed gates
/// come first and then the candidate.
struct RecurrentPacking {
    std::size_t (*recurrent_packed_size)(const RecurrentLayer &) = nullptr;
    void (*pack_recurrent)(const RecurrentLayer &, const float *weights, float *packed) = nullptr;
};

/// The function that computes activation functions which kernels call out of line.
struct NeuronFunctions {
    void (*apply_neuron)(const Activation &activation, float *first, std::ptrdiff_t stride, std::int64_t rows,
                         std::int64_t count) = nullptr;
};

/// A loop of FMAs on registers only, which measures the processor's peak speed.
struct FmaLoop {
    void (*fma_loop)(std::int64_t rounds) = nullptr;
    std::int64_t round_operations = 0; ///< floating-point operations in a round
};

/// The order in which products of bfloat16 numbers are summed. The bits of results depend on it.
enum class Bfloat16Products {
    none,
    pairs,          ///< AVX512_BF16: one chain of FMAs, the second number of each pair first
    arm_pairs,      ///< FEAT_BF16: both products of a pair are added in one step
    blocks,         ///< the order of gemm_block_tile.h with FMAs, which is slower than float32
    blocks_in_tiles ///< the order of gemm_block_tile.h with AMX
};
/// Return "none", "pairs", "arm pairs", "blocks" or "blocks in tiles".
const char *name_of(Bfloat16Products products);

/// Additional kernels for networks in bfloat16 (cpu/kernels/extensions/bfloat16.cpp).
struct Bfloat16Kernels {
    Bfloat16Products products = Bfloat16Products::none;
    /// Convolution with bfloat16 weights, sources and residuals. Unless it is depthwise, inputs are
    /// multiplied in pairs, so channels and strides are even. Its result is float32 or bfloat16. A depthwise
    /// convolution's result is bfloat16.
    Kernel<ConvolutionTask> convolution;
    Kernel<ChainTask> chain; ///< chains of convolutions with bfloat16 weights
    Kernel<ConversionTask> conversion;
    /// Packs the weights of `convolution` if they are tensors of the graph, unless it is depthwise.
    Kernel<PackTask> pack;
    /// Computes weight gradients of convolutions that are not depthwise. Both factors of each product are
    /// rounded to bfloat16. The task's `source` is stored as float32, its `gradient` as float32 or bfloat16.
    Kernel<WeightGradientTask> weight_gradient;
    /// Batch normalizations with results in bfloat16. Their statistics have only the rows of mean and
    /// variance (StatisticsRow), and their only activation is a clamp.
    Kernel<NormalizationTask> normalization;
    Kernel<NormalizationGradientTask> normalization_gradient; ///< with results in bfloat16
    Kernel<PoolingTask> pooling; ///< maxima and means of bfloat16 tensors, with results in bfloat16
    /// Products and sums of bfloat16 tensors that have channels, with results in bfloat16. There are no
    /// scales, and the only activation is a clamp.
    Kernel<ArithmeticTask> arithmetic;
};

/// Additional kernels that multiply four bytes at a time, for IntegerWeights::quads.
struct QuadKernels {
    Kernel<IntegerConvolutionTask> convolution; ///< for all weights with quads
    Kernel<IntegerConvolutionTask> tiles;       ///< faster for quads that are not depthwise; may be null
    bool has_depthwise = false;                 ///< true if depthwise weights have quads too
    bool has_factors = false;                   ///< true if the kernels support Requantization::factors
    bool has_floats = false;                    ///< true if the kernels support Requantization::floats
    std::int32_t centre = 0;                    ///< number that kernels subtract from each input byte
    /// True if sums of two adjacent products must fit 16 bits. So the positive weights of the two may add up
    /// to 128, and the negative ones to -128. Steps with other weights are wide (IntegerWeights::wides).
    bool adds_in_pairs = false;
    /// The share of wide steps above which layers of at least 32 inputs (taps times channels) are faster in
    /// pairs of 16-bit integers.
    float max_wide = 1.0f;
};

/// The kernels of one instruction set.
struct KernelTable : VectorTraits,
                     HalfConversion,
                     ConvolutionPacking,
                     RecurrentPacking,
                     NeuronFunctions,
                     SignalKernels,
                     FmaLoop,
                     TaskList::apply<KernelSet> {
    /// Return the kernel for a kind of task.
    template <class TaskType> const Kernel<TaskType> &kernel() const { return *this; }
    /// Return the kernel for one task, which may be one of the additional kernels.
    template <class TaskType> const Kernel<TaskType> &kernel(const TaskType &task) const {
        if constexpr (std::is_same_v<TaskType, ConvolutionTask>)
            if (task.packed->element == Element::bfloat16) return bfloat16.convolution;
        if constexpr (std::is_same_v<TaskType, ChainTask>)
            if (task.stages->packed->element == Element::bfloat16) return bfloat16.chain;
        if constexpr (std::is_same_v<TaskType, PackTask>)
            if (task.shape.element == Element::bfloat16) return bfloat16.pack;
        if constexpr (std::is_same_v<TaskType, WeightGradientTask>)
            if (task.operands == Element::bfloat16) return bfloat16.weight_gradient;
        if constexpr (std::is_same_v<TaskType, NormalizationTask>)
            if (task.destination.element == Element::bfloat16) return bfloat16.normalization;
        if constexpr (std::is_same_v<TaskType, NormalizationGradientTask>)
            if (task.destination.element == Element::bfloat16) return bfloat16.normalization_gradient;
        if constexpr (std::is_same_v<TaskType, PoolingTask>)
            if (task.destination.element == Element::bfloat16) return bfloat16.pooling;
        if constexpr (std::is_same_v<TaskType, ArithmeticTask>)
            if (task.destination.element == Element::bfloat16) return bfloat16.arithmetic;
        if constexpr (std::is_same_v<TaskType, IntegerConvolutionTask>)
            if (multiplies_quads())
                return quads.tiles.run && task.weights.quads && !task.weights.is_depthwise()
                           ? quads.tiles
                           : quads.convolution;
        if constexpr (std::is_same_v<TaskType, HalfSumsTask>)
            if (multiplies_halves()) return halves;
        return *this;
    }

    Kernel<HalfSumsTask> halves; ///< with float16 instructions; empty if the processor has none
    bool multiplies_halves() const { return halves.run != nullptr; }

    QuadKernels quads;
    bool multiplies_quads() const { return quads.convolution.run != nullptr; }

    Bfloat16Kernels bfloat16;
    /// The reason why there are no bfloat16 kernels, if there are none.
    const char *why_no_bfloat16 = nullptr;
    bool multiplies_bfloat16() const { return bfloat16.convolution.run != nullptr; }

    /// Pack weights [outputs][height][width][inputs of a group] into memory of the network. `bias` may be
    /// null. With bfloat16 elements, an odd number of inputs is rounded up to an even one with zero weights.
    PackedConvolution pack_convolution(WeightMemory &memory, const float *weights, const float *bias,
                                       const ConvolutionShape &shape) const;
    /// Return the layout and sizes of packed float32 weights whose values will be known only in a run.
    PackedConvolution packed_later(const ConvolutionShape &shape) const;
};

inline constexpr std::size_t max_kernel_tables = 4;

/// Return the kernel tables that this processor can run, the best first. There are none if the library was
/// built for another machine.
std::span<const KernelTable *const> available_kernels();
/// Return why this processor can run no kernels of this build, and what to do. The text is empty if it can
/// run some.
const char *missing_kernels();
/// Return the best table that this processor can run, or the one that MPSCNN_CPU names (baseline, avx2,
/// avx512, amx, neon). Throws ParameterError for an unknown name, and UnsupportedError for a set that this
/// processor lacks or for which this build has no kernels. Throws DeviceError if the processor can run no
/// kernels of this build. Also throws ParameterError for an unknown value of MPSCNN_BFLOAT16 (x86-64).
const KernelTable &kernels();
/// Return the table with this name; "baseline" is the table neon on arm64. Throws like kernels() for wrong
/// names.
const KernelTable &kernels(const char *name);

} // namespace mpscnn::cpu
