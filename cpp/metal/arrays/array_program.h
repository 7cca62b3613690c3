#pragma once

// Operations on arrays: what a network that is trained has instead of layers on images. Kernels are those of
// shaders/array_*.metal.

#include <cstddef>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ops/op_list.h"
#include "shaders/array_params.h"

namespace mpscnn::metal {

/// A tensor without gaps in memory of the GPU.
struct ArrayOperand {
    Shape shape;
    bool half = false; ///< holds halves, else floats

    std::size_t bytes() const { return static_cast<std::size_t>(shape.elements()) * (half ? 2 : 4); }
};

/// What an operation reads and writes.
struct ArrayOperands {
    std::vector<ArrayOperand> sources;          ///< the inputs, then the weights
    std::map<std::string, std::size_t> weights; ///< numbers of sources, by role
    ArrayOperand result;
    ops::Neuron activation; ///< attached to the operation
};

/// Extents as of images; axes beyond these count as rows.
ArrayImage array_image(const Shape &shape);

/// One kernel. Arrays are numbers: the sources', then the result's, then those of scratch arrays.
struct ArrayStage {
    std::string shader;
    NeuronKind activation = NeuronKind::none;
    std::vector<std::byte> params; ///< buffer 0
    std::vector<std::size_t> arrays;
    std::vector<std::byte> table; ///< the buffer after the arrays, if any
    std::int64_t threads = 0;
};

/// The kernels of one operation, in their order.
class ArrayProgram {
public:
    explicit ArrayProgram(const ArrayOperands &operands) : operands_(&operands) {}

    const ArrayOperands &operands() const { return *operands_; }
    const Shape &shape(std::size_t source) const { return operands_->sources[source].shape; }
    std::size_t result() const { return operands_->sources.size(); }
    /// A new array of floats, which lives while the operation runs.
    std::size_t add_scratch(std::int64_t elements);
    /// The number of the weight, or nothing.
    const std::size_t *weight(const std::string &role) const;

    /// A kernel with parameters of which the first is `run`, which is set here. The last array is written.
    template <class Params>
    ArrayStage &add(std::string shader, Params params, std::vector<std::size_t> arrays,
                    std::int64_t threads) {
        params.run = run_of(arrays, threads);
        return add_stage(std::move(shader), std::as_bytes(std::span(&params, 1)), std::move(arrays), threads);
    }
    /// A kernel that is reported nothing else.
    void add(std::string shader, std::vector<std::size_t> arrays, std::int64_t threads) {
        const ArrayRun run = run_of(arrays, threads);
        add_stage(std::move(shader), std::as_bytes(std::span(&run, 1)), std::move(arrays), threads);
    }

    const std::vector<ArrayStage> &stages() const { return stages_; }
    /// Bytes of the scratch arrays.
    const std::vector<std::size_t> &scratch() const { return scratch_; }

private:
    ArrayRun run_of(const std::vector<std::size_t> &arrays, std::int64_t threads) const;
    ArrayStage &add_stage(std::string shader, std::span<const std::byte> params,
                          std::vector<std::size_t> arrays, std::int64_t threads);

    const ArrayOperands *operands_;
    std::vector<ArrayStage> stages_;
    std::vector<std::size_t> scratch_;
};

/// How sums of `elements` numbers are cut, with `results` of them at once: shapes alone decide. Each thread
/// adds `part` numbers.
struct SumParts {
    std::int64_t count = 1, part = 1;

    SumParts(std::int64_t results, std::int64_t elements);
};

/// Sums of a source over the axes along which `kept` has one element, times a factor, to an array.
void add_sum(ArrayProgram &program, std::size_t source, const ArrayImage &from, std::size_t to,
             const ArrayImage &kept, float factor = 1.0f, bool squares = false);
/// Parts of sums, one after the other, to an array of `results` numbers.
void add_parts(ArrayProgram &program, std::size_t parts, const SumParts &of, std::size_t to,
               std::int64_t results, float factor = 1.0f);

} // namespace mpscnn::metal
