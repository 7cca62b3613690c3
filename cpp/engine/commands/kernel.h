#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/graph/weights.h"
#include "kernels/kernel.h"

namespace mpscnn::engine {

/// Base of the objects that a device prepares for a kernel, such as compiled graphs or MPS objects.
class KernelState {
public:
    virtual ~KernelState() = default;
};

/// A raw kernel, one of Apple's kernel classes, with its weights. One thread at a time may use it. Encoded
/// work does not refer to it.
class Kernel {
public:
    explicit Kernel(kernels::Kernel definition) : definition_(std::move(definition)) {}

    const kernels::Kernel &definition() const { return definition_; }
    void set(const Json &changes) { definition_.set(changes); }
    kernels::ImageDescriptor make_destination(std::span<const kernels::ImageDescriptor> sources) {
        return definition_.make_destination(sources);
    }

    /// Set a weight. Throws WeightsError for a wrong role or shape, and for values that are not finite.
    void set_weight(const std::string &role, WeightTensor tensor);
    /// Return a weight, or nullptr if it is not set.
    const WeightTensor *weight(const std::string &role) const;
    /// Unset the weight.
    void remove_weight(const std::string &role);
    /// Throws WeightsError unless all required weights that the encoding uses are set.
    void require_complete(const kernels::Encoding &encoding) const;

    /// Return this device's prepared state. It is made at first use, and again after a weight has changed.
    template <class State> State &state() {
        for (const auto &entry : states_)
            if (auto *own = dynamic_cast<State *>(entry.get())) return *own;
        states_.push_back(std::make_unique<State>());
        return static_cast<State &>(*states_.back());
    }

private:
    kernels::Kernel definition_;
    std::map<std::string, WeightTensor> weights_;
    std::vector<std::unique_ptr<KernelState>> states_;
};

} // namespace mpscnn::engine
