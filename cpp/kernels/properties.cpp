#include "kernels/properties.h"

#include "core/text.h"

namespace mpscnn::ops {

namespace {

std::vector<std::int64_t> integers(const JsonView &json, std::size_t count, const char *meaning) {
    auto values = json.get<std::vector<std::int64_t>>();
    if (values.size() != count)
        json.refuse(concat({"must be ", meaning, ", got ", values.size(), " numbers"}));
    return values;
}

} // namespace

Json FieldCodec<kernels::Offset>::write(const kernels::Offset &offset) {
    return Json(std::vector<std::int64_t>{offset.x, offset.y, offset.z});
}

kernels::Offset FieldCodec<kernels::Offset>::read(const JsonView &json) {
    const auto values = integers(json, 3, "(x, y, z)");
    return {values[0], values[1], values[2]};
}

Json FieldCodec<kernels::ClipRect>::write(const kernels::ClipRect &region) {
    if (region == kernels::ClipRect{}) return {};
    const kernels::Offset &origin = region.origin;
    return Json(
        std::vector<std::int64_t>{origin.x, origin.y, origin.z, region.width, region.height, region.depth});
}

kernels::ClipRect FieldCodec<kernels::ClipRect>::read(const JsonView &json) {
    if (json.value().is_null()) return {};
    const auto values = integers(json, 6, "(x, y, z, width, height, depth)");
    return {{values[0], values[1], values[2]}, values[3], values[4], values[5]};
}

} // namespace mpscnn::ops
