#pragma once

#include <optional>

#include "engine/graph/graph.h"
#include "engine/train/loss_options.h"

namespace mpscnn::engine {

/// The values of a training graph that a loss reads.
struct LossInputs {
    ValueId prediction, labels;
    std::optional<ValueId> weights; ///< in the shape of the prediction
    ValueId number;                 ///< any value of the shape (1, 1)
};

struct LossValues {
    ValueId loss;     ///< (1, 1)
    ValueId gradient; ///< with respect to the prediction
};

/// Return whether the loss includes a softmax. Then it is computed from the input of a final softmax.
bool includes_softmax(const LossOptions &loss);

/// Add a loss and its gradient to a training graph. Throws ParameterError for options out of their ranges,
/// and for weights that the loss does not take; ShapeError for a prediction of another shape than the loss
/// needs.
LossValues add_loss(Graph &graph, const LossOptions &loss, const LossInputs &inputs);

} // namespace mpscnn::engine
