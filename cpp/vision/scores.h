#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace mpscnn::vision {

/// The meaning of a network's scores.
enum class ScoreKind {
    probability, ///< probabilities
    sigmoid,     ///< logits; each class is independent
    softmax,     ///< logits; each box has one class, which may be the background
};

/// Converts a detector's scores, boxes x columns, to probabilities of its classes.
class ScoreTable {
public:
    /// `values` must outlive this object. With `background`, the first column is not a class, but it is part
    /// of the softmax. Probabilities below `min` need not be computed. Throws Error(shape) unless there are
    /// whole rows with at least one class.
    ScoreTable(std::span<const float> values, int columns, ScoreKind kind, bool background, float min);

    std::size_t boxes() const { return values_.size() / columns_; }
    int classes() const { return static_cast<int>(columns_ - first_class_); }

    /// Set another minimum: probabilities below `min` need not be computed.
    void set_min(float min);

    /// Return the probabilities of a box's classes. If all of them are below the minimum, the result may be
    /// empty. A single probability below the minimum may be returned as 0. The result is valid until the
    /// next call. Throws Error(parameter) for a score that is NaN or infinite.
    std::span<const float> row(std::size_t box);
    /// Return row(box) without checking the scores. If one is NaN or infinite, the numbers are arbitrary.
    std::span<const float> unchecked_row(std::size_t box);

private:
    struct Range;

    Range range_of(std::size_t box) const;
    [[noreturn]] void refuse(std::size_t box) const;
    std::span<const float> row(std::size_t box, const Range &range);
    void compute_sigmoid(std::span<const float> logits);
    /// Compute the softmax. Return false if the probabilities of all classes are below the minimum.
    bool compute_softmax(std::span<const float> logits, const Range &range);

    std::span<const float> values_;
    std::size_t columns_, first_class_;
    ScoreKind kind_;
    float min_ = 0.0f;
    float bound_ = 0.0f;               ///< the score that a box's best class must reach
    std::vector<float> probabilities_; ///< padded to whole vectors
};

} // namespace mpscnn::vision
