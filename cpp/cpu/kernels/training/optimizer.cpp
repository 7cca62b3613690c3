// The elementwise computations of optimizers: they prepare gradients and compute moments and new weights.
//
// Four vectors of results are computed at a time, with the loops of element_runs.h. The speed is limited by
// memory, 12 to 16 bytes for each weight and operation. The square root and division of an adaptive update
// take less time than this.

#include "cpu/isa/instance.h"
#include "cpu/kernels/movement/element_runs.h"

namespace mpscnn::cpu {
namespace {

using UpdateRuns = ElementRuns<3>;

/// The three sources of the loops. If a task has fewer, its first source stands for the missing ones.
struct UpdateSources {
    const ConstView *views[3];

    explicit MPSCNN_INLINE UpdateSources(const UpdateTask &task)
        : views{&task.source, task.count > 0 ? &task.others[0] : &task.source,
                task.count > 1 ? &task.others[1] : &task.source} {}
};

template <class V> Prepared update_prepare(const UpdateTask &task, const Planning &planning) {
    const UpdateSources sources(task);
    const UpdateRuns runs = element_runs<V>(task.destination, sources.views, true, planning.threads);
    return planning.keep(runs, runs.split.items());
}

/// The numbers of an update that are the same for all weights, as vectors.
template <class V> struct UpdateNumbers {
    typename V::reg learning_rate, step, kept;

    explicit MPSCNN_INLINE UpdateNumbers(const UpdateTask &task) {
        const float rate = task.reads_numbers ? task.numbers.data[0] : 1.0f;
        learning_rate = V::set1(rate);
        step = V::set1(task.reads_numbers && task.numbers.channels > 1 ? task.numbers.data[1] : 1.0f);
        kept = V::set1(1.0f - rate * task.decay);
    }
};

/// Return the sign of x: -1, 0 or 1.
template <class V> MPSCNN_INLINE typename V::reg sign_of(typename V::reg x) {
    const auto zero = V::zero(), one = V::set1(1.0f);
    return V::select(V::less(zero, x), one, V::select(V::less(x, zero), V::set1(-1.0f), zero));
}

/// Call `run` with the update's function, which computes a vector of results from a vector of each source.
template <class V, class Run> MPSCNN_INLINE void with_function(const UpdateTask &task, Run run) {
    using Sources = const typename V::reg(&)[3];
    const UpdateNumbers<V> numbers(task);
    const auto rate = V::set1(task.rate), rest = V::set1(task.rest);
    switch (task.kind) {
    case UpdateKind::gradient: {
        const auto low = V::set1(task.low), high = V::set1(task.high), rescale = V::set1(task.rescale);
        const auto of_sign = V::set1(task.of_sign), of_weight = V::set1(task.of_weight);
        return run([=](Sources x) {
            // Here learning_rate is the factor of gradients.
            const auto given = V::mul(x[0], numbers.learning_rate);
            const auto scaled = V::mul(V::min(high, V::max(low, given)), rescale);
            return V::fma(of_sign, sign_of<V>(x[1]), V::fma(of_weight, x[1], scaled));
        });
    }
    case UpdateKind::moving_average:
        return run([=](Sources x) { return V::fma(rate, x[0], V::mul(rest, x[1])); });
    case UpdateKind::squares:
        return run([=](Sources x) { return V::fma(rate, x[0], V::mul(V::mul(rest, x[1]), x[1])); });
    case UpdateKind::momentum:
        return run([=](Sources x) { return V::fma(rate, x[0], V::mul(numbers.learning_rate, x[1])); });
    case UpdateKind::nesterov:
        return run([=](Sources x) { return V::fma(rate, x[0], x[1]); });
    case UpdateKind::sgd:
        return run([=](Sources x) {
            return V::sub(V::mul(x[0], numbers.kept), V::mul(numbers.learning_rate, x[1]));
        });
    case UpdateKind::sgd_moment:
        return run([=](Sources x) { return V::sub(V::mul(x[0], numbers.kept), x[2]); });
    case UpdateKind::sgd_nesterov:
        return run([=](Sources x) {
            const auto ahead = V::fma(rate, x[2], x[1]);
            return V::sub(V::mul(x[0], numbers.kept), V::mul(numbers.learning_rate, ahead));
        });
    case UpdateKind::adaptive: {
        const auto epsilon = V::set1(task.epsilon);
        return run([=](Sources x) {
            const auto change = V::div(V::mul(numbers.step, x[1]), V::add(V::sqrt(x[2]), epsilon));
            return V::sub(V::mul(x[0], numbers.kept), change);
        });
    }
    }
}

template <class V>
void update_run(const UpdateTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                Worker &) {
    const auto &runs = prepared.plan_as<UpdateRuns>();
    const UpdateSources sources(task);
    with_function<V>(task, [&](auto function) {
        for_each_run<V>(runs, task.destination, sources.views, begin, end,
                        [&](const ElementRun<3> &run) { map_run<V, 4>(run, function); });
    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(UpdateTask, update)
