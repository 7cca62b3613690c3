#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/backend/custom_kernel.h"
#include "metal/device/device.h"

namespace mpscnn::metal {

class MetalCustomKernel : public engine::CustomKernel {
public:
    /// Compile a kernel. Throws ParameterError for source that does not compile, a function that is missing
    /// or not a kernel, and constants that are missing, not declared or do not fit their types. Throws
    /// UnsupportedError for types of parameters and constants that cannot be passed, and DeviceError if Metal
    /// fails.
    MetalCustomKernel(std::shared_ptr<Device> device, const engine::CustomKernelSource &source);
    ~MetalCustomKernel() override;

    const std::string &function() const override { return function_; }
    const std::vector<engine::CustomParameter> &parameters() const override { return parameters_; }
    std::string backend() const override { return "metal"; }
    std::string identity() const override { return device_->identity(); }
    std::int64_t max_threads() const override;
    engine::GridSize max_threads_along() const override;
    std::int64_t threads_at_once() const override;

    id<MTLComputePipelineState> pipeline() const { return pipeline_.get(); }

private:
    std::shared_ptr<Device> device_;
    std::string function_;
    objc_ptr<id<MTLComputePipelineState>> pipeline_;
    std::vector<engine::CustomParameter> parameters_;
};

/// Caches the compiled custom kernels of a device that are in use. The same source, function and constants
/// are compiled once.
class CustomKernels {
public:
    std::shared_ptr<const MetalCustomKernel> get(const std::shared_ptr<Device> &device,
                                                 const engine::CustomKernelSource &source);

private:
    std::mutex mutex_;
    std::map<std::string, std::weak_ptr<const MetalCustomKernel>> kernels_;
};

} // namespace mpscnn::metal
