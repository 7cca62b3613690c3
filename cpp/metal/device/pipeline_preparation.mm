#include "metal/device/pipeline_preparation.h"

#include <algorithm>
#include <exception>

#include "core/log.h"
#include "core/text.h"
#include "metal/device/exceptions.h"

namespace mpscnn::metal {

namespace {

/// Return how many threads make pipelines. One core is left for the cases of the check.
std::size_t thread_count() {
    constexpr unsigned int maximum = 8;
    return std::clamp(std::thread::hardware_concurrency(), 2u, maximum + 1) - 1;
}

} // namespace

PipelinePreparation::PipelinePreparation(ShaderLibrary &shaders, PipelineArchive::Progress progress)
    : shaders_(shaders), progress_(std::move(progress)) {
    shaders_.archive().collect();
    shaders_.use_all_compilers();
    thread_ = std::thread([this] { prepare(); });
}

PipelinePreparation::~PipelinePreparation() {
    stops_ = true;
    thread_.join();
    write();
}

void PipelinePreparation::prepare() noexcept {
    std::vector<std::thread> threads;
    try {
        functions_ = with_framework_errors([&] { return shaders_.functions(); });
        progress_(0, functions_.size());
    } catch (const std::exception &) { // all cases fail, too, and report it
        return;
    }
    try {
        for (std::size_t i = 1; i < thread_count(); ++i) threads.emplace_back([this] { make_pipelines(); });
    } catch (const std::exception &) { // fewer threads do the same work
    }
    make_pipelines();
    for (std::thread &thread : threads) thread.join();
    write();
}

void PipelinePreparation::make_pipelines() noexcept {
    while (!stops_) {
        const std::size_t number = next_++;
        if (number >= functions_.size()) return;
        try {
            shaders_.pipeline(functions_[number]);
            progress_(++made_, functions_.size());
        } catch (const std::exception &) { // the case that needs this function fails, too, and reports it
        }
    }
}

void PipelinePreparation::write() noexcept {
    try {
        with_framework_errors([&] { shaders_.archive().write(progress_); });
    } catch (const std::exception &error) {
        log(LogLevel::information, concat({"no file of compiled shaders is written: ", error.what()}));
    }
}

} // namespace mpscnn::metal
