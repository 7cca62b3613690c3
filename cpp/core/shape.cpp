#include "core/shape.h"

#include <algorithm>
#include <limits>

#include "core/error.h"

namespace mpscnn {

Shape::Shape(std::span<const std::int64_t> extents) {
    if (extents.size() > max_rank)
        fail(ErrorKind::shape, {"a tensor has at most ", max_rank, " axes, got ", extents.size()});
    rank_ = static_cast<int>(extents.size());
    std::copy(extents.begin(), extents.end(), extents_.begin());
}

bool Shape::fixed() const {
    return std::all_of(begin(), end(), [](std::int64_t extent) { return extent >= 0; });
}

std::int64_t Shape::elements() const {
    std::int64_t product = 1;
    for (std::int64_t extent : *this) {
        if (extent < 0) fail(ErrorKind::shape, {"shape ", text(), " has a free extent"});
        if (extent > 0 && product > std::numeric_limits<std::int64_t>::max() / extent)
            fail(ErrorKind::shape, {"shape ", text(), " has too many elements"});
        product *= extent;
    }
    return product;
}

Shape Shape::with_batch(std::int64_t batch) const {
    Shape result = *this;
    if (result.rank_ > 0) result.extents_[0] = batch;
    return result;
}

bool Shape::admits(const Shape &given) const {
    return rank_ == given.rank_ &&
           std::equal(begin(), end(), given.begin(), [](std::int64_t own, std::int64_t other) {
               return own == any ? other > 0 : own == other;
           });
}

std::string Shape::text() const {
    std::string result = "(";
    for (int axis = 0; axis < rank_; ++axis) {
        if (axis > 0) result += ", ";
        if ((*this)[axis] == any)
            result += axis == 0 ? "n" : "any";
        else
            result += std::to_string((*this)[axis]);
    }
    return result + (rank_ == 1 ? ",)" : ")");
}

bool operator==(const Shape &a, const Shape &b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

bool operator<(const Shape &a, const Shape &b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

} // namespace mpscnn
