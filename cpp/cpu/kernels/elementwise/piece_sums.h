#pragma once

// Sums of many vectors that stay accurate. Their bits do not depend on how work is divided among threads.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {
namespace {

/// The number of terms that are added in float32 before their sum is added to a double.
constexpr std::int64_t sum_piece = 128;

/// `count` sums for each lane of a vector. Pieces of `piece` terms are added in float32, and the sums of
/// pieces in double.
template <class V, int count> class PieceSums {
public:
    using Reg = typename V::reg;

    explicit MPSCNN_INLINE PieceSums(std::int64_t piece = sum_piece) : piece_(piece) {
        for (auto &sum : sums_) sum = V::zero();
    }
    /// Add one term to each sum. join(index, sum so far) returns sum `index` with the term.
    template <class Join> MPSCNN_INLINE void add_by(Join join) {
        for (int i = 0; i < count; ++i) sums_[i] = join(i, sums_[i]);
        if (++added_ == piece_) settle();
    }
    MPSCNN_INLINE void add(const Reg (&terms)[count]) {
        add_by([&](int i, Reg sum) { return V::add(sum, terms[i]); });
    }
    /// Return the totals of sum `index`, one for each lane. In memory, the totals of the next sums follow.
    MPSCNN_INLINE const double *totals(int index = 0) {
        settle();
        return totals_ + index * V::width;
    }
    /// Return the total of sum `index` over all lanes.
    MPSCNN_INLINE double total(int index) {
        const double *lanes = totals(index);
        double sum = 0;
        for (int lane = 0; lane < V::width; ++lane) sum += lanes[lane];
        return sum;
    }

private:
    MPSCNN_INLINE void settle() {
        alignas(64) float lanes[V::width];
        for (int i = 0; i < count; ++i) {
            V::store(lanes, sums_[i]);
            for (int lane = 0; lane < V::width; ++lane)
                totals_[i * V::width + lane] += static_cast<double>(lanes[lane]);
            sums_[i] = V::zero();
        }
        added_ = 0;
    }

    Reg sums_[count];
    double totals_[count * V::width] = {};
    std::int64_t added_ = 0, piece_;
};

} // namespace
} // namespace mpscnn::cpu
