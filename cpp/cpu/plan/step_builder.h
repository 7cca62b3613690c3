#pragma once

#include "cpu/plan/step.h"

namespace mpscnn::cpu {

WindowAxis kernel_axis(const ops::WindowAxis &axis);
Epilogue epilogue_of(const FusedOperation &fused);

/// Collects the steps of a plan.
class StepBuilder {
public:
    /// `shapes` has the shape of each value.
    StepBuilder(Placement &placement, const std::vector<Shape> &shapes, std::int64_t vector_width)
        : placement_(placement), shapes_(shapes), vector_width_(vector_width) {}

    /// Begin a step from the operation's first input to its result. The reference is valid until the next
    /// step begins.
    Step &begin(const FusedOperation &fused, Task task);
    /// Begin a step whose source is the operation's input number `source`. All other inputs become the step's
    /// others.
    Step &begin_with_inputs(const FusedOperation &fused, Task task, std::size_t source = 0);
    /// Add a copy between two regions of one shape.
    void add_copy(std::vector<std::string> layers, const Region &source, const Region &destination);

    /// If this weight is a tensor of the graph, append it to `others` and return true.
    bool add_variable(const FusedOperation &fused, const std::string &role,
                      std::vector<Region> &others) const;

    /// Add temporary memory in the arena (a workspace) for data between two steps of an operation. With
    /// `contiguous`, there are no gaps between the pixels of an image.
    Region add_workspace(const Extents &extents, Element element = Element::float32, bool contiguous = false);

    const Placement &placement() const { return placement_; }
    Region input(const FusedOperation &fused, std::size_t index) const {
        return placement_.region(fused.inputs[index]);
    }
    const std::vector<Shape> &shapes() const { return shapes_; }
    const Shape &input_shape(const FusedOperation &fused, std::size_t input = 0) const {
        return shapes_[static_cast<std::size_t>(fused.inputs[input])];
    }
    const Shape &result_shape(const FusedOperation &fused) const {
        return shapes_[static_cast<std::size_t>(fused.result)];
    }

    std::vector<Step> steps;

private:
    Placement &placement_;
    const std::vector<Shape> &shapes_;
    std::int64_t vector_width_;
};

} // namespace mpscnn::cpu
