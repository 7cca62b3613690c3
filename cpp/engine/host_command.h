#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/command_buffer.h"
#include "engine/host_image_memory.h"

namespace mpscnn::engine {

/// What the commands of a queue share while they run, on its thread.
class HostRunner {
public:
    explicit HostRunner(int threads) : threads_(threads) {}

    void run(const LoweredGraph &lowered, const Plan &plan, std::span<const TensorView> inputs,
             std::span<const TensorView> outputs);

private:
    int threads_;
    std::unique_ptr<Executor>
        executor_; ///< one for all kernels: their arenas are small and follow each other
    const Plan *prepared_ = nullptr;
};

/// What a queue's kernels are compiled for.
struct KernelTarget {
    explicit KernelTarget(BackendChoice chosen)
        : choice(std::move(chosen)), identity(choice.backend->identity()) {}

    BackendChoice choice;
    std::string identity; ///< the backend's, which takes time to find out
};

/// A region of an image that a command reads or writes; keeps the memory alive.
struct HostRegion {
    std::shared_ptr<HostImageMemory> memory;
    ImageRegion region;
    int rank = 4;
};

/// An encoded command with copies of all it needs.
class HostCommand {
public:
    virtual ~HostCommand() = default;
    virtual void run(HostRunner &runner) = 0;
};

/// The memory of an image, which must be main memory. Throws StateError for one that a device has.
std::shared_ptr<HostImageMemory> host_memory(const Image &image);

/// The same for the program: StateError for a temporary image and one that a committed command buffer uses.
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

} // namespace mpscnn::engine
