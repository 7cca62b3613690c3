#include "engine/kernel.h"

#include "engine/graph.h"

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

void Kernel::require_complete() const {
    for (const ops::WeightSpec &spec : definition_.weights())
        if (spec.required && weights_.count(spec.role) == 0)
            fail(ErrorKind::weights,
                 definition_.name() + ": " + spec.role + " " + spec.shape.text() + " is missing");
}

} // namespace mpscnn::engine
