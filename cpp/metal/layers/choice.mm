#include "metal/layers/choice.h"

#include <utility>

#include "core/text.h"
#include "ops/op_list.h"

namespace mpscnn::metal {

using ops::NeuronKind;

Choice::Choice(std::shared_ptr<const engine::Implementations> all, const engine::Node &node, Scope scope)
    : all_(std::move(all)), layer_(node.name), operation_(ops::info_of(node.operation).name),
      scope_(scope == Scope::arrays ? "training "
             : scope == Scope::own  ? "own "
                                    : "") {}

std::string Choice::kernel_name(const std::string &kernel) const {
    return concat({scope_, operation_, " by ", kernel});
}

std::string Choice::activation_name(NeuronKind activation) const {
    return concat({scope_, "activation ", ops::name_of(activation)});
}

std::string Choice::fused_name(NeuronKind activation, const std::string &kernel) const {
    return concat({scope_, "activation ", ops::name_of(activation), " in ", kernel});
}

bool Choice::may_take(const std::string &kernel, NeuronKind activation) const {
    return all_->may_take(kernel_name(kernel)) &&
           (activation == NeuronKind::none || all_->may_take(activation_name(activation)));
}

void Choice::take(const std::string &kernel, NeuronKind activation) const {
    all_->take(kernel_name(kernel), layer_);
    if (activation != NeuronKind::none) all_->take(activation_name(activation), layer_);
}

bool Choice::may_fuse(NeuronKind activation, const std::string &kernel) const {
    return all_->may_take(fused_name(activation, kernel));
}

void Choice::fuse(NeuronKind activation, const std::string &kernel) const {
    if (activation != NeuronKind::none) all_->take(fused_name(activation, kernel), layer_);
}

} // namespace mpscnn::metal
