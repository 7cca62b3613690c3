#pragma once

// Operations on arrays, for networks that are trained and for own kernels; other networks have layers on
// images. The kernels are those of shaders/array_*.metal.

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
    std::vector<ArrayOperand> sources;          ///< the inputs, the addend, then the weights
    std::optional<std::size_t> addend;          ///< index of a source that is added before the activation
    std::map<std::string, std::size_t> weights; ///< index of the source, by role
    ArrayOperand result;
    ops::Neuron activation;        ///< attached to the operation
    bool constant_weights = false; ///< they are in the order of weights_for_arrays()
};

/// Return the extents as of an image; with more than four axes, all axes between the batch and the last two
/// are rows.
ArrayImage array_image(const Shape &shape);

/// One kernel. `arrays` are indices: the sources come first, then the result, then scratch arrays.
struct ArrayStage {
    std::string shader;
    NeuronKind activation = NeuronKind::none;
    std::vector<std::byte> params; ///< buffer 0
    std::vector<std::size_t> arrays;
    std::vector<std::byte> table; ///< the buffer after the arrays, if any
    std::int64_t threads = 0;
    /// Threads of a threadgroup; 0: any number.
    std::int64_t group = 0;
    /// Bytes of a threadgroup's memory.
    std::size_t threadgroup_bytes = 0;

    /// Let the threads of each group share memory.
    void share(std::int64_t threads_of_group, std::size_t bytes) {
        group = threads_of_group;
        threadgroup_bytes = bytes;
    }
};

/// The kernels of one operation, in order.
class ArrayProgram {
public:
    ArrayProgram(const ArrayOperands &operands, const Choice &choice)
        : operands_(&operands), choice_(&choice) {}

    const ArrayOperands &operands() const { return *operands_; }
    /// Which kernels this device may take.
    const Choice &choice() const { return *choice_; }
    const Shape &shape(std::size_t source) const { return operands_->sources[source].shape; }
    std::size_t result() const { return operands_->sources.size(); }
    /// Add an array of floats, which lives while the operation runs. Return its index.
    std::size_t add_scratch(std::int64_t elements);
    /// Return the index of the weight, or null.
    const std::size_t *weight(const std::string &role) const;

    /// Add a kernel with parameters. Their first field is `run`, which is set here. The kernel writes the
    /// last array.
    template <class Params>
    ArrayStage &add(std::string shader, Params params, std::vector<std::size_t> arrays,
                    std::int64_t threads) {
        params.run = run_of(arrays, threads);
        return add_stage(std::move(shader), std::as_bytes(std::span(&params, 1)), std::move(arrays), threads);
    }
    /// Add a kernel without other parameters.
    void add(std::string shader, std::vector<std::size_t> arrays, std::int64_t threads) {
        const ArrayRun run = run_of(arrays, threads);
        add_stage(std::move(shader), std::as_bytes(std::span(&run, 1)), std::move(arrays), threads);
    }

    /// Return the shader's variant for halves if source 0 and the weight hold halves and the device may take
    /// it, otherwise the shader.
    std::string variant_of(const std::string &shader, NeuronKind activation) const;

    const std::vector<ArrayStage> &stages() const { return stages_; }
    /// Return the bytes of the scratch arrays.
    const std::vector<std::size_t> &scratch() const { return scratch_; }

private:
    ArrayRun run_of(const std::vector<std::size_t> &arrays, std::int64_t threads) const;
    ArrayStage &add_stage(std::string shader, std::span<const std::byte> params,
                          std::vector<std::size_t> arrays, std::int64_t threads);

    const ArrayOperands *operands_;
    const Choice *choice_;
    std::vector<ArrayStage> stages_;
    std::vector<std::size_t> scratch_;
};

/// The division of sums of `elements` numbers each, where `results` sums are computed together. It depends on
/// shapes only. Each thread adds `part` numbers.
struct SumParts {
    std::int64_t count = 1, part = 1;

    SumParts(std::int64_t results, std::int64_t elements);
    /// Return parts of `part` numbers each.
    static SumParts of_length(std::int64_t part, std::int64_t elements);

private:
    SumParts() = default;
};

/// Add kernels that sum a source over the axes where `kept` has extent 1, times a factor, into an array.
void add_sum(ArrayProgram &program, std::size_t source, const ArrayImage &from, std::size_t to,
             const ArrayImage &kept, float factor = 1.0f, bool squares = false);
/// Add kernels that sum the parts of sums into an array of `results` numbers.
void add_parts(ArrayProgram &program, std::size_t parts, const SumParts &of, std::size_t to,
               std::int64_t results, float factor = 1.0f);

} // namespace mpscnn::metal
