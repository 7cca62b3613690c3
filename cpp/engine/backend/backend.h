#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/failure.h"
#include "core/work_sharing.h"
#include "engine/backend/execution_profile.h"
#include "engine/backend/implementations.h"
#include "engine/graph/graph.h"
#include "ops/signal.h"

namespace mpscnn::engine {

/// The arithmetic of a program; see docs/definitions.md, "Numbers".
enum class Precision {
    float32,
    float16,  ///< half weights, float32 sums, results rounded to half at the rounding points of
              ///< docs/definitions.md
    bfloat16, ///< bf16 dot products, float32 sums; results that convolutions and dense layers read are
              ///< rounded to bfloat16
    int8      ///< quantised networks with integers, like TensorFlow Lite's reference kernels
};

inline constexpr std::array all_precisions{Precision::float32, Precision::float16, Precision::bfloat16,
                                           Precision::int8};

const char *name_of(Precision precision);

/// The number type in which convolutions and dense layers accumulate their sums.
enum class Sums {
    float32,
    float16 ///< for Precision::float16 only; a phone's GPU may also sum in halves
};

/// Addresses of the first byte of a tensor and of the byte after its last one.
struct MemoryRange {
    std::uintptr_t first, behind;
};

/// The caller's memory of an input or output. Strides are in bytes, one for each axis.
struct TensorView {
    void *data = nullptr;
    DType type = DType::float32; ///< float32 or float16; signals: float32 or float64
    Shape shape;
    std::array<std::ptrdiff_t, Shape::max_rank> strides{};

    /// Return a row-major view without gaps.
    static TensorView dense(void *data, DType type, const Shape &shape);
    bool is_dense() const;
    /// Return nothing if strides lead outside the address space. Extents must be at least 1.
    std::optional<MemoryRange> memory_range() const;
};

/// Name and shape of an input or output.
struct Port {
    std::string name;
    Shape shape; ///< extents may be free (Shape::any)
};

/// The kernels that compute convolutions on Metal.
enum class MetalKernels {
    mps, ///< kernels of MPS where MPS supports the layer
    own  ///< this library's kernels on arrays, where there are some
};
const char *name_of(MetalKernels kernels);

struct LowerOptions {
    Precision precision = Precision::float32;
    /// Limit in bytes for packed weights, a plan's tables and its arena.
    std::uint64_t max_memory = UINT64_MAX;
    Sums sums = Sums::float32;
    bool winograd = true; ///< true: convolutions may use Winograd's algorithm if it is faster
    MetalKernels metal_kernels = MetalKernels::mps;
};

struct SessionOptions {
    /// 0: the number that was fastest in timed runs, at most one for each core that the process may use.
    int threads = 0;
    /// True: a NaN or infinity in a layer's result is an error that names the first such layer.
    bool check_finite = false;
    int inflight = 3;             ///< requests in flight, for devices that work asynchronously
    std::uint64_t max_memory = 0; ///< like LowerOptions::max_memory; 0: the program's limit
};

/// A backend's preparation for one combination of input shapes: memory layout and kernel choices. It is
/// immutable.
class Plan {
public:
    virtual ~Plan() = default;
    /// Return the bytes of a session's arena for intermediate results.
    virtual std::size_t arena_bytes() const = 0;
    /// Explain how a session with this many threads (0: one for each core that the process may use) computes
    /// each layer; see mpscnn_program_explain. Throws UnsupportedError unless the backend chooses between
    /// kernels itself.
    virtual Json explain(int threads) const;
};

/// Throws ShapeError unless tensors have the shapes of a plan's inputs or outputs. `role` is "input" or
/// "output".
void require_plan_shapes(const char *role, const std::vector<Shape> &expected,
                         std::span<const TensorView> given);

/// A function that is called once when a request has ended, from any thread. The argument is the failure, or
/// none. The function must not throw.
using Completion = std::function<void(Failure failure)>;

/// One caller's execution state on a device: arena, threads or command queue. Only one thread at a time may
/// use it.
class Executor {
public:
    virtual ~Executor() = default;
    /// Prepare memory for `plan`, so that a later run of this plan allocates nothing. On devices that need
    /// to know the arrays, this may do nothing; then the first run allocates.
    virtual void prepare(const Plan &plan) = 0;
    /// Run the plan and block until it is done. Inputs and outputs have the plan's shapes, and any data types
    /// and strides.
    virtual void run(const Plan &plan, std::span<const TensorView> inputs,
                     std::span<const TensorView> outputs) = 0;
    /// Start a run. Nobody may change or free inputs and outputs until `done` is called. Blocks while the
    /// session has its largest number of runs in flight. Throws, without calling `done`, if the run cannot
    /// start. This default is for devices that compute on the calling thread.
    virtual void submit(const Plan &plan, std::span<const TensorView> inputs,
                        std::span<const TensorView> outputs, Completion done) {
        const Completion call = std::move(done);
        run(plan, inputs, outputs);
        call({});
    }
    /// Distribute work that precedes or follows a run among the threads. The default runs it on the calling
    /// thread.
    virtual void share(std::int64_t items, std::int64_t chunk, const RangeWork &work) {
        run_on_calling_thread(items, chunk, work);
    }
    /// Run at least once without a profiler hook and then `runs` times, and return the time of each step. The
    /// outputs are written. Throws UnsupportedError unless the backend supports it.
    virtual ExecutionProfile profile(const Plan &plan, std::span<const TensorView> inputs,
                                     std::span<const TensorView> outputs, int runs);
};

struct CustomKernelSource; // custom_kernel.h
class CustomKernel;
struct CustomRun;

/// A sequence of runs that a device executes one after another without waiting for the processor. Each run
/// sees the results of earlier ones. One thread uses it; plans, kernels and memory must not change until
/// `finish` or `discard`. If a run uses memory that the device cannot access, `run` returns
/// only when this run and all earlier ones have finished.
class Recording {
public:
    virtual ~Recording() = default;
    /// True if the plan belongs to this device.
    virtual bool takes(const Plan &plan) const = 0;
    /// Append a run. Unlike Executor::run it may return before anything has run.
    virtual void run(const Plan &plan, std::span<const TensorView> inputs,
                     std::span<const TensorView> outputs) = 0;
    virtual void run(const CustomRun &run) = 0;
    /// Block until all runs have finished, and begin a new recording. Throws their failure.
    virtual void finish() = 0;
    /// Drop runs that have not begun.
    virtual void discard() = 0;
};

class NativeRun; // native_run.h

/// A graph that a backend has prepared, with packed weights and chosen kernels. It is immutable, so several
/// threads may use it.
class LoweredGraph {
public:
    virtual ~LoweredGraph() = default;
    virtual std::unique_ptr<Plan> plan(const std::vector<Shape> &input_shapes) const = 0;
    virtual std::unique_ptr<Executor> executor(const SessionOptions &options) const = 0;
    /// Return the bytes of packed weights.
    virtual std::size_t weight_bytes() const = 0;
};

/// An engine that runs graphs. It gets only graphs that canonicalise() has made (engine/graph/passes.h),
/// whose weights are complete. They contain no feature that ops/unsupported.h lists as unsupported by this
/// engine.
class Backend {
public:
    static constexpr const char *no_bfloat16 = "it computes in float32 and float16";

    virtual ~Backend() = default;
    /// Return "cpu", "metal" or "coreml", a string literal.
    virtual const char *name() const = 0;
    /// Return the device's name for display: "AMD EPYC, avx2", "Apple M2".
    virtual std::string device_name() const = 0;
    /// Return why the device cannot run programs in bfloat16 precision, or an empty text if it can.
    virtual std::string why_no_bfloat16() const { return no_bfloat16; }
    /// Return how dot products of bfloat16 numbers are summed (docs/precision.md), or an empty text if the
    /// device has none.
    virtual std::string bfloat16_sums() const { return {}; }
    /// Return a text that changes whenever results may change: with the device, the operating system, and
    /// code that is compiled at run time.
    virtual std::string identity() const { return device_name(); }
    /// Return the implementations that may compute layers. A backend with a single way to compute each layer
    /// refuses none.
    virtual const Implementations &implementations() const;
    /// Return the same device restricted to these implementations, or null for a backend with one way to
    /// compute each layer. If all implementations of a layer are refused, `lower` and `plan` throw
    /// UnsupportedError.
    virtual std::shared_ptr<const Backend> with(const Implementations &) const { return nullptr; }
    virtual std::unique_ptr<LoweredGraph> lower(const Graph &graph, const LowerOptions &options) const = 0;
    /// Return a new recording if the device need not wait for the processor between runs. Return null if runs
    /// use the calling thread.
    virtual std::unique_ptr<Recording> record() const { return nullptr; }
    /// Compile a user's kernel. Throws ParameterError with the compiler's message, and UnsupportedError
    /// unless the backend's device supports users' kernels.
    virtual std::shared_ptr<const CustomKernel> compile(const CustomKernelSource &source) const;
    /// Prepare a run on images of the program that embeds mpscnn. `inputs` are its images, one for each of
    /// the ports. Throws ParameterError or ShapeError for images that cannot be a network's inputs, and
    /// UnsupportedError unless the backend's device has images.
    virtual std::unique_ptr<NativeRun> native_run(void *inputs, std::span<const Port> ports) const;
    /// Convolve a signal. The tensors have been checked: they have no gaps and one type (float32 or float64),
    /// and do not overlap. Throws UnsupportedError unless the backend supports it.
    virtual void convolve(const ops::SignalConvolution &convolution, const TensorView &signal,
                          const TensorView &kernel, const TensorView &result) const;
    /// Begin to compile in the background what a check of this device needs, and keep it in the cache
    /// directory for later processes. The work ends when the returned object is destroyed. `progress` is
    /// called from other threads. Return null if nothing is compiled at run time.
    virtual std::shared_ptr<void>
    compile_ahead(const std::function<void(std::size_t done, std::size_t all)> &progress) const {
        static_cast<void>(progress);
        return nullptr;
    }
    /// Return why "auto" does not choose this device before somebody has had it checked; empty for a device
    /// that may be chosen.
    virtual std::string why_not_automatic() const { return ""; }
    /// Do without what compile_ahead has kept, in this process.
    virtual void ignore_compiled() const {}
    /// Delete what compile_ahead has kept, and do without it in this process.
    virtual void delete_compiled() const {}
};

/// A device that programs can be compiled for, or the reason why there is none.
struct DeviceDescription {
    /// The name by which users select it: "cpu", "metal", "metal:0x100000abc".
    std::string name;
    std::string description;          ///< for display: "Apple M2"
    std::string reason;               ///< why it cannot be used; empty when it can
    std::string no_bfloat16 = {};     ///< Backend::why_no_bfloat16()
    std::string bfloat16_sums = {};   ///< Backend::bfloat16_sums()
    Json properties = Json::object(); ///< further properties that its backend reports
};

} // namespace mpscnn::engine
