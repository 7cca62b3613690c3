#pragma once

#include <memory>
#include <span>

#include "ops/operation.h"

namespace mpscnn::ops {

/// A float32 tensor without gaps.
struct CustomTensor {
    float *data; ///< null where only the shape is asked for
    Shape shape;
};

/// A function of the program that embeds mpscnn. Several threads may call it concurrently.
class CustomFunction {
public:
    virtual ~CustomFunction() = default;
    /// Batch first; extents may be free. Throws what is wrong with the inputs.
    virtual Shape output_shape(const InputShapes &inputs) const = 0;
    /// Fills the output. Throws what went wrong.
    virtual void run(std::span<const CustomTensor> inputs, const CustomTensor &output) const = 0;
};

/// A layer that a function of the program computes, in float32 and main memory. Files do not hold it, and the
/// table for documentation leaves it out.
struct Custom {
    static constexpr OperationInfo info{.name = "custom",
                                        .summary = "A function of the program.",
                                        .min_inputs = 1,
                                        .max_inputs = 16,
                                        .rounds = false,
                                        .takes_activation = false,
                                        .has_gradient = false,
                                        .joins_images = true};

    std::shared_ptr<const CustomFunction> function;

    template <class Visitor> void fields(Visitor &) {}

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return function->output_shape(inputs); }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

} // namespace mpscnn::ops
