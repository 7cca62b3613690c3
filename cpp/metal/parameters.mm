#include "metal/parameters.h"

#include <algorithm>

namespace mpscnn::metal {

std::optional<std::string> refuse_parameters_beyond(const ops::Operation &operation,
                                                    const ops::Operation &defaults, FieldNames known,
                                                    FieldNames more) {
    const Json given = ops::attributes_of(operation), usual = ops::attributes_of(defaults);
    const auto lists = [](FieldNames names, const std::string &name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    for (const auto &[name, value] : *given.get_if<Json::Object>())
        if (!lists(known, name) && !lists(more, name) && !(value == usual.at(name)))
            return "the Metal engine takes " + name + " only as " + to_text(usual.at(name)) + ", not " +
                   to_text(value);
    return std::nullopt;
}

} // namespace mpscnn::metal
