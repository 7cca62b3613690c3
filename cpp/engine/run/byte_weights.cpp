#include "engine/run/byte_weights.h"

#include <algorithm>
#include <cmath>

#include "core/half.h"
#include "core/text.h"
#include "engine/graph/weight_values.h"

namespace mpscnn::engine {

namespace {

/// True if the weights of a layer can be stored in 8 bits. Transposed convolutions cannot, because
/// MPSCNNConvolutionTranspose takes floats only. Binary layers cannot, because their weights are single bits.
bool takes_bytes(const ops::Operation &operation) {
    return operation.is<ops::Convolution>() || operation.is<ops::SubpixelConvolution>() ||
           operation.is<ops::FullyConnected>();
}

WeightTensor tensor_of(const Shape &shape, std::vector<std::byte> integers, std::vector<WeightRange> ranges) {
    auto owner = std::make_shared<const std::vector<std::byte>>(std::move(integers));
    WeightTensor result(shape, WeightType::uint8, {owner, owner->data()});
    result.set_ranges(std::move(ranges));
    return result;
}

void require_halves(const WeightRange &range, const std::string &layer) {
    for (const float bound : {range.low, range.high})
        if (!std::isfinite(round_to_half(bound)))
            fail(ErrorKind::weights,
                 {"layer ", quoted(layer), ": weight ", bound,
                  " does not fit into weights of int8, which are halves as MPS keeps them and end at 65504; ",
                  "leave the option out (batch normalization is folded into the weights)"});
}

/// Convert uint8 weights from scales and zero points to ranges. The integers stay the same, except in
/// channels that a batch normalization multiplies by a negative factor. There each integer i becomes 255 - i,
/// since a range's low must not be above its high.
WeightTensor from_integers(const WeightTensor &tensor, const std::string &layer) {
    const auto channels = static_cast<std::size_t>(tensor.shape()[0]);
    const auto size = static_cast<std::size_t>(tensor.elements()) / channels;
    const auto of_channel = [](const auto &values, std::size_t channel) -> double {
        return values.size() == 1 ? values[0] : values[channel];
    };
    std::vector<std::byte> integers(tensor.data(), tensor.data() + tensor.bytes());
    std::vector<WeightRange> ranges;
    for (std::size_t channel = 0; channel < channels; ++channel) {
        const double zero = of_channel(tensor.zero_points(), channel),
                     factor = tensor.factors().empty() ? 1 : of_channel(tensor.factors(), channel),
                     scale = of_channel(tensor.scales(), channel) * factor;
        WeightRange range{static_cast<float>((0 - zero) * scale), static_cast<float>((255 - zero) * scale)};
        if (range.low > range.high) {
            std::swap(range.low, range.high);
            const auto first = integers.begin() + static_cast<std::ptrdiff_t>(channel * size);
            std::transform(first, first + static_cast<std::ptrdiff_t>(size), first,
                           [](std::byte integer) { return ~integer; });
        }
        require_halves(range, layer);
        ranges.push_back(range);
    }
    return tensor_of(tensor.shape(), std::move(integers), std::move(ranges));
}

WeightTensor from_numbers(const WeightTensor &tensor, const std::string &layer) {
    const std::vector<float> values = tensor.values();
    const auto channels = static_cast<std::size_t>(tensor.shape()[0]), size = values.size() / channels;
    std::vector<std::byte> integers(values.size());
    std::vector<WeightRange> ranges;
    for (std::size_t channel = 0; channel < channels; ++channel) {
        const std::span own(values.data() + channel * size, size);
        const WeightRange range = range_of(own);
        require_halves(range, layer);
        quantize_range(own, range.low, range.high, integers.data() + channel * size);
        ranges.push_back(range);
    }
    return tensor_of(tensor.shape(), std::move(integers), std::move(ranges));
}

} // namespace

bool keeps_weights_in_bytes(const std::string &weights, Precision precision) {
    if (weights == "auto") return false;
    if (weights != "int8")
        fail(ErrorKind::parameter, {"weights must be auto or int8, got ", quoted(weights)});
    if (precision != Precision::float32 && precision != Precision::float16)
        fail(ErrorKind::parameter, {"weights ", quoted("int8"),
                                    " are for precision float32 and float16, got ", name_of(precision)});
    return true;
}

Graph with_weights_in_bytes(const Graph &graph) {
    Graph result = graph;
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const Node &node = graph.nodes()[i];
        if (!takes_bytes(node.operation) || node.keep_float32 || !node.variables.empty()) continue;
        auto weights = node.weights;
        WeightTensor &weight = weights.at("weight");
        weight = weight.type() == WeightType::uint8 ? from_integers(weight, node.name)
                                                    : from_numbers(weight, node.name);
        result.adopt_weights(graph.result_of(i), std::move(weights));
    }
    return result;
}

} // namespace mpscnn::engine
