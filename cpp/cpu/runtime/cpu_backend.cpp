#include "cpu/runtime/cpu_backend.h"

#include "core/platform.h"
#include "core/text.h"
#include "cpu/machine/thread_pool.h"
#include "cpu/plan/cpu_plan.h"
#include "cpu/plan/shared_networks.h"
#include "cpu/runtime/batch_executor.h"
#include "cpu/runtime/convolve_signals.h"

namespace mpscnn::cpu {

namespace {

class CpuLoweredGraph : public engine::LoweredGraph {
public:
    CpuLoweredGraph(std::shared_ptr<const LoweredNetwork> network, std::uint64_t max_memory)
        : network_(std::move(network)), max_memory_(max_memory) {}

    std::unique_ptr<engine::Plan> plan(const std::vector<Shape> &input_shapes) const override {
        return std::make_unique<CpuPlan>(
            network_, input_shapes, ChainOptions{.threads = ThreadPool::automatic_threads()}, max_memory_);
    }
    std::unique_ptr<engine::Executor> executor(const engine::SessionOptions &options) const override {
        return std::make_unique<BatchExecutor>(options);
    }
    std::size_t weight_bytes() const override { return network_->weight_bytes; }

private:
    std::shared_ptr<const LoweredNetwork> network_;
    std::uint64_t max_memory_;
};

class CpuBackend : public engine::Backend {
public:
    explicit CpuBackend(const KernelTable &kernels) : kernels_(kernels) {}

    const char *name() const override { return "cpu"; }
    std::string device_name() const override {
        return concat({platform::processor_name(), " (", kernels_.name, ")"});
    }
    std::string why_no_bfloat16() const override {
        return kernels_.multiplies_bfloat16() ? "" : kernels_.why_no_bfloat16;
    }
    std::string bfloat16_sums() const override {
        return kernels_.multiplies_bfloat16() ? cpu::name_of(kernels_.bfloat16.products) : "";
    }
    std::unique_ptr<engine::LoweredGraph> lower(const engine::Graph &graph,
                                                const engine::LowerOptions &options) const override {
        return std::make_unique<CpuLoweredGraph>(shared_network(graph, options, kernels_),
                                                 options.max_memory);
    }
    void convolve(const ops::SignalConvolution &convolution, const engine::TensorView &signal,
                  const engine::TensorView &kernel, const engine::TensorView &result) const override {
        convolve_signals(kernels_, convolution, signal, kernel, result);
    }

private:
    const KernelTable &kernels_;
};

} // namespace

std::shared_ptr<const engine::Backend> make_cpu_backend(const char *instruction_set) {
    return std::make_shared<CpuBackend>(instruction_set ? kernels(instruction_set) : kernels());
}

} // namespace mpscnn::cpu
