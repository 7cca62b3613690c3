#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "cpu/plan/plan_memory.h"
#include "cpu/plan/step.h"
#include "engine/backend/backend.h"

namespace mpscnn::cpu {

/// The steps (kernel calls) of a network and the place of every tensor, for fixed input shapes. It is
/// immutable, and any executor may run it.
class CpuPlan : public engine::Plan {
public:
    /// Throws ShapeError if the kernels' tables need more memory than `max_memory` leaves after packed
    /// weights and the arena.
    CpuPlan(std::shared_ptr<const LoweredNetwork> network, const std::vector<Shape> &input_shapes,
            const ChainOptions &options, std::uint64_t max_memory);

    /// Return the plan for the same shapes with other options; it is made at first use.
    const CpuPlan &variant(const ChainOptions &options) const;

    std::size_t arena_bytes() const override { return arena_bytes_; }
    Json explain(int threads) const override;

    const LoweredNetwork &network() const { return *network_; }
    std::span<const Step> steps() const { return steps_; }
    std::span<const Storage> storages() const { return placement_.storages; }
    const std::vector<Shape> &input_shapes() const { return input_shapes_; }
    const std::vector<Shape> &output_shapes() const { return output_shapes_; }

    /// Return a number that no other plan of this process has.
    std::uint64_t number() const { return number_; }
    /// Throws ShapeError unless tensors have the plan's shapes and element types that the engine supports.
    void require_shapes(std::span<const engine::TensorView> inputs,
                        std::span<const engine::TensorView> outputs) const;
    std::int64_t batch() const { return input_shapes_[0][0]; }
    /// Return the number of threads for which the steps are prepared.
    int threads() const { return options_.threads; }
    /// True if the images of a batch may be computed in separate groups.
    bool images_are_independent() const { return images_are_independent_; }
    /// Return the number of floating-point operations of a run.
    std::int64_t operations() const { return operations_; }
    /// Return the plan for this many images of the batch. It is made at first use, by any thread, and lives
    /// as long as this plan.
    const CpuPlan &for_images(std::int64_t images) const;

private:
    void plan_arena();
    std::uint64_t memory_for_tables() const;
    void look_at_operations(const std::vector<Shape> &shapes);

    std::uint64_t number_;
    std::shared_ptr<const LoweredNetwork> network_; ///< also owns the packed weights to which the steps point
    std::vector<Shape> input_shapes_, output_shapes_;
    Placement placement_;
    PlanMemory prepared_; ///< memory of the steps' prepared data
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
