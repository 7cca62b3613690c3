#pragma once

#include <memory>
#include <span>

#include "ops/operation.h"

namespace mpscnn::ops {

/// A float32 tensor without gaps.
struct CustomTensor {
    float *data; ///< null if only the shape is needed
    Shape shape;
};

/// A function of the program that embeds mpscnn. Several threads may call it concurrently.
class CustomFunction {
public:
    virtual ~CustomFunction() = default;
    /// Return the shape of the result, batch first; extents may be free (Shape::any). Throws an error that
    /// says what is wrong with the inputs.
    virtual Shape output_shape(const InputShapes &inputs) const = 0;
    /// Compute the output. Throws an error that says what went wrong.
    virtual void run(std::span<const CustomTensor> inputs, const CustomTensor &output) const = 0;
};

/// A layer that a function of the calling program computes, in float32 and main memory. Model files cannot
/// contain it, and the documentation's table of operations leaves it out.
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
