#pragma once

#include <initializer_list>
#include <memory>
#include <vector>

#include "metal/arrays/array_program.h"
#include "metal/run/image_step.h"
#include "metal/run/lowering.h"
#include "metal/run/metal_plan.h"

namespace mpscnn::metal {

/// The steps of a network on arrays. Inputs and outputs are floats without gaps. The arrays of all other
/// values share one buffer. On a GPU with memory of its own, this buffer also has inputs and outputs, among
/// them weights and moments in training: each is copied once over the bus before or after the steps, because
/// several kernels read it.
class ArrayPlan : public MetalPlan {
public:
    ArrayPlan(std::shared_ptr<const ArrayNetwork> network, const std::vector<Shape> &input_shapes);
    ~ArrayPlan() override;

    std::size_t arena_bytes() const override { return arena_bytes_ + image_bytes_; }
    std::vector<engine::StepDescription> describe_steps() const override;
    bool are_shared(std::span<const engine::TensorView> inputs,
                    std::span<const engine::TensorView> outputs) const override;
    void prepare(Slot &slot, std::span<const engine::TensorView> inputs,
                 std::span<const engine::TensorView> outputs, PageBuffers &buffers) const override;
    using MetalPlan::encode;
    void encode(id<MTLCommandBuffer> command_buffer, const Slot &slot, Part part) const override;
    engine::RunTimes run_steps_apart(Handlers &handlers, const Slot &slot) const override;

private:
    /// The memory of an array: an input, an output, or a part of the arena.
    struct Place {
        enum class Kind { none, arena, input, output } kind = Kind::none;
        std::size_t index = 0; ///< number of the input or output, or offset in the arena
        DType type = DType::float32;
    };
    /// A kernel of a step, with its pipeline and tables.
    struct Kernel {
        ArrayStage stage;
        id<MTLComputePipelineState> pipeline = nil;
        objc_ptr<id<MTLBuffer>> table;
    };
    /// The step of one node.
    struct NodeStep {
        std::size_t node = 0;
        std::vector<engine::ValueId> values; ///< the arrays of the sources and then of the result
        /// Constant weights, whose buffers a kernel takes after the sources and before the result; null:
        /// none.
        const OwnLayer *own = nullptr;
        std::vector<Kernel> kernels;
        std::vector<std::size_t> scratch_bytes;
        std::vector<Place> scratch;
        std::unique_ptr<const ArrayStep> array_step; ///< if set, it is used instead of kernels
    };
    /// A copy between an array and an input or output.
    struct PortCopy {
        engine::ValueId array;
        std::size_t port;
    };

    ArrayOperand operand_of(engine::ValueId value) const;
    void require_countable() const;
    void bind_nodes();
    Choice choice_for(const engine::Node &node, Choice::Scope scope = Choice::Scope::arrays) const;
    void bind_program(NodeStep &step, const engine::Node &node) const;
    void bind_own(NodeStep &step, const OwnLayer &own) const;
    /// Add the kernels of an operation to a step.
    void add_kernels(NodeStep &step, const ops::Operation &operation, const ArrayOperands &operands,
                     const Choice &choice) const;
    void bind_layer(NodeStep &step, const LoweredLayer &layer) const;
    /// If an MPS kernel can compute a gradient, add it to the step and return true.
    bool bind_gradient(NodeStep &step, const engine::Node &node) const;
    /// Return the step for a convolution's gradient, or null if MPS does not compute it.
    std::unique_ptr<const ArrayStep> convolution_gradient(const engine::Node &node,
                                                          engine::ValueId result) const;
    std::unique_ptr<const ArrayStep> other_gradient(const engine::Node &node, engine::ValueId result) const;
    bool are_floats(const engine::Node &node, std::initializer_list<std::size_t> inputs,
                    engine::ValueId result) const;
    void place_ports();
    void place_arrays();
    void divide();
    const Place &place_of(engine::ValueId array) const { return places_[static_cast<std::size_t>(array)]; }
    ArrayView view_of(const Place &place, const Slot &slot) const;
    void encode_step(id<MTLCommandBuffer> command_buffer, const NodeStep &step, const Slot &slot) const;
    void encode_copy(id<MTLCommandBuffer> command_buffer, const PortCopy &copy, const Slot &slot) const;
    /// Copy inputs to the GPU's memory, before the first step.
    void encode_uploads(id<MTLCommandBuffer> command_buffer, const Slot &slot) const;
    /// Copy outputs from the GPU's memory, after the last step.
    void encode_downloads(id<MTLCommandBuffer> command_buffer, const Slot &slot) const;
    std::size_t bytes_of(const std::vector<PortCopy> &copies) const;
    std::string name_of(const NodeStep &step) const { return network_->graph.nodes()[step.node].name; }
    std::string name_of(const PortCopy &copy) const {
        return network_->graph.value_name(network_->graph.outputs()[copy.port]);
    }

    std::shared_ptr<const ArrayNetwork> network_;
    std::vector<NodeStep> steps_;
    std::vector<PortCopy> copies_;              ///< to outputs whose arrays are also other outputs, or inputs
    std::vector<PortCopy> uploads_, downloads_; ///< for a GPU with memory of its own
    std::vector<Place> places_;                 ///< the places of values that have a separate array
    std::size_t arena_bytes_ = 0, image_bytes_ = 0;
};

} // namespace mpscnn::metal
