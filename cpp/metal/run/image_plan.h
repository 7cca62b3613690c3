#pragma once

#include <memory>
#include <span>
#include <vector>

#include "metal/encoding/transfer.h"
#include "metal/run/lowering.h"
#include "metal/run/metal_plan.h"
#include "metal/run/slots.h"

namespace mpscnn::metal {

/// An input or output: the layout of its image in one pass, and the copy between image and array.
struct Port {
    engine::ValueId value = -1;
    Transfer transfer;

    const ImageLayout &layout() const { return transfer.layout(); }
};

/// The steps of a network whose tensors are images.
///
/// A texture array has a limited number of slices, so a large batch takes several passes. All passes have the
/// same size, because the extents of steps are fixed. Therefore the last pass recomputes some images instead
/// of being smaller. The units of a run are its passes. If one pass has more multiplications than a command
/// buffer may have, they are the inputs, steps and outputs of each pass.
class ImagePlan : public MetalPlan {
public:
    ImagePlan(std::shared_ptr<const LoweredNetwork> network, const std::vector<Shape> &input_shapes);
    ~ImagePlan() override;

    /// Return the peak size of the temporary images of a pass, including those inside steps. MPS shares
    /// memory between images that are not used at the same time.
    std::size_t arena_bytes() const override { return arena_bytes_; }

    const LoweredNetwork &network() const { return *network_; }
    const std::vector<Port> &inputs() const { return inputs_; }
    const std::vector<Port> &outputs() const { return outputs_; }
    const std::vector<StoredValue> &values() const { return values_; }
    const std::vector<std::unique_ptr<Step>> &steps() const { return steps_; }
    /// Return the steps in the order in which encode_pass() numbers them.
    std::vector<engine::StepDescription> describe_steps() const override;
    bool are_shared(std::span<const engine::TensorView> inputs,
                    std::span<const engine::TensorView> outputs) const override;
    void prepare(Slot &slot, std::span<const engine::TensorView> inputs,
                 std::span<const engine::TensorView> outputs, PageBuffers &buffers) const override;
    using MetalPlan::encode;
    void encode(id<MTLCommandBuffer> command_buffer, const Slot &slot, Part part) const override;
    engine::RunTimes run_steps_apart(Handlers &handlers, const Slot &slot) const override;
    /// Return the number of the first image of each pass.
    const std::vector<std::int64_t> &passes() const { return passes_; }

private:
    void lay_out_values();
    void count_readers();
    void make_ports();
    Operands operands_of(const LoweredLayer &layer) const;
    void bind_layers();
    void divide();
    std::size_t units_of_pass() const { return inputs_.size() + steps_.size() + outputs_.size(); }
    std::vector<double> multiplications_of_units() const;
    std::vector<bool> values_read_later() const;
    void encode_units(id<MTLCommandBuffer> command_buffer, const Slot &slot, Part part) const;
    std::size_t peak_bytes() const;

    std::shared_ptr<const LoweredNetwork> network_;
    std::vector<Port> inputs_, outputs_;
    /// All values. A value that a reshape only renames has no readers.
    std::vector<StoredValue> values_;
    std::vector<std::unique_ptr<Step>> steps_;
    std::vector<std::int64_t> passes_;
    /// True for each value that a later command buffer reads. Empty if no pass is divided.
    std::vector<bool> is_read_later_;
    std::size_t arena_bytes_ = 0;
};

/// Encode one pass into any command buffer. `give` makes the image of an input, and `take` reads the image of
/// an output. Both are called with the port's number, the port and its name. All commands are encoded inside
/// calls of `around(number, name, encode)`, where `number` is the step's number in
/// ImagePlan::describe_steps().
template <class Give, class Take, class Around>
void encode_pass(Encoding &encoding, const ImagePlan &plan, Give give, Take take, Around around) {
    const engine::Graph &graph = plan.network().graph;
    std::size_t number = 0;
    for (std::size_t i = 0; i < plan.inputs().size(); ++i, ++number) {
        const Port &port = plan.inputs()[i];
        const std::string &name = graph.inputs()[i].name;
        if (plan.values()[static_cast<std::size_t>(port.value)].readers > 0)
            around(number, name, [&] { give(i, port, name); });
    }
    for (std::size_t i = 0; i < plan.steps().size(); ++i, ++number)
        around(number, plan.network().layers[i].name, [&] { plan.steps()[i]->encode(encoding); });
    for (std::size_t i = 0; i < plan.outputs().size(); ++i, ++number) {
        const std::string &name = graph.value_name(graph.outputs()[i]);
        around(number, name, [&] { take(i, plan.outputs()[i], name); });
    }
}
template <class Give, class Take>
void encode_pass(Encoding &encoding, const ImagePlan &plan, Give give, Take take) {
    encode_pass(encoding, plan, give, take, [](std::size_t, const std::string &, auto encode) { encode(); });
}

} // namespace mpscnn::metal
