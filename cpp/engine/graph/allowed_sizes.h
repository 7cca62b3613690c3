#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/shape.h"

namespace mpscnn::engine {

/// Sizes that an input may have: each extent except the batch lies between two limits.
struct SizeRange {
    std::vector<std::int64_t> lowest;
    std::vector<std::int64_t> highest; ///< Shape::any: the extent has no upper limit

    bool admits(const Shape &given) const;
    /// Return a text like "8 x 6 x 3", or "8 to 16 x 6 or more x 3" for a range.
    std::string text() const;
};

/// The sizes that an input may have, if a network's file allows fewer sizes than the network can compute.
/// Without a range every size is allowed.
struct AllowedSizes {
    std::vector<SizeRange> ranges;

    /// Throws ParameterError unless the ranges fit an input of this shape.
    void require_valid(const std::string &where, const Shape &shape) const;
    /// Throws ShapeError, with the allowed sizes, unless `given` is one of them.
    void require(const std::string &input, const Shape &given) const;

    Json to_json() const;
    static AllowedSizes from_json(const JsonView &json);
};

} // namespace mpscnn::engine
