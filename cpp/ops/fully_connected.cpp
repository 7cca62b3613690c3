#include "ops/fully_connected.h"

namespace mpscnn::ops {

void require_dense_input(const OperationInfo &info, const InputShapes &inputs) {
    const Shape &input = inputs[0];
    if (input.rank() != 2 && input.rank() != 4)
        fail(ErrorKind::shape,
             {info.name, ": the input must be (n, features) or (n, height, width, channels), got ",
              input.text()});
    if (!input.with_batch(1).fixed())
        fail(ErrorKind::shape, {info.name,
                                ": the input's size must be fixed, since the weights depend on "
                                "it, got ",
                                input.text(), "; pool globally first"});
}

void FullyConnected::check(const InputShapes &inputs) const {
    require_minimum(info, "outputs", outputs, 1);
    require_dense_input(info, inputs);
}

WeightSpecs FullyConnected::weights(const InputShapes &inputs) const {
    return {{"weight", inputs[0].with_batch(outputs)}, {"bias", {outputs}, false}};
}

Cost FullyConnected::cost(const InputShapes &inputs, const Shape &) const {
    const std::int64_t flops = Shape{2, inputs[0].elements(), outputs}.elements();
    return {flops / 2, flops};
}

} // namespace mpscnn::ops
