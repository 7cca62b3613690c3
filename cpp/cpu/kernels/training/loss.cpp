// Elementwise losses and their gradients. The kernel of sum.cpp then adds up the losses.
//
// One vector of results is computed at a time, with the loops of element_runs.h. The speed is limited by
// memory, 12 bytes for each element (16 with weights), or by a logarithm or exponential if the loss has one.

#include "cpu/isa/instance.h"
#include "cpu/isa/simd_math.h"
#include "cpu/kernels/movement/element_runs.h"

namespace mpscnn::cpu {
namespace {

using LossRuns = ElementRuns<3>;

template <class V> Prepared loss_prepare(const LossTask &task, const Planning &planning) {
    const ConstView *const sources[] = {&task.source, &task.labels, &task.weights};
    const LossRuns runs = element_runs<V>(task.destination, sources, true, planning.threads);
    return planning.keep(runs, runs.split.items());
}

template <class V> MPSCNN_INLINE typename V::reg logarithm(typename V::reg x) {
    return scaled_logarithm<V>(x, 1.0f, 0.0f);
}

/// Return t * log(x). Where t is 0 the result is 0, also for x = 0.
template <class V> MPSCNN_INLINE typename V::reg times_logarithm(typename V::reg t, typename V::reg x) {
    return V::select(V::equal(t, V::zero()), V::zero(), V::mul(t, logarithm<V>(x)));
}

/// Return the losses of a vector of predictions y and labels, or their gradients.
template <class V, ElementLoss kind, bool gradient>
MPSCNN_INLINE typename V::reg element_loss(const LossTask &task, typename V::reg y, typename V::reg label) {
    const auto one = V::set1(1.0f), zero = V::zero();
    const auto t = V::fma(label, V::set1(task.kept), V::set1(task.share));
    const auto difference = V::sub(y, t);
    if constexpr (kind == ElementLoss::absolute) {
        if constexpr (!gradient) return absolute<V>(difference);
        return V::select(V::less(zero, difference), one,
                         V::select(V::less(difference, zero), V::set1(-1.0f), difference));
    }
    if constexpr (kind == ElementLoss::squared)
        return gradient ? V::add(difference, difference) : V::mul(difference, difference);
    if constexpr (kind == ElementLoss::softmax)
        return gradient ? difference : V::select(V::equal(t, zero), zero, negate<V>(V::mul(t, y)));
    if constexpr (kind == ElementLoss::sigmoid) {
        if constexpr (gradient) return V::sub(sigmoid<V>(y), t);
        const auto power = exponential_of_negative<V>(negate<V>(absolute<V>(y)));
        return V::add(V::sub(V::max(zero, y), V::mul(y, t)), logarithm<V>(V::add(one, power)));
    }
    if constexpr (kind == ElementLoss::categorical) {
        if constexpr (gradient) return V::select(V::equal(t, zero), zero, negate<V>(V::div(t, y)));
        return negate<V>(times_logarithm<V>(t, y));
    }
    if constexpr (kind == ElementLoss::hinge) {
        const auto sign = V::sub(V::add(t, t), one), margin = V::sub(one, V::mul(sign, y));
        if constexpr (gradient) return V::select(V::less(zero, margin), negate<V>(sign), zero);
        return V::max(zero, margin);
    }
    if constexpr (kind == ElementLoss::huber) {
        const auto delta = V::set1(task.delta), half = V::set1(0.5f);
        if constexpr (gradient) return V::min(delta, V::max(negate<V>(delta), difference));
        const auto size = absolute<V>(difference);
        const auto line = V::mul(delta, V::sub(size, V::mul(half, delta)));
        return V::select(V::less(delta, size), line, V::mul(V::mul(half, size), size));
    }
    if constexpr (kind == ElementLoss::cosine)
        return gradient ? negate<V>(t) : V::sub(V::set1(task.start), V::mul(y, t));
    if constexpr (kind == ElementLoss::log) {
        const auto epsilon = V::set1(task.epsilon), rest = V::sub(one, t);
        const auto first = V::add(y, epsilon), second = V::add(V::sub(one, y), epsilon);
        if constexpr (gradient) return V::sub(V::div(rest, second), V::div(t, first));
        return negate<V>(V::add(times_logarithm<V>(t, first), times_logarithm<V>(rest, second)));
    }
    if constexpr (kind == ElementLoss::kullback_leibler)
        return gradient ? negate<V>(t) : V::sub(times_logarithm<V>(t, t), V::mul(t, y));
    if constexpr (kind == ElementLoss::label) return t;
    if constexpr (kind == ElementLoss::counted) return one;
}

template <class V, ElementLoss kind, bool gradient>
void run_of_kind(const LossTask &task, const LossRuns &runs, std::int64_t begin, std::int64_t end) {
    const ConstView *const sources[] = {&task.source, &task.labels, &task.weights};
    const auto factor = V::set1(task.factor);
    for_each_run<V>(runs, task.destination, sources, begin, end, [&](const ElementRun<3> &run) {
        map_run<V, 1>(run, [&](const typename V::reg(&x)[3]) {
            if constexpr (kind == ElementLoss::counted)
                return V::select(V::equal(x[2], V::zero()), V::zero(), factor);
            auto loss = V::mul(element_loss<V, kind, gradient>(task, x[0], x[1]), factor);
            return task.has_weights ? V::mul(loss, x[2]) : loss;
        });
    });
}

template <class V, ElementLoss kind>
void run_of_kind(const LossTask &task, const LossRuns &runs, std::int64_t begin, std::int64_t end) {
    task.is_gradient ? run_of_kind<V, kind, true>(task, runs, begin, end)
                     : run_of_kind<V, kind, false>(task, runs, begin, end);
}

template <class V>
void loss_run(const LossTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
              Worker &) {
    const auto &runs = prepared.plan_as<LossRuns>();
    switch (task.kind) {
    case ElementLoss::absolute:
        return run_of_kind<V, ElementLoss::absolute>(task, runs, begin, end);
    case ElementLoss::squared:
        return run_of_kind<V, ElementLoss::squared>(task, runs, begin, end);
    case ElementLoss::softmax:
        return run_of_kind<V, ElementLoss::softmax>(task, runs, begin, end);
    case ElementLoss::sigmoid:
        return run_of_kind<V, ElementLoss::sigmoid>(task, runs, begin, end);
    case ElementLoss::categorical:
        return run_of_kind<V, ElementLoss::categorical>(task, runs, begin, end);
    case ElementLoss::hinge:
        return run_of_kind<V, ElementLoss::hinge>(task, runs, begin, end);
    case ElementLoss::huber:
        return run_of_kind<V, ElementLoss::huber>(task, runs, begin, end);
    case ElementLoss::cosine:
        return run_of_kind<V, ElementLoss::cosine>(task, runs, begin, end);
    case ElementLoss::log:
        return run_of_kind<V, ElementLoss::log>(task, runs, begin, end);
    case ElementLoss::kullback_leibler:
        return run_of_kind<V, ElementLoss::kullback_leibler>(task, runs, begin, end);
    case ElementLoss::label:
        return run_of_kind<V, ElementLoss::label, false>(task, runs, begin, end);
    case ElementLoss::counted:
        return run_of_kind<V, ElementLoss::counted, false>(task, runs, begin, end);
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(LossTask, loss)
