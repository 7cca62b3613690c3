#include "metal/layers/steps.h"
#include "shaders/reduction_params.h"
#include "shaders/top_k_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ReductionParams) == 12 * sizeof(int));
static_assert(sizeof(WeightedReductionParams) == 16 * sizeof(int));
static_assert(sizeof(TopKParams) == 11 * sizeof(int));
static_assert(static_cast<int>(ops::ArgumentKind::min) == static_cast<int>(ReductionKind::min));

std::unique_ptr<Layer> make_reduction(const char *shader, int kind, float factor, const LayerSource &source,
                                      Device &device) {
    const auto bind = [kind, factor](const Operands &operands) {
        return ShaderArguments(ReductionParams{operands.source().layout.params(),
                                               operands.destination.layout.params(), kind, factor});
    };
    return shader_layer(source, device, shader, bind);
}

} // namespace

std::unique_ptr<Layer> make_layer(const ops::Reduction &reduction, const LayerSource &source,
                                  Device &device) {
    const char *shader = reduction.axis == ops::ReductionAxis::height  ? "reduce_columns"
                         : reduction.axis == ops::ReductionAxis::width ? "reduce_rows"
                                                                       : "reduce_channels";
    return make_reduction(shader, static_cast<int>(reduction.kind), reduction.weight, source, device);
}

std::unique_ptr<Layer> make_layer(const ops::Argument &argument, const LayerSource &source, Device &device) {
    return make_reduction("argument", static_cast<int>(argument.kind), 1.0f, source, device);
}

std::unique_ptr<Layer> make_layer(const ops::TopK &top, const LayerSource &source, Device &device) {
    const int of_minimum = top.kind == ops::ArgumentKind::min ? 1 : 0;
    const auto bind = [of_minimum](const Operands &operands) {
        return ShaderArguments(
            TopKParams{operands.source().layout.params(), operands.destination.layout.params(), of_minimum});
    };
    return shader_layer(source, device, "top_k", bind);
}

/// Make a weighted reduction. It uses a shader. MPSNNReduceFeatureChannelsAndWeightsSum does not document its
/// result if all weights are zero, nor whether pixels may share weights.
std::unique_ptr<Layer> make_layer(const ops::WeightedReduction &reduction, const LayerSource &source,
                                  Device &device) {
    const int mean = reduction.kind == ops::WeightedReductionKind::mean ? 1 : 0;
    const auto bind = [mean](const Operands &operands) {
        return ShaderArguments(WeightedReductionParams{operands.sources[0].layout.params(),
                                                       operands.sources[1].layout.params(),
                                                       operands.destination.layout.params(), mean});
    };
    return shader_layer(source, device, "weighted_reduction", bind);
}

} // namespace mpscnn::metal
