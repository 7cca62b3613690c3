#include "engine/graph/quantization.h"

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/text.h"

namespace mpscnn::engine {

void Quantization::require_valid(const std::string &where) const {
    if (!(scale >= std::numeric_limits<float>::min()) || !std::isfinite(scale))
        fail(
            ErrorKind::parameter,
            {where, ": the scale of a quantization must be a finite number of at least 2^-126, got ", scale});
    if (zero_point < lowest() || zero_point > highest())
        fail(ErrorKind::parameter, {where, ": the zero point of ", type(), " must be ", lowest(), " to ",
                                    highest(), ", got ", zero_point});
}

Quantization make_quantization(std::string_view type, float scale, int zero_point, const std::string &where) {
    if (type != "uint8" && type != "int8")
        fail(ErrorKind::parameter,
             {where, ": a quantization's type must be uint8 or int8, got ", quoted(type)});
    const Quantization result{scale, zero_point, type == "int8"};
    result.require_valid(where);
    return result;
}

Json Quantization::to_json() const {
    Json result = Json::object();
    result.set("type", type());
    result.set("scale", static_cast<double>(scale));
    result.set("zero_point", static_cast<std::int64_t>(zero_point));
    return result;
}

Quantization Quantization::from_json(const JsonView &json) {
    json.allow_only({"type", "scale", "zero_point"});
    try {
        return make_quantization(json.at("type").get<std::string>(), json.at("scale").get<float>(),
                                 json.at("zero_point").get<int>(), "quantization");
    } catch (const Error &error) {
        json.refuse(error.what());
    }
}

} // namespace mpscnn::engine
