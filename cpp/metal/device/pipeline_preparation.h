#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "metal/device/library.h"

namespace mpscnn::metal {

/// Makes pipelines of all shader functions in the background, in several threads, and writes them to the
/// archive. The destructor ends that work, and adds the other pipelines that the process has made to the
/// archive.
class PipelinePreparation {
public:
    /// `progress` is called from several threads.
    PipelinePreparation(ShaderLibrary &shaders, PipelineArchive::Progress progress);
    ~PipelinePreparation();
    PipelinePreparation(const PipelinePreparation &) = delete;
    PipelinePreparation &operator=(const PipelinePreparation &) = delete;

private:
    void prepare() noexcept;
    void make_pipelines() noexcept;
    void write() noexcept;

    ShaderLibrary &shaders_;
    PipelineArchive::Progress progress_;
    std::vector<std::string> functions_;
    std::atomic<std::size_t> next_{0}, made_{0};
    std::atomic<bool> stops_{false};
    std::thread thread_;
};

} // namespace mpscnn::metal
