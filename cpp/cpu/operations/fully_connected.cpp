#include "cpu/operation.h"

namespace mpscnn::cpu {

void lower(const OperationLowering &lowering, const ops::FullyConnected &) {
    // A pointwise convolution of one pixel that has all inputs as its channels.
    const Shape &shape = lowering.node.weights.at("weight").shape();
    lowering.fused.packed = lowering.pack({shape[0], 1, 1, shape.elements() / shape[0]}, 1);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::FullyConnected &) {
    ConvolutionTask task;
    task.packed = &fused.packed;
    task.epilogue = epilogue_of(fused);
    Region &source = builder.begin(fused, task).source;
    source.extents = source.whole = {source.extents.batch, 1, 1, fused.packed.inputs_per_group};
}

} // namespace mpscnn::cpu
