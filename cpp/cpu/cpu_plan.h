#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cpu/step.h"
#include "engine/backend.h"

namespace mpscnn::cpu {

/// The steps of a network for fixed input shapes. Immutable; any executor may run it.
class CpuPlan : public engine::Plan {
public:
    CpuPlan(std::shared_ptr<const LoweredNetwork> network, const std::vector<Shape> &input_shapes);

    std::size_t arena_bytes() const override { return arena_bytes_; }

    const LoweredNetwork &network() const { return *network_; }
    std::span<const Step> steps() const { return steps_; }
    std::span<const Storage> storages() const { return storages_; }
    const std::vector<Shape> &input_shapes() const { return input_shapes_; }
    const std::vector<Shape> &output_shapes() const { return output_shapes_; }

private:
    void plan_arena();

    std::shared_ptr<const LoweredNetwork> network_; ///< the steps point into its packed weights
    std::vector<Shape> input_shapes_, output_shapes_;
    std::vector<Storage> storages_;
    std::vector<Step> steps_;
    std::size_t arena_bytes_ = 0;
};

} // namespace mpscnn::cpu
