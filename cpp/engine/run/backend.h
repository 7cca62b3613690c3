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
#include "engine/graph/graph.h"
#include "engine/run/execution_profile.h"
#include "ops/signal.h"

namespace mpscnn::engine {

/// Arithmetic of a program, see docs/architecture.md, "Numbers".
enum class Precision {
    float32,
    float16,  ///< half weights, float32 sums, results rounded to half at the rounding points
    bfloat16, ///< bf16 dot products, float32 sums, results that products follow rounded to such
    int8      ///< quantised networks in their integers, as TensorFlow Lite's reference kernels compute them
};

inline constexpr std::array all_precisions{Precision::float32, Precision::float16, Precision::bfloat16,
                                           Precision::int8};

const char *name_of(Precision precision);

/// The numbers in which products of convolutions and dense layers are summed.
enum class Sums {
    float32,
    float16 ///< for Precision::float16: what a phone's GPU may do
};

/// Addresses of a tensor's first byte and of the one after its last.
struct MemoryRange {
    std::uintptr_t first, behind;
};

/// Memory of a tensor handed in or out by the caller. Strides are in bytes, one for each axis.
struct TensorView {
    void *data = nullptr;
    DType type = DType::float32; ///< float32 or float16; signals: float32 or float64
    Shape shape;
    std::array<std::ptrdiff_t, Shape::max_rank> strides{};

    /// Row-major without gaps.
    static TensorView dense(void *data, DType type, const Shape &shape);
    bool is_dense() const;
    /// Nothing where strides lead beyond what addresses can say. Extents must be at least 1.
    std::optional<MemoryRange> memory_range() const;
};

/// Name and shape of an input or output.
struct Port {
    std::string name;
    Shape shape; ///< free extents included
};

struct LowerOptions {
    Precision precision = Precision::float32;
    std::uint64_t max_memory = UINT64_MAX; ///< bytes, for packed weights, a plan's tables and its arena
    Sums sums = Sums::float32;
    bool winograd = true; ///< whether convolutions may take Winograd's algorithm, where that takes less time
};

struct SessionOptions {
    int threads = 0; ///< 0: one for each core that the process may use
    bool check_finite =
        false;        ///< a NaN or infinity in a layer's result is an error naming the first such layer
    int inflight = 3; ///< requests in flight, where a device works on its own
    std::uint64_t max_memory = 0; ///< as of the program; 0: its own limit
};

/// A backend's preparation for one combination of input shapes: memory layout, kernel choices. Immutable.
class Plan {
public:
    virtual ~Plan() = default;
    /// Bytes of intermediate results that live in a session's arena.
    virtual std::size_t arena_bytes() const = 0;
    /// Explain how a session with this many threads (0: the best number) computes each layer; see
    /// mpscnn_program_explain. Throws UnsupportedError unless the backend chooses on its own.
    virtual Json explain(int threads) const;
};

/// Called once when a request is done, from any thread: with nothing, or with what went wrong. Must not
/// throw.
using Completion = std::function<void(Failure failure)>;

/// One caller's execution state on a device: arena, threads or command queue. Not for concurrent use.
class Executor {
public:
    virtual ~Executor() = default;
    /// Prepares memory for `plan`; a later run of this plan allocates nothing.
    virtual void prepare(const Plan &plan) = 0;
    /// Inputs and outputs have the plan's shapes; data types and strides as given. Blocks until done.
    virtual void run(const Plan &plan, std::span<const TensorView> inputs,
                     std::span<const TensorView> outputs) = 0;
    /// Starts a run. Nobody may change or free inputs and outputs until `done` is called. Blocks while the
    /// session has its largest number of runs in flight. Throws, without calling `done`, if the run cannot
    /// start. This default is for devices that compute on the calling thread.
    virtual void submit(const Plan &plan, std::span<const TensorView> inputs,
                        std::span<const TensorView> outputs, Completion done) {
        const Completion call = std::move(done);
        run(plan, inputs, outputs);
        call({});
    }
    /// A WorkSharing for what comes before and after a run. Here: by the calling thread.
    virtual void share(std::int64_t items, std::int64_t chunk, const RangeWork &work) {
        share_with_nobody(items, chunk, work);
    }
    /// Runs at least once without hook, then `runs` times, and returns how long each step took. The outputs
    /// are written. Throws UnsupportedError unless a backend can do it.
    virtual ExecutionProfile profile(const Plan &plan, std::span<const TensorView> inputs,
                                     std::span<const TensorView> outputs, int runs);
};

struct CustomKernelSource; // custom_kernel.h
class CustomKernel;
struct CustomRun;

/// Runs that a device does one after the other without the processor between them. Each sees what those
/// before it wrote. One thread uses it; plans, kernels and memory must not change until `finish` or
/// `discard`. A run on memory that the device cannot reach has finished, with all before it, when its call
/// returns.
class Recording {
public:
    virtual ~Recording() = default;
    /// Whether the plan is for this device.
    virtual bool takes(const Plan &plan) const = 0;
    /// As Executor::run, but may return before anything has run.
    virtual void run(const Plan &plan, std::span<const TensorView> inputs,
                     std::span<const TensorView> outputs) = 0;
    virtual void run(const CustomRun &run) = 0;
    /// Blocks until all has run, and begins again. Throws what went wrong.
    virtual void finish() = 0;
    /// Forgets what has not begun to run.
    virtual void discard() = 0;
};

class NativeRun; // native_run.h

/// A graph prepared by a backend: packed weights, chosen kernels. Immutable and safe to use from several
/// threads.
class LoweredGraph {
public:
    virtual ~LoweredGraph() = default;
    virtual std::unique_ptr<Plan> plan(const std::vector<Shape> &input_shapes) const = 0;
    virtual std::unique_ptr<Executor> executor(const SessionOptions &options) const = 0;
    /// Bytes of packed weights.
    virtual std::size_t weight_bytes() const = 0;
};

/// An engine that runs graphs. It sees only canonical graphs (engine/graph/passes.h): weights complete,
/// windows in window.h's form, batch normalization folded where possible, activations attached, and nothing
/// that the table of unsupported features (ops/unsupported.h) has under its name.
class Backend {
public:
    static constexpr const char *no_bfloat16 = "it computes in float32 and float16";

    virtual ~Backend() = default;
    /// "cpu" or "metal": a literal.
    virtual const char *name() const = 0;
    /// The device it runs on, to be shown: "AMD EPYC, avx2", "Apple M2".
    virtual std::string device_name() const = 0;
    /// Why its device cannot run programs in bfloat16 precision; empty where it can.
    virtual std::string why_no_bfloat16() const { return no_bfloat16; }
    /// How its products of bfloat16 numbers are summed (docs/precision.md); empty without any.
    virtual std::string bfloat16_sums() const { return {}; }
    /// Why the device computes slower than it could, where its user can change that; else empty.
    virtual std::string warning() const { return {}; }
    /// Changes whenever answers might: with the device, the system and what is compiled at run time.
    virtual std::string identity() const { return device_name(); }
    virtual std::unique_ptr<LoweredGraph> lower(const Graph &graph, const LowerOptions &options) const = 0;
    /// For a device that need not wait for the processor between runs; nothing for one that is the calling
    /// thread's.
    virtual std::unique_ptr<Recording> record() const { return nullptr; }
    /// Throws ParameterError with the compiler's message, and UnsupportedError unless the backend's device
    /// runs kernels of users'.
    virtual std::shared_ptr<const CustomKernel> compile(const CustomKernelSource &source) const;
    /// `inputs` are images of the program that embeds mpscnn, one for each of the ports. Throws
    /// ParameterError or ShapeError for images that cannot be a network's inputs, and UnsupportedError unless
    /// the backend's device has images.
    virtual std::unique_ptr<NativeRun> native_run(void *inputs, std::span<const Port> ports) const;
    /// Tensors are without gaps, of one type (float32 or float64), checked, and do not overlap. Throws
    /// UnsupportedError unless a backend can do it.
    virtual void convolve(const ops::SignalConvolution &convolution, const TensorView &signal,
                          const TensorView &kernel, const TensorView &result) const;
};

/// A device that programs can be compiled for, or the reason why there is none.
struct DeviceDescription {
    std::string name;                 ///< what a user asks for: "cpu", "metal", "metal:0x100000abc"
    std::string description;          ///< to be shown: "Apple M2"
    std::string reason;               ///< why it cannot be used; empty when it can
    std::string no_bfloat16 = {};     ///< Backend::why_no_bfloat16()
    std::string bfloat16_sums = {};   ///< Backend::bfloat16_sums()
    Json properties = Json::object(); ///< what its backend knows of it
};

/// The backend that a user's choice ("auto", "cpu", "metal", "metal:Apple M2") resolves to, with the reason.
struct BackendChoice {
    std::shared_ptr<const Backend> backend;
    Precision precision;
    std::string reason;
    /// Why a device that is there was not chosen, or Backend::warning(), where somebody should know.
    std::string warning = {};
};

/// Names of the backends that this build has, "cpu" first.
std::vector<std::string> built_backends();

/// All devices of this machine, "cpu" first; at least one entry for each backend that mpscnn has anywhere.
std::vector<DeviceDescription> list_devices();

/// The one place that knows which backends exist. "auto": what the environment variable MPSCNN_DEVICE names,
/// else Metal where a device of it is trusted (device_trust.h), else the CPU, with what kept it from Metal as
/// the reason. Throws DeviceError with the remedy for a device that is not there or that answered wrongly,
/// and ParameterError for an unknown name.
BackendChoice choose_backend(const std::string &device, const std::string &precision);

/// Compares a device's answers with the CPU engine's in this process, whatever is on record, and puts right
/// ones there. Returns what a check program writes then (device_trust.h). Throws DeviceError for a device
/// that is not there or answers wrongly, and ParameterError for "auto", "cpu" and unknown names.
std::string check_device(const std::string &device);

/// A device and a queue of the program that embeds mpscnn: an id<MTLDevice> and an id<MTLCommandQueue>, of
/// which one may be null. Throws UnsupportedError where there is no Metal engine, ParameterError for a queue
/// of another device, and DeviceError for a device that cannot run networks or that answered wrongly.
BackendChoice choose_native_backend(void *device, void *queue, const std::string &precision);

} // namespace mpscnn::engine
