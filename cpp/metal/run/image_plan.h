#pragma once

#include <memory>
#include <vector>

#include "metal/encoding/transfer.h"
#include "metal/run/lowering.h"
#include "metal/run/metal_plan.h"

namespace mpscnn::metal {

/// An input or output: the layout of its image in one pass, and the conversion between image and array.
struct Port {
    engine::ValueId value = -1;
    Transfer transfer;

    const ImageLayout &layout() const { return transfer.layout(); }
};

/// The steps of a network whose tensors are images.
///
/// A texture array has a limited number of slices, so a large batch takes several passes. All passes have the
/// same size, so that steps know their extents. The last pass recomputes some images instead of being
/// smaller.
class ImagePlan : public MetalPlan {
public:
    ImagePlan(std::shared_ptr<const LoweredNetwork> network, const std::vector<Shape> &input_shapes);
    ~ImagePlan() override;

    /// Return the peak size of the temporary images of a pass, including those inside steps; MPS shares their
    /// memory.
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
    void encode(id<MTLCommandBuffer> command_buffer, const Slot &slot) const override;
    engine::RunTimes run_steps_apart(Handlers &handlers, const Slot &slot) const override;
    /// Return the first image of each pass.
    const std::vector<std::int64_t> &passes() const { return passes_; }

private:
    void lay_out_values();
    void count_readers();
    void make_ports();
    Operands operands_of(const LoweredLayer &layer) const;
    void bind_layers();
    std::size_t peak_bytes() const;

    std::shared_ptr<const LoweredNetwork> network_;
    std::vector<Port> inputs_, outputs_;
    std::vector<StoredValue> values_; ///< by ValueId; a value that a reshape only renames has no readers
    std::vector<std::unique_ptr<Step>> steps_;
    std::vector<std::int64_t> passes_;
    std::size_t arena_bytes_ = 0;
};

} // namespace mpscnn::metal
