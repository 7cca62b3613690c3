#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/native_run.h"
#include "engine/graph/passes.h"
#include "engine/graph/scores.h"
#include "engine/run/backends.h"
#include "engine/run/request.h"

namespace mpscnn::engine {

struct CompileOptions {
    std::string device = "auto";
    std::string precision = "auto";
    std::string weights = "auto"; ///< "int8": 8-bit weights, see byte_weights.h
    std::string accumulate_dtype =
        "auto";           ///< the type of sums (Sums): "float32", "float16", or "auto" for "float32"
    bool winograd = true; ///< allow Winograd's algorithm, see LowerOptions::winograd
    std::string metal_kernels = "mps";  ///< "mps" or "own", see LowerOptions::metal_kernels
    bool neural_engine = false;         ///< true: "auto" may choose Core ML on the neural engine
    std::vector<std::string> outputs{}; ///< layers whose results are wanted; empty: the graph's outputs
    /// Maximum bytes of packed weights and one session's arena together; 0: the memory that this process may
    /// use
    std::uint64_t max_memory = 0;
};

/// Return the form of a network that backends get for this precision.
Canonical canonical_for(Graph network, Precision precision);

/// A network compiled for a device. Several threads may use it, and its users cannot change it. It keeps a
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
    /// Return the type in which convolutions and dense layers accumulate their sums.
    Sums sums() const { return sums_; }
    /// Return whether Winograd's algorithm is allowed (LowerOptions::winograd).
    bool winograd() const { return winograd_; }
    /// Return which kernels compute convolutions on Metal (LowerOptions::metal_kernels).
    MetalKernels metal_kernels() const { return metal_kernels_; }
    std::uint64_t max_memory() const { return max_memory_; }
    /// Return the reason why this device and precision were chosen.
    const std::string &reason() const { return choice_.reason; }
    /// Return whether neither the user nor MPSCNN_DEVICE named the device.
    bool is_automatic() const { return choice_.automatic; }
    /// Return the warning for users (BackendChoice::warning), or an empty text.
    const std::string &warning() const { return choice_.warning; }
    const std::vector<Port> &inputs() const { return inputs_; }
    const std::vector<Port> &outputs() const { return outputs_; }
    const LoweredGraph &lowered() const { return *lowered_; }
    const Graph &graph() const { return graph_; }
    /// Return the function whose results the only output has; see scores_of.
    std::optional<Scores> scores() const { return scores_; }
    /// Return the layers of the original network that a node of graph() computes; the node's own layer comes
    /// first.
    std::vector<std::string> layers_of(const std::string &node) const;

    struct Planned {
        std::vector<Shape> input_shapes, output_shapes;
        std::unique_ptr<Plan> plan;
    };
    /// Return the plan for these input shapes; it is made at its first use. Throws ShapeError, with the
    /// input's name, for a wrong shape, and for a plan that needs more than max_memory().
    std::shared_ptr<const Planned> plan_for(const std::vector<Shape> &input_shapes);
    /// Throws ShapeError, with the needed and the allowed bytes, if weights and the plan's arena take more
    /// than `max_memory` bytes.
    void require_memory(const Planned &planned, std::uint64_t max_memory) const;
    /// Throws UnsupportedError if the processor computes some of the layers, because such a run cannot be
    /// encoded into the caller's command buffers.
    void require_one_stage() const;
    /// Return the images that can receive the results for these input images; see Backend::native_run.
    std::vector<NativeImage> output_images(void *inputs);

private:
    Program(const Canonical &canonical, BackendChoice choice, const CompileOptions &options);
    void check_inputs(const std::vector<Shape> &shapes) const;
    /// Lower the graph for the chosen device. The CPU engine gets layers that the device has no
    /// implementation for; reason() and warning() then name them.
    std::unique_ptr<LoweredGraph> lower(const Graph &graph, const LowerOptions &options);

    Graph graph_; ///< canonical and without weights; contains only the nodes that the outputs need
    std::optional<Scores> scores_;
    /// The layers that were merged into others; see Canonical.
    std::map<std::string, std::vector<std::string>> merged_;
    BackendChoice choice_;
    bool weights_in_bytes_;
    Sums sums_;
    bool winograd_;
    MetalKernels metal_kernels_;
    std::uint64_t max_memory_;
    bool in_stages_ = false; ///< true if the processor computes some layers between the device's layers
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
    /// Read the inputs and write the outputs. This allocates nothing if the shapes are the same as in the
    /// previous run, except objects of Metal on a GPU.
    void run(std::span<const TensorView> inputs, std::span<const TensorView> outputs);
    /// Submit a run, which may return before the outputs are written; see Executor::submit.
    std::shared_ptr<Request> submit(std::span<const TensorView> inputs, std::span<const TensorView> outputs);
    /// Prepare runs with inputs of these shapes; the inputs' memory is not accessed. Throws the errors that
    /// such a run would throw for its shapes.
    void prepare(std::span<const TensorView> inputs);
    /// Distribute work among the threads that the last run used (WorkSharing).
    void share(std::int64_t items, std::int64_t chunk, const RangeWork &work);
    /// Run `runs` times with a profiler hook, and return the time of every step. The outputs are written.
    Profile profile(std::span<const TensorView> inputs, std::span<const TensorView> outputs, int runs);
    /// Append a run to a command buffer of the application that embeds mpscnn; see NativeRun.
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
