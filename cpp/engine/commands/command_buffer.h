#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/failure.h"
#include "engine/commands/batch_normalization_state.h"
#include "engine/commands/custom_arguments.h"
#include "engine/commands/image.h"
#include "engine/commands/kernel.h"
#include "engine/run/program.h"

namespace mpscnn::engine {

/// The states of a command buffer, with the numbers of MTLCommandBufferStatus.
enum class CommandStatus {
    not_enqueued = 0,
    enqueued = 1,
    committed = 2,
    scheduled = 3,
    completed = 4,
    error = 5
};

const char *name_of(CommandStatus status);

/// The reason why a command buffer failed. The codes have the values of MTLCommandBufferError.
struct CommandError {
    static constexpr int internal = 1, out_of_memory = 8;

    int code = internal;
    std::string message;
};

/// A sequence of kernels for a device, MTLCommandBuffer. Nothing runs before the buffer is committed. One
/// thread encodes; any thread may read the status and wait. Kernels' properties are copied when they are
/// encoded.
class CommandBuffer {
public:
    using Handler = std::function<void()>;

    virtual ~CommandBuffer() = default;
    CommandBuffer(const CommandBuffer &) = delete;
    CommandBuffer &operator=(const CommandBuffer &) = delete;

    virtual CommandStatus status() const = 0;
    virtual std::optional<CommandError> error() const = 0;
    /// Reserve this buffer's place in the execution order of its queue.
    virtual void enqueue() = 0;
    virtual void commit() = 0;
    /// Block until the work is done and the handlers have run. Throws the work's failure, and StateError
    /// unless the buffer is committed.
    virtual void wait_until_completed() = 0;
    /// Register a handler that is called when the work is done or has failed, on one of the queue's threads.
    /// Throws StateError once the buffer is committed.
    virtual void add_completed_handler(Handler handler) = 0;

    /// Append a kernel. A temporary image's read count decreases by the number of times that the kernel reads
    /// it. If there is a `state`, the kernel uses the state's statistics.
    void encode(Kernel &kernel, std::span<const ImagePointer> sources, const ImagePointer &destination,
                const BatchNormalizationStatePointer &state = nullptr);
    /// Append a kernel that adds the statistics of the source to a state.
    void encode_statistics(Kernel &kernel, const ImagePointer &source,
                           const BatchNormalizationStatePointer &state);
    /// Append a run of a whole network, which reads `inputs` and writes `outputs`, one image for each input
    /// and output of the session's program.
    void encode(const std::shared_ptr<Session> &session, std::span<const ImagePointer> inputs,
                std::span<const ImagePointer> outputs);

    /// Append a kernel of the user. The memory of its arguments must not change until the buffer is
    /// completed.
    void encode(const std::shared_ptr<const CustomKernel> &kernel, std::span<const CustomArgument> arguments,
                const CustomGrid &grid);

    /// Throws StateError if the buffer is already committed.
    void require_recording() const;
    /// Return an object that identifies the queue and exists as long as the queue.
    virtual std::weak_ptr<const void> queue() const = 0;

protected:
    CommandBuffer() = default;
    virtual void encode_kernel(Kernel &kernel, const kernels::Encoding &encoding,
                               std::span<const ImagePointer> sources, const ImagePointer &destination,
                               const BatchNormalizationStatePointer &state) = 0;
    virtual void encode_kernel(Kernel &kernel, const kernels::Encoding &encoding, const ImagePointer &source,
                               const BatchNormalizationStatePointer &destination) = 0;
    /// Append a user's kernel to the device's commands; `arguments` are in the order of the kernel's
    /// parameters. Throws unless the kernel is for the queue's device.
    virtual void encode_custom(const std::shared_ptr<const CustomKernel> &kernel,
                               std::span<const CustomArgument *const> arguments, const CustomGrid &grid) = 0;
    virtual void encode_session(const std::shared_ptr<Session> &session, std::span<const ImagePointer> inputs,
                                std::span<const ImagePointer> outputs) = 0;

private:
    void require_images(const std::string &encoder, std::span<const ImagePointer> sources,
                        std::span<const ImagePointer> destinations) const;
};

struct QueueOptions {
    std::string device = "auto";
    int threads = 0; ///< threads of the CPU device, as in SessionOptions
};

/// MTLCommandQueue: runs command buffers one after the other, in the order in which they were enqueued.
class CommandQueue {
public:
    static std::shared_ptr<CommandQueue> create(const QueueOptions &options);

    virtual ~CommandQueue() = default;
    virtual const std::string &device() const = 0;
    virtual std::shared_ptr<CommandBuffer> command_buffer() = 0;
    /// Block until every committed buffer is completed.
    virtual void wait_until_idle() = 0;
};

} // namespace mpscnn::engine
