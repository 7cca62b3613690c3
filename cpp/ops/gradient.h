#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "ops/op_list.h"

namespace mpscnn::ops {

/// A tensor of the graph that is being built.
using GradientValue = int;

/// One use of an operation in a graph whose gradients are wanted: what it has computed, and where its
/// gradients go. cpp/engine makes the graph.
class GradientBuilder {
public:
    virtual ~GradientBuilder() = default;

    /// The gradient of the result, before an attached activation.
    virtual GradientValue gradient() const = 0;
    virtual GradientValue input(std::size_t index) const = 0;
    virtual std::size_t inputs() const = 0;
    virtual GradientValue result() const = 0;
    /// A weight as a tensor of the graph. Throws UnsupportedError for one that has another form.
    virtual GradientValue weight(std::string_view role) const = 0;
    /// Extents may be free.
    virtual const Shape &shape(GradientValue value) const = 0;

    virtual bool wants(std::size_t input) const = 0;
    /// False too for a weight that the operation does not have here.
    virtual bool wants(std::string_view role) const = 0;
    virtual bool has_weight(std::string_view role) const = 0;

    virtual GradientValue add(Operation operation, std::vector<GradientValue> inputs) = 0;
    virtual void give(std::size_t input, GradientValue gradient) = 0;
    virtual void give(std::string_view role, GradientValue gradient) = 0;
    /// Throws UnsupportedError: training does not reach what this use asks for.
    [[noreturn]] virtual void refuse(std::string_view what) const = 0;
};

/// Adds what computes the wanted gradients of an operation.
void add_gradients(const Operation &operation, GradientBuilder &builder);

} // namespace mpscnn::ops
