#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "metal/device/objc_ptr.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// The pipelines that the check of a device has compiled, in a file of the cache directory. Processes load
/// them instead of compiling the shaders again.
///
/// The file's name has a hash of the device, the system and the shaders, so a file for another one of
/// these is not used. It also has a hash of the file's content, so a damaged file is noticed and deleted.
/// Files are optional: if there is none, or none can be written, pipelines are compiled. Only GPUs of the
/// family Apple 7 and later have a file, on macOS 13 and later, because other programs report faults of such
/// files on other GPUs and systems.
class PipelineArchive {
public:
    using Descriptor = objc_ptr<MTLComputePipelineDescriptor *>;
    using Progress = std::function<void(std::size_t done, std::size_t all)>;

    /// `identity` names the device, the system and the shaders.
    PipelineArchive(objc_ptr<id<MTLDevice>> device, const std::string &identity);

    /// Return the pipeline from the file, or null. The first call loads the file.
    objc_ptr<id<MTLComputePipelineState>> find(MTLComputePipelineDescriptor *descriptor);

    /// Begin a collection of the pipelines that are made from now on, if the device has an archive. `write`
    /// writes them.
    void collect();
    /// Add a pipeline to the collection, if collect() has begun one. `found` is true for a pipeline from the
    /// file.
    void note(const Descriptor &descriptor, bool found);
    /// Replace the file by one with all collected pipelines, unless all of them come from the file.
    /// `progress` is called after each pipeline. If the file cannot be written, the log says why.
    void write(const Progress &progress);

    /// Do without the file, and leave it as it is.
    void ignore();
    /// Delete the file, and do without one.
    void forget();

private:
    bool is_supported() const;
    void load();
    bool add(std::size_t first, std::size_t all, const std::vector<Descriptor> &collected,
             const Progress &progress);
    void replace_file(const std::vector<Descriptor> &collected);
    std::vector<std::filesystem::path> files() const;

    objc_ptr<id<MTLDevice>> device_;
    std::string key_; ///< the first part of the file's name

    std::mutex mutex_; ///< guards the members below, except those that only `write` uses
    bool looked_ = false, disabled_ = false, collects_ = false;
    objc_ptr<id<MTLBinaryArchive>> loaded_;
    std::vector<Descriptor> collected_;
    std::size_t compiled_ = 0; ///< collected pipelines that the file did not have

    std::mutex writing_;
    objc_ptr<id<MTLBinaryArchive>> made_;
    std::size_t added_ = 0, written_ = 0; ///< numbers of collected and of compiled pipelines in `made_`
};

} // namespace mpscnn::metal
