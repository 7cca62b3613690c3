#pragma once

// Operations on arrays, which are row-major tensors in GPU buffers. Three kinds of networks use them: those
// that are trained, those whose weights are variables, and those with the library's own kernels for
// inference. All other networks have layers on images. The kernels are in shaders/array_*.metal.

#include <cstddef>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "metal/layers/choice.h"
#include "ops/op_list.h"
#include "shaders/array_params.h"

namespace mpscnn::metal {

/// A tensor without gaps in GPU memory.
struct ArrayOperand {
    Shape shape;
    bool half = false; ///< true: halves; false: floats

    std::size_t bytes() const { return static_cast<std::size_t>(shape.elements()) * (half ? 2 : 4); }
};

/// The tensors that an operation reads and writes.
struct ArrayOperands {
    std::vector<ArrayOperand> sources; ///< the inputs, the addend, then the weights
    /// Index of a source that is added to the result before the activation.
    std::optional<std::size_t> addend;
    std::map<std::string, std::size_t> weights; ///< index of a weight among the sources, by role
    ArrayOperand result;
    ops::Neuron activation;        ///< the activation that is attached to the operation
    bool constant_weights = false; ///< true: weights are constants in the order of weights_for_arrays()
    /// A depthwise convolution of source 0, whose results a pointwise convolution reads. The same kernel
    /// computes both (arrays/separable.h). Its weights have the roles "depthwise weight" and "depthwise
    /// bias".
    const ops::Convolution *depthwise = nullptr;
    ops::Neuron depthwise_activation;
};

/// Return the extents of a tensor as an image. With more than four axes, all axes between the batch and the
/// last two are rows.
ArrayImage array_image(const Shape &shape);

/// One kernel launch. `arrays` are indices: the sources come first, then the result, then scratch arrays.
struct ArrayStage {
    std::string shader;
    NeuronKind activation = NeuronKind::none;
    std::vector<std::byte> params; ///< buffer 0
    std::vector<std::size_t> arrays;
    std::vector<std::byte> table; ///< contents of the buffer after the arrays; empty: the kernel has none
    std::int64_t threads = 0;
    /// Number of threads of a threadgroup; 0: any number.
    std::int64_t group = 0;
    /// Bytes of a threadgroup's memory; 0: the kernel has none.
    std::size_t threadgroup_bytes = 0;

    /// Let the threads of each group share memory.
    void share(std::int64_t threads_of_group, std::size_t bytes) {
        group = threads_of_group;
        threadgroup_bytes = bytes;
    }
};

/// The kernel launches of one operation, in order.
class ArrayProgram {
public:
    ArrayProgram(const ArrayOperands &operands, const Choice &choice, bool has_matrices)
        : operands_(&operands), choice_(&choice), has_matrices_(has_matrices) {}

    const ArrayOperands &operands() const { return *operands_; }
    /// Return which kernels this device may use.
    const Choice &choice() const { return *choice_; }
    /// Return whether simdgroups of this device multiply matrices.
    bool has_matrices() const { return has_matrices_; }
    const Shape &shape(std::size_t source) const { return operands_->sources[source].shape; }
    std::size_t result() const { return operands_->sources.size(); }
    /// Add a scratch array of floats, which exists while the operation runs. Return its index.
    std::size_t add_scratch(std::int64_t elements);
    /// Return the index of the weight with this role, or null.
    const std::size_t *weight(const std::string &role) const;

    /// Add a kernel with parameters. Their first field is `run`, which is set here. The kernel writes the
    /// last array.
    template <class Params>
    ArrayStage &add(std::string shader, Params params, std::vector<std::size_t> arrays,
                    std::int64_t threads) {
        params.run = run_of(arrays, threads);
        return add_stage(std::move(shader), std::as_bytes(std::span(&params, 1)), std::move(arrays), threads);
    }
    /// Add a kernel whose only parameter is `run`, an ArrayRun, which is set here.
    void add(std::string shader, std::vector<std::size_t> arrays, std::int64_t threads) {
        const ArrayRun run = run_of(arrays, threads);
        add_stage(std::move(shader), std::as_bytes(std::span(&run, 1)), std::move(arrays), threads);
    }

    /// Return whether source 0 and the weight hold halves.
    bool multiplies_halves() const;
    /// Return the name of the shader's variant for halves, if multiplies_halves() and the device may use that
    /// variant. Otherwise return the shader's name.
    std::string variant_of(const std::string &shader, NeuronKind activation) const;

    const std::vector<ArrayStage> &stages() const { return stages_; }
    /// Return the bytes of each scratch array.
    const std::vector<std::size_t> &scratch() const { return scratch_; }

private:
    ArrayRun run_of(const std::vector<std::size_t> &arrays, std::int64_t threads) const;
    ArrayStage &add_stage(std::string shader, std::span<const std::byte> params,
                          std::vector<std::size_t> arrays, std::int64_t threads);

    const ArrayOperands *operands_;
    const Choice *choice_;
    bool has_matrices_;
    std::vector<ArrayStage> stages_;
    std::vector<std::size_t> scratch_;
};

/// Divides sums into parts, so that enough threads can work on them. There are `results` sums of
/// `elements` numbers each; each thread adds `part` numbers. The division depends on shapes only, so results
/// do not depend on the device.
struct SumParts {
    std::int64_t count = 1, part = 1;

    SumParts(std::int64_t results, std::int64_t elements);
    /// Return a division into parts of `part` numbers each.
    static SumParts of_length(std::int64_t part, std::int64_t elements);

private:
    SumParts() = default;
};

/// Divides sums over all pixels, one for each channel, among threadgroups of channel_threads threads. A
/// thread adds `lanes` adjacent channels (1 or 4), and `columns` threads of a threadgroup have adjacent
/// channels. The pixels are divided into `count` parts, one for each threadgroup of the same channels.
struct ChannelParts {
    std::int64_t channels = 1, lanes = 1, columns = 1, count = 1;

    ChannelParts(std::int64_t pixels, std::int64_t channels);
    /// Set the fields of a kernel's parameters.
    template <class Params> void set(Params &params) const {
        params.parts = static_cast<unsigned int>(count);
        params.lanes = static_cast<unsigned int>(lanes);
        params.columns = static_cast<unsigned int>(columns);
    }
    std::int64_t threads() const;
    /// Return the bytes that a threadgroup needs to add `sums` sums of each channel.
    static std::size_t threadgroup_bytes(std::size_t sums);
};

/// Add kernels that sum a source over the axes along which `kept` has extent 1. The sums, times `factor`, are
/// written to the array `to`.
void add_sum(ArrayProgram &program, std::size_t source, const ArrayImage &from, std::size_t to,
             const ArrayImage &kept, float factor = 1.0f, bool squares = false);
/// Add a kernel that sums the array `parts`, which has `count` parts of `results` numbers, to the array `to`.
void add_parts(ArrayProgram &program, std::size_t parts, std::int64_t count, std::size_t to,
               std::int64_t results, float factor = 1.0f);

} // namespace mpscnn::metal
