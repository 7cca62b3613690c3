#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/backend/custom_kernel.h"
#include "engine/commands/command_buffer.h"
#include "engine/commands/host_image_memory.h"

namespace mpscnn::engine {

class HostCommand;

/// The state that a queue's commands share while they run on its thread. A device that can record commands
/// runs them later: when one of them needs the processor, and at the end of their buffer.
class HostRunner {
public:
    HostRunner(const Backend &backend, int threads) : threads_(threads), recording_(backend.record()) {}

    /// Call command.run. The command is kept until the device no longer needs it.
    void run(std::unique_ptr<HostCommand> command);
    /// Block until the device has run all commands.
    void finish();
    /// Drop commands that have not begun to run.
    void discard();

    // The following functions are for commands.

    void run(const LoweredGraph &lowered, const Plan &plan, std::span<const TensorView> inputs,
             std::span<const TensorView> outputs);
    void run(const CustomRun &run) { recording_->run(run); }
    /// True if the device records the plan.
    bool records(const Plan &plan) const { return recording_ && recording_->takes(plan); }

private:
    int threads_;
    std::unique_ptr<Recording> recording_;
    std::vector<std::unique_ptr<HostCommand>> recorded_;
    /// All kernels share one executor, because their arenas are small and they run one after another.
    std::unique_ptr<Executor> executor_;
    const Plan *prepared_ = nullptr;
};

/// The device that a queue's kernels are compiled for.
struct KernelTarget {
    explicit KernelTarget(BackendChoice chosen)
        : choice(std::move(chosen)), identity(choice.backend->identity()) {}

    BackendChoice choice;
    std::string identity; ///< Backend::identity(), which takes time to compute
};

/// A region of an image that a command reads or writes. It keeps the image's memory alive.
struct HostRegion {
    std::shared_ptr<HostImageMemory> memory;
    ImageRegion region;
    int rank = 4;
};

/// A command that a buffer holds until the queue runs it. It has copies of all data that it needs.
class HostCommand {
public:
    virtual ~HostCommand() = default;
    virtual void run(HostRunner &runner) = 0;
};

/// Return the memory of an image, which must be main memory. Throws StateError for an image in a device's
/// memory.
std::shared_ptr<HostImageMemory> host_memory(const Image &image);

/// Return the memory of an image for access by the calling program. Throws StateError for an image in a
/// device's memory, for a temporary image, and for an image that a committed command buffer uses.
std::shared_ptr<HostImageMemory> accessible_host_memory(const Image &image);

std::unique_ptr<HostCommand> make_kernel_command(Kernel &kernel, const kernels::Encoding &encoding,
                                                 std::span<const ImagePointer> sources,
                                                 const ImagePointer &destination,
                                                 const BatchNormalizationStatePointer &state,
                                                 const KernelTarget &target);
std::unique_ptr<HostCommand> make_statistics_command(Kernel &kernel, const kernels::Encoding &encoding,
                                                     const ImagePointer &source,
                                                     const BatchNormalizationState &destination,
                                                     const KernelTarget &target);
std::unique_ptr<HostCommand> make_session_command(const std::shared_ptr<Session> &session,
                                                  std::span<const ImagePointer> inputs,
                                                  std::span<const ImagePointer> outputs);
std::unique_ptr<HostCommand> make_custom_command(const std::shared_ptr<const CustomKernel> &kernel,
                                                 std::span<const CustomArgument *const> arguments,
                                                 const CustomGrid &grid);

} // namespace mpscnn::engine
