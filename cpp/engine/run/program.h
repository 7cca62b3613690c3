#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/graph/passes.h"
#include "engine/run/backend.h"
#include "engine/run/native_run.h"
#include "engine/run/request.h"

namespace mpscnn::engine {

struct CompileOptions {
    std::string device = "auto";
    std::string precision = "auto";
    std::string weights = "auto";          ///< "int8": see byte_weights.h
    std::string accumulate_dtype = "auto"; ///< the name of Sums; "auto": "float32"
    bool winograd = true;                  ///< LowerOptions::winograd
    std::string metal_kernels = "mps";     ///< the name of LowerOptions::metal_kernels
    std::vector<std::string> outputs;      ///< layers whose results are wanted; empty: the graph's outputs
    /// Maximum bytes of packed weights and one session's arena together; 0: the memory that this process may
    /// use
    std::uint64_t max_memory = 0;
};

/// A network compiled for a device. It is immutable for its users, and several threads may use it. It keeps a
/// plan for each combination of input shapes (batch included).
class Program {
public:
    static std::shared_ptr<Program> compile(const Graph &graph, const CompileOptions &options);
    /// Compile for this backend; the options' device and precision are ignored.
    static std::shared_ptr<Program> compile(const Graph &graph, BackendChoice choice,
                                            const CompileOptions &options = {});

    const std::string &name() const { return graph_.name(); }
    const Backend &backend() const { return *choice_.backend; }
    Precision precision() const { return choice_.precision; }
    /// Return the type in which weights of convolutions and dense layers are stored: "int8", or the
    /// precision's name.
    const char *weight_type() const { return weights_in_bytes_ ? "int8" : name_of(precision()); }
    /// Return the type in which products of convolutions and dense layers are summed.
    Sums sums() const { return sums_; }
    /// LowerOptions::winograd.
    bool winograd() const { return winograd_; }
    /// LowerOptions::metal_kernels.
    MetalKernels metal_kernels() const { return metal_kernels_; }
    std::uint64_t max_memory() const { return max_memory_; }
    /// Return the reason for this device and precision.
    const std::string &reason() const { return choice_.reason; }
    /// BackendChoice::warning.
    const std::string &warning() const { return choice_.warning; }
    const std::vector<Port> &inputs() const { return inputs_; }
    const std::vector<Port> &outputs() const { return outputs_; }
    const LoweredGraph &lowered() const { return *lowered_; }
    const Graph &graph() const { return graph_; }
    /// Return the layers of the original network that a node of graph() computes; the node's own layer comes
    /// first.
    std::vector<std::string> layers_of(const std::string &node) const;

    struct Planned {
        std::vector<Shape> input_shapes, output_shapes;
        std::unique_ptr<Plan> plan;
    };
    /// The plan for these input shapes, made at first use. Throws ShapeError naming the input, and for a plan
    /// beyond max_memory().
    std::shared_ptr<const Planned> plan_for(const std::vector<Shape> &input_shapes);
    /// Throws ShapeError, with both numbers, if weights and the plan's arena take more than `most` bytes.
    void require_memory(const Planned &planned, std::uint64_t most) const;
    /// Throws UnsupportedError where the processor computes some of the layers: commands of the caller's
    /// cannot hold such a run.
    void require_one_stage() const;
    /// Return the images for results of these inputs; see Backend::native_run.
    std::vector<NativeImage> output_images(void *inputs);

private:
    Program(const Canonical &canonical, BackendChoice choice, const CompileOptions &options);
    void check_inputs(const std::vector<Shape> &shapes) const;
    /// Layers without an implementation on the device go to the CPU engine, which reason() and warning()
    /// tell.
    std::unique_ptr<LoweredGraph> lower(const Graph &graph, const LowerOptions &options);

    Graph graph_; ///< canonical, and only the part that the outputs need; the backend has the weights
    std::map<std::string, std::vector<std::string>> merged_; ///< as in Canonical
    BackendChoice choice_;
    bool weights_in_bytes_;
    Sums sums_;
    bool winograd_;
    MetalKernels metal_kernels_;
    std::uint64_t max_memory_;
    bool in_stages_ = false; ///< the processor works between parts of a run
    std::vector<Port> inputs_, outputs_;
    std::unique_ptr<LoweredGraph> lowered_;
    std::mutex mutex_;
    std::map<std::vector<Shape>, std::shared_ptr<const Planned>> plans_;
};

struct Profile; // profile.h

/// A caller's state for running a program. Concurrent use throws StateError.
class Session {
public:
    Session(std::shared_ptr<Program> program, const SessionOptions &options);

    const std::shared_ptr<Program> &program() const { return program_; }
    /// Read the inputs and write the outputs. Allocates nothing if the shapes are those of the previous run.
    void run(std::span<const TensorView> inputs, std::span<const TensorView> outputs);
    /// The same, but it may return before the outputs are written; see Executor::submit.
    std::shared_ptr<Request> submit(std::span<const TensorView> inputs, std::span<const TensorView> outputs);
    /// Prepare runs with inputs of these shapes; their memory is not accessed. Throws the errors of such a
    /// run for its shapes.
    void prepare(std::span<const TensorView> inputs);
    /// A WorkSharing that uses the threads of the last run.
    void share(std::int64_t items, std::int64_t chunk, const RangeWork &work);
    /// Run `runs` times with a profiler hook, and return the time of every step. The outputs are written.
    Profile profile(std::span<const TensorView> inputs, std::span<const TensorView> outputs, int runs);
    /// Append a run to commands of the program that embeds mpscnn; see NativeRun.
    void encode(void *commands, void *inputs, void *outputs);

private:
    const Program::Planned &checked_plan(std::span<const TensorView> inputs,
                                         std::span<const TensorView> outputs);
    const Program::Planned &planned_for(std::span<const TensorView> inputs);

    std::shared_ptr<Program> program_;
    std::uint64_t max_memory_;
    std::unique_ptr<Executor> executor_;
    std::shared_ptr<const Program::Planned> current_;
    std::atomic<bool> busy_{false};
};

} // namespace mpscnn::engine
