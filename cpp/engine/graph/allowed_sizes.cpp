#include "engine/graph/allowed_sizes.h"

#include <algorithm>

#include "core/error.h"

namespace mpscnn::engine {

namespace {

constexpr std::size_t max_ranges = 1'000;
constexpr std::size_t max_shown = 8;

std::string text_of(std::int64_t lowest, std::int64_t highest) {
    if (highest == Shape::any) return concat({lowest, " or more"});
    return lowest == highest ? concat({lowest}) : concat({lowest, " to ", highest});
}

} // namespace

bool SizeRange::admits(const Shape &given) const {
    for (std::size_t i = 0; i < lowest.size(); ++i) {
        const std::int64_t extent = given[static_cast<int>(i) + 1];
        if (extent < lowest[i] || (highest[i] != Shape::any && extent > highest[i])) return false;
    }
    return true;
}

std::string SizeRange::text() const {
    std::string result;
    for (std::size_t i = 0; i < lowest.size(); ++i)
        result += (i == 0 ? "" : " x ") + text_of(lowest[i], highest[i]);
    return result;
}

void AllowedSizes::require_valid(const std::string &where, const Shape &shape) const {
    if (ranges.size() > max_ranges)
        fail(ErrorKind::parameter,
             {where, ": has ", ranges.size(), " allowed sizes, at most ", max_ranges, " are possible"});
    const auto extents = static_cast<std::size_t>(shape.rank()) - 1;
    for (const SizeRange &range : ranges) {
        if (range.lowest.size() != extents || range.highest.size() != extents)
            fail(ErrorKind::parameter,
                 {where, ": an allowed size needs ", extents, " extents for the shape ", shape.text()});
        for (std::size_t i = 0; i < extents; ++i)
            if (range.lowest[i] < 1 || (range.highest[i] != Shape::any && range.highest[i] < range.lowest[i]))
                fail(ErrorKind::parameter,
                     {where, ": an allowed size cannot be ", range.lowest[i], " to ", range.highest[i]});
    }
}

void AllowedSizes::require(const std::string &input, const Shape &given) const {
    const auto admits = [&](const SizeRange &range) { return range.admits(given); };
    if (ranges.empty() || std::any_of(ranges.begin(), ranges.end(), admits)) return;
    std::string listed;
    for (std::size_t i = 0; i < std::min(ranges.size(), max_shown); ++i)
        listed += (i == 0 ? "" : ", ") + ranges[i].text();
    if (ranges.size() > max_shown) listed += ", ...";
    fail(ErrorKind::shape, {"input ", quoted(input), ": got ", given.text(), "; the network allows ", listed,
                            " (without the batch). Resize the input to one of these sizes."});
}

Json AllowedSizes::to_json() const {
    Json result = Json::array();
    for (const SizeRange &range : ranges) {
        Json entry = Json::object();
        entry.set("lowest", Json(range.lowest));
        entry.set("highest", Json(range.highest));
        result.push_back(std::move(entry));
    }
    return result;
}

AllowedSizes AllowedSizes::from_json(const JsonView &json) {
    AllowedSizes result;
    for (std::size_t i = 0; i < json.array().size(); ++i) {
        const JsonView entry = json.at(i);
        entry.allow_only({"lowest", "highest"});
        result.ranges.push_back({entry.at("lowest").get<std::vector<std::int64_t>>(),
                                 entry.at("highest").get<std::vector<std::int64_t>>()});
    }
    return result;
}

} // namespace mpscnn::engine
