#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "cpu/plan/plan_memory.h"
#include "cpu/plan/step.h"
#include "engine/run/backend.h"

namespace mpscnn::cpu {

/// The steps of a network for fixed input shapes. Immutable; any executor may run it.
class CpuPlan : public engine::Plan {
public:
    /// Throws ShapeError when the tables of its kernels take more than packed weights and arena leave of
    /// `max_memory`.
    CpuPlan(std::shared_ptr<const LoweredNetwork> network, const std::vector<Shape> &input_shapes,
            const ChainOptions &options, std::uint64_t max_memory);

    /// The plan for the same shapes and other options, made at first use.
    const CpuPlan &variant(const ChainOptions &options) const;

    std::size_t arena_bytes() const override { return arena_bytes_; }
    Json explain(int threads) const override;

    const LoweredNetwork &network() const { return *network_; }
    std::span<const Step> steps() const { return steps_; }
    std::span<const Storage> storages() const { return placement_.storages; }
    const std::vector<Shape> &input_shapes() const { return input_shapes_; }
    const std::vector<Shape> &output_shapes() const { return output_shapes_; }

    /// No other plan of this process has it.
    std::uint64_t number() const { return number_; }
    /// Throws ShapeError unless tensors have the plan's shapes and types that the engine reads and writes.
    void require_shapes(std::span<const engine::TensorView> inputs,
                        std::span<const engine::TensorView> outputs) const;
    std::int64_t batch() const { return input_shapes_[0][0]; }
    /// Of a run: what its steps are prepared for.
    int threads() const { return options_.threads; }
    /// Whether the images of a batch may be computed in parts.
    bool images_are_independent() const { return images_are_independent_; }
    /// Floating-point operations of a run.
    std::int64_t operations() const { return operations_; }
    /// The plan for this many of the batch's images. Made when it is first asked for, by any thread; lives as
    /// long as this plan.
    const CpuPlan &for_images(std::int64_t images) const;

private:
    void plan_arena();
    std::uint64_t memory_for_tables() const;
    void look_at_operations(const std::vector<Shape> &shapes);

    std::uint64_t number_;
    std::shared_ptr<const LoweredNetwork> network_; ///< the steps point into its packed weights
    std::vector<Shape> input_shapes_, output_shapes_;
    Placement placement_;
    PlanMemory prepared_; ///< of the steps
    std::vector<Step> steps_;
    std::size_t arena_bytes_ = 0;
    bool images_are_independent_ = true;
    std::int64_t operations_ = 0;
    mutable std::mutex parts_mutex_;
    mutable std::map<std::int64_t, std::unique_ptr<const CpuPlan>> parts_; ///< by number of images
    const ChainOptions options_;
    const std::uint64_t max_memory_;
    mutable std::mutex variants_mutex_;
    mutable std::vector<std::unique_ptr<const CpuPlan>> variants_;
};

/// Throws StateError for a plan of another backend.
const CpuPlan &own_plan(const engine::Plan &plan);

} // namespace mpscnn::cpu
