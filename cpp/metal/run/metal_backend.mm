#include "metal/run/metal_backend.h"

#include "metal/device/device_list.h"
#include "metal/device/exceptions.h"
#include "metal/device/pipeline_preparation.h"
#include "metal/run/array_plan.h"
#include "metal/run/caller_run.h"
#include "metal/run/image_plan.h"
#include "metal/run/metal_executor.h"
#include "metal/run/recording.h"
#include "metal/run/signal.h"

namespace mpscnn::metal {

namespace {

/// A lowered network on images (LoweredNetwork, ImagePlan) or on arrays (ArrayNetwork, ArrayPlan).
template <class Network, class PlanOfNetwork> class MetalLoweredGraph : public engine::LoweredGraph {
public:
    explicit MetalLoweredGraph(std::shared_ptr<const Network> network) : network_(std::move(network)) {}

    std::unique_ptr<engine::Plan> plan(const std::vector<Shape> &input_shapes) const override {
        return with_framework_errors([&] { return std::make_unique<PlanOfNetwork>(network_, input_shapes); });
    }
    std::unique_ptr<engine::Executor> executor(const engine::SessionOptions &options) const override {
        return std::make_unique<MetalExecutor>(network_->device, options);
    }
    std::size_t weight_bytes() const override { return network_->weight_bytes; }

private:
    std::shared_ptr<const Network> network_;
};

class MetalBackend : public engine::Backend {
public:
    explicit MetalBackend(std::shared_ptr<Device> device, engine::Implementations implementations = {})
        : device_(std::move(device)),
          implementations_(std::make_shared<const engine::Implementations>(std::move(implementations))) {}

    const char *name() const override { return "metal"; }
    std::string device_name() const override { return device_->name(); }
    std::string identity() const override { return device_->identity(); }
    const engine::Implementations &implementations() const override { return *implementations_; }
    std::shared_ptr<const engine::Backend>
    with(const engine::Implementations &implementations) const override {
        return std::make_shared<MetalBackend>(device_, implementations);
    }
    std::unique_ptr<engine::LoweredGraph> lower(const engine::Graph &graph,
                                                const engine::LowerOptions &options) const override {
        return with_framework_errors([&]() -> std::unique_ptr<engine::LoweredGraph> {
            if (needs_arrays(graph) || options.metal_kernels == engine::MetalKernels::own)
                return std::make_unique<MetalLoweredGraph<ArrayNetwork, ArrayPlan>>(
                    lower_arrays(graph, options, device_, implementations_));
            return std::make_unique<MetalLoweredGraph<LoweredNetwork, ImagePlan>>(
                lower_network(graph, options, device_, implementations_));
        });
    }

    std::shared_ptr<void>
    compile_ahead(const std::function<void(std::size_t done, std::size_t all)> &progress) const override {
        return with_framework_errors(
            [&] { return std::make_shared<PipelinePreparation>(device_->shaders(), progress); });
    }
    std::string why_not_automatic() const override {
        if (!device_->is_paravirtual()) return "";
        return "it is the GPU of a virtual machine, which \"auto\" takes only after its check was asked for";
    }
    void ignore_compiled() const override { device_->shaders().archive().ignore(); }
    void delete_compiled() const override { device_->shaders().archive().forget(); }

    void convolve(const ops::SignalConvolution &convolution, const engine::TensorView &signal,
                  const engine::TensorView &kernel, const engine::TensorView &result) const override {
        with_framework_errors([&] { convolve_signals(device_, convolution, signal, kernel, result); });
    }
    std::unique_ptr<engine::Recording> record() const override {
        return std::make_unique<MetalRecording>(device_);
    }
    std::unique_ptr<engine::NativeRun> native_run(void *inputs,
                                                  std::span<const engine::Port> ports) const override {
        return with_framework_errors(
            [&] { return std::make_unique<CallerRun>(static_cast<NSArray *>(inputs), ports); });
    }
    std::shared_ptr<const engine::CustomKernel>
    compile(const engine::CustomKernelSource &source) const override {
        device_->require_usable();
        return with_framework_errors([&] { return device_->custom_kernels().get(device_, source); });
    }

private:
    std::shared_ptr<Device> device_;
    std::shared_ptr<const engine::Implementations> implementations_;
};

} // namespace

std::shared_ptr<const engine::Backend> make_metal_backend(const std::string &wanted) {
    return with_framework_errors([&] { return std::make_shared<MetalBackend>(Device::open(wanted)); });
}

std::shared_ptr<const engine::Backend> make_native_backend(void *given_device, void *given_queue) {
    return with_framework_errors([&] {
        const autorelease_scope pool;
        auto device = static_cast<id<MTLDevice>>(given_device);
        auto queue = static_cast<id<MTLCommandQueue>>(given_queue);
        if (!device && !queue)
            fail(ErrorKind::parameter, "device and queue are nil; at least one must be given");
        if (device && queue && [queue device] != device)
            fail(ErrorKind::parameter, {"queue belongs to Metal device ", full_name_of([queue device]),
                                        ", not to the given ", full_name_of(device)});
        return std::make_shared<MetalBackend>(Device::of(device ? device : [queue device], queue));
    });
}

std::vector<engine::DeviceDescription> list_devices() { return with_framework_errors(describe_devices); }

void *device_of(void *queue) {
    const autorelease_scope pool;
    return [static_cast<id<MTLCommandQueue>>(queue) device];
}

} // namespace mpscnn::metal
