#include "metal/device/pipeline_archive.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <system_error>

#include <signal.h>
#include <unistd.h>

#include "core/cache_directory.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "core/text_file.h"
#include "metal/device/text.h"

namespace mpscnn::metal {

namespace fs = std::filesystem;

namespace {

constexpr const char *extension = ".metalarchive", *unfinished = ".new";
/// A file for some 500 pipelines has a few megabytes.
constexpr std::uintmax_t max_bytes = std::uintmax_t(64) << 20;
/// The largest number of files in the directory. Each GPU, system and version has separate files.
constexpr std::size_t max_files = 4;

NSURL *url_of(const fs::path &path) { return [NSURL fileURLWithPath:string_of(path.string())]; }

objc_ptr<id<MTLBinaryArchive>> make_archive(id<MTLDevice> device, NSURL *url, NSError **error) {
    const auto descriptor = adopt([[MTLBinaryArchiveDescriptor alloc] init]);
    if (url) [descriptor.get() setUrl:url];
    return adopt([device newBinaryArchiveWithDescriptor:descriptor.get() error:error]);
}

objc_ptr<id<MTLComputePipelineState>> find_in(id<MTLBinaryArchive> archive, id<MTLDevice> device,
                                              MTLComputePipelineDescriptor *descriptor) {
    [descriptor setBinaryArchives:[NSArray arrayWithObject:archive]];
    NSError *ignored = nil;
    auto pipeline =
        adopt([device newComputePipelineStateWithDescriptor:descriptor
                                                    options:MTLPipelineOptionFailOnBinaryArchiveMiss
                                                 reflection:nullptr
                                                      error:&ignored]);
    [descriptor setBinaryArchives:nil];
    return pipeline;
}

/// Return the name of a file for these contents, or nothing for a file that is too large or cannot be read.
std::optional<std::string> name_for(const std::string &key, const fs::path &file) {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(file, error);
    if (error || size > max_bytes) return std::nullopt;
    const auto content = read_text_file(file.string());
    if (!content) return std::nullopt;
    return concat({key, "-", hashed_name(*content), extension});
}

void delete_file(const fs::path &file) {
    std::error_code ignored;
    fs::remove(file, ignored);
}

/// Return the directory's files with this extension, the newest first.
std::vector<fs::path> files_with(const char *wanted) {
    std::vector<std::pair<fs::file_time_type, fs::path>> found;
    std::error_code error;
    for (fs::directory_iterator entry(self_check_directory(), error), end; !error && entry != end;
         entry.increment(error)) {
        std::error_code ignored;
        if (entry->path().extension() == wanted)
            found.emplace_back(entry->last_write_time(ignored), entry->path());
    }
    std::sort(found.rbegin(), found.rend());
    std::vector<fs::path> files;
    for (auto &[time, path] : found) files.push_back(std::move(path));
    return files;
}

/// Return whether the process that wrote an unfinished file has ended.
bool is_left(const fs::path &file) {
    const std::string process = file.stem().extension().string(); // ".1234" of "KEY.1234.new"
    const long number = process.empty() ? 0 : std::strtol(process.c_str() + 1, nullptr, 10);
    return number <= 0 || (kill(static_cast<pid_t>(number), 0) != 0 && errno == ESRCH);
}

/// Delete unfinished files of processes that were killed. The process of a check writes its file after its
/// results are known, so another one may write at the same time.
void delete_unfinished(const std::string &key) {
    for (const fs::path &file : files_with(unfinished))
        if (file.filename().string().starts_with(concat({key, "."})) && is_left(file)) delete_file(file);
}

} // namespace

PipelineArchive::PipelineArchive(objc_ptr<id<MTLDevice>> device, const std::string &identity)
    : device_(std::move(device)), key_(hashed_name(identity)) {}

bool PipelineArchive::is_supported() const {
    if (@available(macOS 13.0, iOS 16.0, *)) return [device_.get() supportsFamily:MTLGPUFamilyApple7];
    return false;
}

std::vector<fs::path> PipelineArchive::files() const {
    std::vector<fs::path> files = files_with(extension);
    std::erase_if(files, [&](const fs::path &file) {
        return !file.filename().string().starts_with(concat({key_, "-"}));
    });
    return files;
}

void PipelineArchive::load() {
    for (const fs::path &file : files()) {
        NSError *error = nil;
        if (name_for(key_, file) == file.filename().string())
            loaded_ = make_archive(device_.get(), url_of(file), &error);
        if (loaded_) {
            log(LogLevel::information, concat({"compiled shaders are in ", file.string()}));
            return;
        }
        log(LogLevel::information, concat({"compiled shaders in ", file.string(), " are damaged (",
                                           text_of(error, "their hash differs"), "), so they are deleted"}));
        delete_file(file);
    }
}

objc_ptr<id<MTLComputePipelineState>> PipelineArchive::find(MTLComputePipelineDescriptor *descriptor) {
    objc_ptr<id<MTLBinaryArchive>> archive;
    {
        const std::lock_guard lock(mutex_);
        if (!std::exchange(looked_, true) && !disabled_ && is_supported()) load();
        archive = loaded_;
    }
    if (!archive) return {};
    return find_in(archive.get(), device_.get(), descriptor);
}

void PipelineArchive::collect() {
    const std::lock_guard lock(mutex_);
    collects_ = !disabled_ && is_supported();
}

void PipelineArchive::note(const Descriptor &descriptor, bool found) {
    const std::lock_guard lock(mutex_);
    if (!collects_) return;
    collected_.push_back(descriptor);
    compiled_ += !found;
}

/// Add pipelines to the new archive. Return false if one cannot be added. An archive is not documented to be
/// safe for several threads, so one thread adds them, while others may make more.
bool PipelineArchive::add(std::size_t first, std::size_t all, const std::vector<Descriptor> &collected,
                          const Progress &progress) {
    for (std::size_t i = first; i < all; ++i) {
        const autorelease_scope pool;
        NSError *error = nil;
        if (![made_.get() addComputePipelineFunctionsWithDescriptor:collected[i].get() error:&error]) {
            log(LogLevel::information,
                concat({"no file of compiled shaders is written: ", text_of(error, "no reason given")}));
            return false;
        }
        progress(i + 1, all);
    }
    return true;
}

/// Write the new archive to a file with a temporary name, check it, and rename it.
void PipelineArchive::replace_file(const std::vector<Descriptor> &collected) {
    const fs::path folder = self_check_directory();
    std::error_code failure;
    fs::create_directories(folder, failure);
    delete_unfinished(key_);
    const fs::path written = folder / concat({key_, ".", static_cast<std::int64_t>(getpid()), unfinished});
    NSError *error = nil;
    std::string reason;
    std::optional<std::string> name;
    if (![made_.get() serializeToURL:url_of(written) error:&error]) {
        reason = text_of(error, "no reason given");
    } else if (name = name_for(key_, written); !name) {
        reason = "the file is too large, or cannot be read";
    } else if (const auto again = make_archive(device_.get(), url_of(written), &error); !again) {
        reason = text_of(error, "the file cannot be read");
    } else if (!std::all_of(collected.begin(), collected.end(), [&](const Descriptor &descriptor) {
                   const auto copy = adopt([descriptor.get() copy]);
                   return static_cast<bool>(find_in(again.get(), device_.get(), copy.get()));
               })) {
        reason = "the file lacks some of them";
    }
    const std::vector<fs::path> old = files();
    if (reason.empty()) {
        fs::rename(written, folder / *name, failure);
        if (failure) reason = failure.message();
    }
    if (!reason.empty()) {
        delete_file(written);
        log(LogLevel::information, concat({"no file of compiled shaders is written: ", reason}));
        return;
    }
    for (const fs::path &file : old)
        if (file.filename() != *name) delete_file(file);
    const std::vector<fs::path> all = files_with(extension);
    for (std::size_t i = max_files; i < all.size(); ++i) delete_file(all[i]);
}

void PipelineArchive::write(const Progress &progress) {
    const std::lock_guard writing(writing_);
    const autorelease_scope pool;
    std::vector<Descriptor> collected;
    std::size_t compiled = 0;
    {
        const std::lock_guard lock(mutex_);
        if (!collects_ || compiled_ == written_) return;
        collected = collected_;
        compiled = compiled_;
    }
    NSError *error = nil;
    if (!made_) made_ = make_archive(device_.get(), nil, &error);
    if (!made_ || !add(added_, collected.size(), collected, progress)) {
        if (!made_)
            log(LogLevel::information, concat({"no file of compiled shaders is written: ",
                                               text_of(error, "Metal makes no archive")}));
        const std::lock_guard lock(mutex_);
        collects_ = false;
        return;
    }
    added_ = collected.size();
    written_ = compiled;
    replace_file(collected);
}

void PipelineArchive::ignore() {
    const std::lock_guard lock(mutex_);
    disabled_ = true;
    loaded_.reset();
}

void PipelineArchive::forget() {
    ignore();
    const std::lock_guard lock(mutex_);
    for (const fs::path &file : files()) delete_file(file);
    delete_unfinished(key_);
}

} // namespace mpscnn::metal
