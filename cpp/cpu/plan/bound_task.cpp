#include "cpu/plan/bound_task.h"

#include <utility>

namespace mpscnn::cpu {

/// Sets the tensors of a task.
class BoundTask::Binder {
public:
    Binder(BoundTask &bound, const Step &step, std::span<const Storage> storages,
           std::span<const Binding> bindings)
        : bound_(bound), step_(step), storages_(storages), bindings_(bindings) {}

    View bind(const Region &region) const {
        const auto index = static_cast<std::size_t>(region.storage);
        return region.bind(bindings_[index], storages_[index]);
    }

    // Sets the tensors of a task other than source and destination.
    template <class Other> void bind_others(Other &own) {
        if constexpr (requires { own.others; })
            for (std::size_t i = 0; i < step_.others.size(); ++i) own.others[i] = bind(step_.others[i]);
    }
    void bind_others(ArithmeticTask &own) { // the second operand may be a constant
        if (!step_.others.empty()) own.second = bind(step_.others[0]);
    }
    void bind_others(DropoutTask &own) {
        if (own.reads_step) own.step = bind(step_.others[0]);
    }
    void bind_others(IntegerSumTask &own) { own.second = bind(step_.others[0]); }
    void bind_others(IntegerProductTask &own) { own.second = bind(step_.others[0]); }
    void bind_others(IntegerMatrixProductTask &own) { own.second = bind(step_.others[0]); }
    void bind_others(InterleaveTask &own) { own.second = bind(step_.others[0]); }
    void bind_others(MatrixProductTask &own) { own.second = bind(step_.others[0]); }
    void bind_others(TakeAlongTask &own) { own.second = bind(step_.others[0]); }
    void bind_others(NormalizationTask &own) {
        own.second = bind(step_.others[0]);
        bind_gamma_and_beta(own, 1);
    }
    void bind_others(LayerNormalizationTask &own) { bind_gamma_and_beta(own, 0); }
    template <class Normalization> void bind_gamma_and_beta(Normalization &own, std::size_t next) {
        if (own.reads_gamma) own.gamma = bind(step_.others[next++]).data;
        if (own.reads_beta) own.beta = bind(step_.others[next]).data;
    }
    void bind_others(StatisticsTask &own) { own.second = bind(step_.others[0]); }
    void bind_others(WeightedReductionTask &own) { own.second = bind(step_.others[0]); }
    void bind_others(NormalizationSumsTask &own) {
        own.gradient = bind(step_.others[0]);
        own.statistics = bind(step_.others[1]);
        bind_gamma_and_beta(own.mask, 2);
    }
    void bind_others(NormalizationGradientTask &own) {
        own.gradient = bind(step_.others[0]);
        own.statistics = bind(step_.others[1]);
        own.sums = bind(step_.others[2]);
        if (own.has_gamma) own.gamma = bind(step_.others[3]);
        bind_gamma_and_beta(own.mask, own.has_gamma ? 4 : 3);
    }
    void bind_gamma_and_beta(RecomputedNormalization &own, std::size_t next) {
        if (own.has_gamma) own.gamma = bind(step_.others[next++]);
        if (own.has_beta) own.beta = bind(step_.others[next]);
    }
    void bind_others(UpdateTask &own) {
        std::size_t next = 0;
        for (int i = 0; i < own.count; ++i) own.others[i] = bind(step_.others[next++]);
        if (own.reads_numbers) own.numbers = bind(step_.others[next]);
    }
    void bind_others(LossTask &own) {
        own.labels = bind(step_.others[0]);
        own.weights = bind(step_.others[1]);
    }
    void bind_others(HalfSumsTask &own) {
        if (step_.others.empty()) return;
        bound_.residual_ = bind(step_.others[0]);
        own.epilogue.residual = &bound_.residual_;
    }
    void bind_others(WeightGradientTask &own) {
        own.gradient = bind(step_.others[0]);
        if (!own.normalization.applies) return;
        own.statistics = bind(step_.others[1]);
        bind_gamma_and_beta(own.normalization, 2);
    }
    void bind_others(PackTask &own) {
        if (own.has_bias) own.bias = bind(step_.others[0]);
    }
    void bind_others(ConvolutionTask &own) {
        if (step_.others.empty()) return;
        if (own.reads_variables) {
            const View ready = bind(step_.others.back());
            float *const behind = bind_variables(*own.packed, ready.data, bound_.variables_);
            if (own.packed->plain) {
                bind_variables(*own.packed->plain, behind, bound_.plain_);
                bound_.plain_.bias =
                    WeightBuffer::view(bound_.variables_.bias.data(), bound_.variables_.bias.size());
                bound_.variables_.plain = {std::shared_ptr<void>(), &bound_.plain_};
            }
            own.packed = &bound_.variables_;
            if (step_.others.size() == 1) return;
        }
        if (own.continues) {
            own.start = bind(step_.others[0]);
            return;
        }
        if (own.gated) own.gate = bind(step_.others.back());
        if (step_.others.size() == (own.gated ? 1 : 0)) return;
        bound_.residual_ = bind(step_.others[0]);
        own.epilogue.residual = &bound_.residual_;
    }
    /// Set `own` to weights of the same shape as `order` in memory that a PackTask has filled. Return the
    /// address after the weights and the bias.
    static float *bind_variables(const PackedConvolution &order, float *ready, PackedConvolution &own) {
        static_cast<ConvolutionShape &>(own) = order;
        own.weights = WeightBuffer::view(ready, order.weights.size());
        float *const bias = ready + order.weights.size();
        own.bias = WeightBuffer::view(bias, order.bias.size());
        return bias + order.bias.size();
    }
    void bind_others(ChainTask &own) {
        own.stages = step_.stages.data();
        std::size_t next = 0;
        for (std::int64_t stage = 0; stage < own.count; ++stage)
            if (own.has_residual[stage]) own.residuals[stage] = bind(step_.others[next++]);
    }
    void bind_others(ResizeTask &own) { // results in the arena are read soon, so they stay in the caches
        const Binding &to = bindings_[static_cast<std::size_t>(step_.destination.storage)];
        own.non_temporal = own.non_temporal && !to.own;
    }

private:
    BoundTask &bound_;
    const Step &step_;
    std::span<const Storage> storages_;
    std::span<const Binding> bindings_;
};

BoundTask::BoundTask(const Step &step, std::span<const Storage> storages, std::span<const Binding> bindings)
    : task_(step.task) {
    Binder binder(*this, step, storages, bindings);
    const View destination = binder.bind(step.destination);
    const ConstView source = binder.bind(step.source);
    destination_ = destination;
    task_.visit([&](auto &task) {
        task.destination = destination;
        task.source = source;
        binder.bind_others(task);
    });
}

} // namespace mpscnn::cpu
