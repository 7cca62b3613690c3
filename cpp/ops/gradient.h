#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "ops/op_list.h"

namespace mpscnn::ops {

/// The number of a tensor in the graph that is being built.
using GradientValue = int;

/// One use of an operation in a graph whose gradients are wanted. A gradient rule reads the operation's
/// inputs, result and weights from it, adds operations to the graph, and gives it the gradients of the inputs
/// and weights. cpp/engine implements it.
class GradientBuilder {
public:
    virtual ~GradientBuilder() = default;

    /// Return the gradient of the result. If an activation is attached, this is the gradient before the
    /// activation.
    virtual GradientValue gradient() const = 0;
    virtual GradientValue input(std::size_t index) const = 0;
    virtual std::size_t inputs() const = 0;
    virtual GradientValue result() const = 0;
    /// Return a weight as a tensor of the graph. Throws UnsupportedError for a weight that is not a variable.
    virtual GradientValue weight(std::string_view role) const = 0;
    /// Return a tensor's shape, in which extents may be free (Shape::any).
    virtual const Shape &shape(GradientValue value) const = 0;

    virtual bool wants(std::size_t input) const = 0;
    /// Return whether the gradient of a weight is wanted. False also for a weight that the operation does not
    /// have.
    virtual bool wants(std::string_view role) const = 0;
    virtual bool has_weight(std::string_view role) const = 0;

    virtual GradientValue add(Operation operation, std::vector<GradientValue> inputs) = 0;
    virtual void give(std::size_t input, GradientValue gradient) = 0;
    virtual void give(std::string_view role, GradientValue gradient) = 0;
    /// Throws UnsupportedError, which says that training does not support `what`.
    [[noreturn]] virtual void refuse(std::string_view what) const = 0;
};

/// Add the operations that compute the wanted gradients of `operation` to the graph.
void add_gradients(const Operation &operation, GradientBuilder &builder);

} // namespace mpscnn::ops
