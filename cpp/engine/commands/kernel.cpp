#include "engine/commands/kernel.h"

#include <algorithm>

#include "engine/graph/graph.h"

namespace mpscnn::engine {

void Kernel::set_weight(const std::string &role, WeightTensor tensor) {
    require_weight(definition_.weights(), definition_.name(), role, tensor);
    weights_.insert_or_assign(role, std::move(tensor));
    states_.clear();
}

const WeightTensor *Kernel::weight(const std::string &role) const {
    const auto found = weights_.find(role);
    return found == weights_.end() ? nullptr : &found->second;
}

void Kernel::remove_weight(const std::string &role) {
    if (weights_.erase(role) > 0) states_.clear();
}

void Kernel::require_complete(const kernels::Encoding &encoding) const {
    const auto uses = [&](const std::string &role) {
        const bool is_source =
            std::any_of(encoding.sources.begin(), encoding.sources.end(),
                        [&](const kernels::EncodedSource &source) { return source.role == role; });
        return is_source || std::any_of(encoding.nodes.begin(), encoding.nodes.end(), [&](const auto &node) {
                   return std::any_of(node.weights.begin(), node.weights.end(),
                                      [&](const kernels::WeightUse &use) { return use.kernel_role == role; });
               });
    };
    for (const ops::WeightSpec &spec : definition_.weights())
        if (spec.required && weights_.count(spec.role) == 0 && uses(spec.role))
            fail(ErrorKind::weights,
                 {definition_.name(), ": ", spec.role, " ", spec.shape.text(), " is missing"});
}

} // namespace mpscnn::engine
