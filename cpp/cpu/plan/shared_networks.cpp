#include "cpu/plan/shared_networks.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace mpscnn::cpu {

using engine::Graph;
using engine::WeightTensor;

namespace {

/// Identifies a weight from which a network was made, without keeping it alive. Small weights are copied,
/// because some, such as a bias into which a batch normalization was folded, only live as long as one
/// compilation.
class Source {
public:
    explicit Source(const WeightTensor &tensor)
        : shape_(tensor.shape()), type_(tensor.type()), scales_(tensor.scales()),
          zero_points_(tensor.zero_points()), factors_(tensor.factors()), ranges_(tensor.ranges()),
          bytes_(tensor.owner()) {
        if (tensor.bytes() <= copied_bytes) copy_.assign(tensor.data(), tensor.data() + tensor.bytes());
    }

    bool equals(const WeightTensor &tensor) const {
        return shape_ == tensor.shape() && type_ == tensor.type() && scales_ == tensor.scales() &&
               zero_points_ == tensor.zero_points() && factors_ == tensor.factors() &&
               ranges_ == tensor.ranges() && same_bytes(tensor);
    }

private:
    static constexpr std::size_t copied_bytes = 16 * 1024;

    bool same_bytes(const WeightTensor &tensor) const {
        const auto alive = bytes_.lock();
        const std::byte *own = copy_.empty() ? alive.get() : copy_.data();
        return own && (own == tensor.data() || std::memcmp(own, tensor.data(), tensor.bytes()) == 0);
    }

    Shape shape_;
    engine::WeightType type_;
    std::vector<float> scales_, zero_points_;
    std::vector<double> factors_;
    std::vector<engine::WeightRange> ranges_;
    std::weak_ptr<const std::byte> bytes_;
    std::vector<std::byte> copy_;
};

using Sources = std::vector<std::map<std::string, Source>>; // for each node: its weights by role

Sources sources_of(const Graph &graph) {
    Sources sources;
    for (const engine::Node &node : graph.nodes()) {
        auto &entries = sources.emplace_back();
        for (const auto &[role, tensor] : node.weights) entries.emplace(role, Source(tensor));
    }
    return sources;
}

bool equal(const Sources &sources, const Graph &graph) {
    return std::equal(sources.begin(), sources.end(), graph.nodes().begin(), graph.nodes().end(),
                      [](const auto &entries, const engine::Node &node) {
                          return std::equal(entries.begin(), entries.end(), node.weights.begin(),
                                            node.weights.end(), [](const auto &entry, const auto &weight) {
                                                return entry.first == weight.first &&
                                                       entry.second.equals(weight.second);
                                            });
                      });
}

struct Entry {
    std::string structure;
    const KernelTable *kernels;
    engine::Precision precision;
    engine::Sums sums;
    bool winograd;
    Sources sources;
    std::weak_ptr<const LoweredNetwork> network;
};

/// The networks that programs may share. The object is never destroyed.
struct Known {
    std::mutex mutex;
    std::vector<Entry> entries;
};

Known &known() {
    static auto *const instance = new Known;
    return *instance;
}

std::shared_ptr<const LoweredNetwork> find(const std::vector<Entry> &entries, const Entry &wanted,
                                           const Graph &graph) {
    for (const Entry &entry : entries) {
        if (entry.kernels != wanted.kernels || entry.precision != wanted.precision ||
            entry.sums != wanted.sums || entry.winograd != wanted.winograd ||
            entry.structure != wanted.structure)
            continue;
        const auto network = entry.network.lock();
        if (network && equal(entry.sources, graph)) return network;
    }
    return nullptr;
}

} // namespace

std::shared_ptr<const LoweredNetwork> shared_network(const Graph &graph, const engine::LowerOptions &options,
                                                     const KernelTable &kernels) {
    Entry wanted{
        to_text(graph.to_json()), &kernels, options.precision, options.sums, options.winograd, {}, {}};
    // If the mutex is locked, do not wait, and pack the weights again. After a fork, a thread that does not
    // exist in the child may hold the mutex forever.
    if (std::unique_lock lock(known().mutex, std::try_to_lock); lock) {
        std::erase_if(known().entries, [](const Entry &entry) { return entry.network.expired(); });
        if (auto network = find(known().entries, wanted, graph)) return network;
    }
    auto network = lower_network(graph, options, kernels);
    wanted.sources = sources_of(graph);
    wanted.network = network;
    if (std::unique_lock lock(known().mutex, std::try_to_lock); lock) {
        if (auto other = find(known().entries, wanted, graph)) return other; // another thread was faster
        known().entries.push_back(std::move(wanted));
    }
    return network;
}

} // namespace mpscnn::cpu
