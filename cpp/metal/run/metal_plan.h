#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "metal/device/device.h"
#include "metal/device/page_buffers.h"
#include "metal/encoding/encoding.h"

namespace mpscnn::metal {

struct Slot;    // from slots.h
class Handlers; // from request.h

/// A network for fixed input shapes, on images or on arrays. It is immutable, and any executor may run it.
class MetalPlan : public engine::Plan {
public:
    MetalPlan(std::shared_ptr<Device> device, std::string name, const engine::Graph &graph,
              const std::vector<Shape> &input_shapes);

    const std::shared_ptr<Device> &device() const { return device_; }
    /// Return the network's name, which labels command buffers.
    const std::string &name() const { return name_; }
    const std::vector<Shape> &input_shapes() const { return input_shapes_; }
    const std::vector<Shape> &output_shapes() const { return output_shapes_; }
    /// Throws ShapeError unless the arrays have the plan's shapes.
    void require_shapes(std::span<const engine::TensorView> inputs,
                        std::span<const engine::TensorView> outputs) const;

    /// Return descriptions of the parts of a run, in order: steps, and copies of inputs and outputs.
    virtual std::vector<engine::StepDescription> describe_steps() const = 0;
    /// True if the GPU can access all of these arrays directly.
    virtual bool are_shared(std::span<const engine::TensorView> inputs,
                            std::span<const engine::TensorView> outputs) const = 0;
    /// Provide memory for the arrays. Inputs that need a copy are copied now.
    virtual void prepare(Slot &slot, std::span<const engine::TensorView> inputs,
                         std::span<const engine::TensorView> outputs, PageBuffers &buffers) const = 0;
    /// A run of consecutive units, which one command buffer takes. A unit is a pass or a step.
    struct Part {
        std::size_t first, behind;
    };
    /// Return the parts of a run, each for one command buffer. macOS ends command buffers that take seconds,
    /// so a part has at most most_multiplications(), unless it is a single unit.
    const std::vector<Part> &parts() const { return parts_; }
    virtual void encode(id<MTLCommandBuffer> command_buffer, const Slot &slot, Part part) const = 0;
    /// Encode the whole run into one command buffer.
    void encode(id<MTLCommandBuffer> command_buffer, const Slot &slot) const {
        encode(command_buffer, slot, {parts_.front().first, parts_.back().behind});
    }
    /// Run once, with every part in a separate command buffer in each pass. Wait for each one and return the
    /// GPU's times. The caller sets `duration`.
    virtual engine::RunTimes run_steps_apart(Handlers &handlers, const Slot &slot) const = 0;

    /// Let the shaders of a run share encoders while the returned object exists. Return null if errors are
    /// looked for: then each layer has its own encoders, which an error can name.
    std::unique_ptr<SharedEncoder> share_encoder(id<MTLCommandBuffer> command_buffer) const {
        return device_->looks_for_errors() ? nullptr : std::make_unique<SharedEncoder>(command_buffer);
    }

protected:
    /// Return the shapes of all values.
    const std::vector<Shape> &shapes() const { return shapes_; }
    /// Divide a run into parts. `multiplications` has the number for each unit. Units without any, such as
    /// copies, are in the part of the unit before them.
    void set_parts(const std::vector<double> &multiplications);

private:
    std::vector<Part> parts_;
    std::shared_ptr<Device> device_;
    std::string name_;
    std::vector<Shape> input_shapes_, output_shapes_, shapes_;
};

/// Return the largest number of multiplications of a command buffer. The default, 20 thousand million, takes
/// an integrated GPU of Intel's some tenths of a second. MPSCNN_METAL_GMACS sets another number, in thousand
/// millions. Throws ParameterError unless it is a positive number.
double most_multiplications();

/// Return the plan as this backend's type. Throws StateError for a plan of another backend.
const MetalPlan &own_plan(const engine::Plan &plan);

/// Encodes the parts of a run into separate command buffers, and measures their times.
class TimedRun {
public:
    TimedRun(const std::shared_ptr<Device> &device, Handlers &handlers, std::size_t steps)
        : device_(device), handlers_(handlers) {
        times_.steps.resize(steps);
    }

    /// Call encode(command buffer) for step `number`, commit, and wait for it.
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
    double start_ = 0; ///< start of the first command buffer, in seconds
};

} // namespace mpscnn::metal
