#include "vision/scores.h"

#include <cmath>
#include <limits>
#include <string>

#include "core/error.h"
#include "vision/lanes.h"

namespace mpscnn::vision {

namespace {

/// The tolerance for rounding when a logit is compared instead of its probability.
constexpr float margin = 1e-3f;

/// Return a lower bound of a box's largest score if its best class has at least the probability `min`. Most
/// boxes are background, and this bound finds them without an exponential. For softmax, scores are relative
/// to the largest logit of all columns.
float bound_of(ScoreKind kind, float min) {
    switch (kind) {
    case ScoreKind::sigmoid: {
        // A probability that is slightly smaller may be rounded to `min`, and many are rounded to 1.
        const float smaller = min * (1.0f - 0x1p-22f);
        return std::log(smaller / (1.0f - smaller)) - margin;
    }
    case ScoreKind::softmax:
        return std::log(min) - margin;
    default:
        return min;
    }
}

} // namespace

/// The largest score of a box among its classes, and among all columns including the background.
struct ScoreTable::Range {
    float of_classes, of_all;
    bool finite;
};

ScoreTable::ScoreTable(std::span<const float> values, int columns, ScoreKind kind, bool background, float min)
    : values_(values), columns_(static_cast<std::size_t>(columns)), first_class_(background ? 1 : 0),
      kind_(kind) {
    set_min(min);
    if (columns <= static_cast<int>(first_class_))
        fail(ErrorKind::shape, {"detection: scores of ", columns, " columns",
                                (background ? ", the first of them the background," : ""), " have no class"});
    if (values.size() % columns_ != 0)
        fail(ErrorKind::shape, {"detection: ", values.size(), " scores are not whole rows of ", columns});
    probabilities_.resize(whole_vectors(columns_));
}

void ScoreTable::set_min(float min) {
    min_ = min;
    bound_ = bound_of(kind_, min);
}

ScoreTable::Range ScoreTable::range_of(std::size_t box) const {
    const float *const row = values_.data() + box * columns_;
    const float *const classes = row + first_class_;
    const std::size_t count = columns_ - first_class_;
    Float4 best = splat(classes[0]);
    Mask4 wrong{};
    for_vectors(classes, count, classes[0], [&](std::size_t, Float4 values) {
        best = maximum(values, best);
        wrong |= not_finite(values);
    });
    const float of_classes = largest(best);
    return {of_classes, row[0] > of_classes ? row[0] : of_classes, !any(wrong) && std::isfinite(row[0])};
}

void ScoreTable::refuse(std::size_t box) const {
    const float *const row = values_.data() + box * columns_;
    std::size_t column = 0;
    while (std::isfinite(row[column])) ++column;
    fail(ErrorKind::parameter,
         {"detection: score ", column, " of box ", box, " is ", row[column], ", scores must be finite"});
}

std::span<const float> ScoreTable::row(std::size_t box) {
    const Range range = range_of(box);
    if (!range.finite) refuse(box);
    return row(box, range);
}

std::span<const float> ScoreTable::unchecked_row(std::size_t box) { return row(box, range_of(box)); }

std::span<const float> ScoreTable::row(std::size_t box, const Range &range) {
    const float best = kind_ == ScoreKind::softmax ? range.of_classes - range.of_all : range.of_classes;
    if (best < bound_) return {};
    const std::span<const float> row = values_.subspan(box * columns_, columns_);
    if (kind_ == ScoreKind::probability) return row.subspan(first_class_);
    if (kind_ == ScoreKind::sigmoid)
        compute_sigmoid(row);
    else if (!compute_softmax(row, range))
        return {};
    return std::span<const float>(probabilities_).subspan(first_class_, columns_ - first_class_);
}

void ScoreTable::compute_sigmoid(std::span<const float> logits) {
    float *const result = probabilities_.data();
    for_vectors(logits.data(), columns_, 0.0f, [&](std::size_t i, Float4 x) {
        store(result + i, any(x >= bound_) ? 1.0f / (1.0f + exponential(-x)) : splat(0.0f));
    });
}

bool ScoreTable::compute_softmax(std::span<const float> logits, const Range &range) {
    float *const result = probabilities_.data();
    Float4 sums{};
    // Lanes after the last column add nothing: their e^-87 is less than the last bit of a sum of at least 1.
    for_vectors(logits.data(), columns_, -std::numeric_limits<float>::infinity(),
                [&](std::size_t i, Float4 x) {
                    const Float4 power = exponential(x - range.of_all);
                    store(result + i, power);
                    sums += power;
                });
    const float factor = 1.0f / sum(sums);
    // After rounding, another class may have a larger probability than the class with the largest logit, but
    // the difference is less than the margin.
    const float best = exponential(splat(range.of_classes - range.of_all))[0] * factor;
    if (best < min_ * (1.0f - margin)) return false;
    for (std::size_t i = 0; i < columns_; i += lanes) store(result + i, load(result + i) * factor);
    return true;
}

} // namespace mpscnn::vision
