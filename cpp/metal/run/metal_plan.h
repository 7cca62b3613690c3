#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/run/backend.h"
#include "metal/device/device.h"
#include "metal/device/page_buffers.h"

namespace mpscnn::metal {

struct Slot;    // slots.h
class Handlers; // request.h

/// A network for fixed input shapes, whatever its tensors lie in. Immutable; any executor may run it.
class MetalPlan : public engine::Plan {
public:
    MetalPlan(std::shared_ptr<Device> device, std::string name, const engine::Graph &graph,
              const std::vector<Shape> &input_shapes);

    const std::shared_ptr<Device> &device() const { return device_; }
    /// Of the network: what command buffers are labelled with.
    const std::string &name() const { return name_; }
    const std::vector<Shape> &input_shapes() const { return input_shapes_; }
    const std::vector<Shape> &output_shapes() const { return output_shapes_; }
    /// Throws ShapeError unless the arrays have the plan's shapes.
    void require_shapes(std::span<const engine::TensorView> inputs,
                        std::span<const engine::TensorView> outputs) const;

    /// Inputs, steps, outputs.
    virtual std::vector<engine::StepDescription> describe_steps() const = 0;
    /// Whether the GPU works on all of these arrays where they lie.
    virtual bool are_shared(std::span<const engine::TensorView> inputs,
                            std::span<const engine::TensorView> outputs) const = 0;
    /// Makes memory for the arrays; inputs are read where they must be copied.
    virtual void prepare(Slot &slot, std::span<const engine::TensorView> inputs,
                         std::span<const engine::TensorView> outputs, PageBuffers &buffers) const = 0;
    virtual void encode(id<MTLCommandBuffer> command_buffer, const Slot &slot) const = 0;
    /// Runs once with every input, step and output in a command buffer of its own, waits for each and gives
    /// the GPU's times. `duration` is left to the caller.
    virtual engine::RunTimes run_steps_apart(Handlers &handlers, const Slot &slot) const = 0;

protected:
    /// Of all values.
    const std::vector<Shape> &shapes() const { return shapes_; }

private:
    std::shared_ptr<Device> device_;
    std::string name_;
    std::vector<Shape> input_shapes_, output_shapes_, shapes_;
};

/// The plan as this backend made it. Throws StateError for one of another backend.
const MetalPlan &own_plan(const engine::Plan &plan);

/// Command buffers of their own for the parts of a run, and their times.
class TimedRun {
public:
    TimedRun(const std::shared_ptr<Device> &device, Handlers &handlers, std::size_t steps)
        : device_(device), handlers_(handlers) {
        times_.steps.resize(steps);
    }

    /// Calls encode(command buffer) and waits for what it encoded, step `number`.
    template <class Encode> void step(std::size_t number, const std::string &name, Encode encode) {
        const autorelease_scope pool;
        id<MTLCommandBuffer> command_buffer = begin(name);
        encode(command_buffer);
        finish(command_buffer, number);
    }
    engine::RunTimes take() { return std::move(times_); }

private:
    id<MTLCommandBuffer> begin(const std::string &name) const;
    void finish(id<MTLCommandBuffer> command_buffer, std::size_t number);

    const std::shared_ptr<Device> &device_;
    Handlers &handlers_;
    engine::RunTimes times_;
    double start_ = 0; ///< of the first command buffer, in seconds
};

} // namespace mpscnn::metal
