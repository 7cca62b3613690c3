#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace mpscnn {

/// The extents of a tensor, outermost first: (batch, height, width, channels) for images, (batch, features)
/// for vectors. A free extent has the value `any`: it is only known when a network runs.
class Shape {
public:
    static constexpr int max_rank = 6;
    static constexpr std::int64_t any = -1;

    Shape() = default;
    Shape(std::initializer_list<std::int64_t> extents)
        : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}
    explicit Shape(std::span<const std::int64_t> extents);

    int rank() const { return rank_; }
    std::int64_t operator[](int axis) const { return extents_[static_cast<std::size_t>(axis)]; }
    std::int64_t &operator[](int axis) { return extents_[static_cast<std::size_t>(axis)]; }
    std::int64_t back() const { return extents_[static_cast<std::size_t>(rank_ - 1)]; }
    const std::int64_t *begin() const { return extents_.data(); }
    const std::int64_t *end() const { return extents_.data() + rank_; }

    /// True if no extent is free.
    bool fixed() const;
    /// Return the number of elements; throws ShapeError if an extent is free or the product overflows.
    std::int64_t elements() const;
    /// Return the same shape with another batch size.
    Shape with_batch(std::int64_t batch) const;
    /// True if `given`, a fixed shape, has the same rank, the same extents wherever this shape's are not
    /// free, and positive extents elsewhere.
    bool admits(const Shape &given) const;
    /// Return a text like "(n, 224, 224, 3)". A free batch is written as `n`, and other free extents as
    /// `any`.
    std::string text() const;

    friend bool operator==(const Shape &a, const Shape &b);
    friend bool operator<(const Shape &a, const Shape &b);

private:
    int rank_ = 0;
    std::array<std::int64_t, max_rank> extents_{};
};

} // namespace mpscnn
