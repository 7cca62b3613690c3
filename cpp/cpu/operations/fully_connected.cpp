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
    const Extents &image = source.extents;
    source.extents = source.whole = {image.batch, 1, 1, image.pixels() * image.channels};
}

} // namespace mpscnn::cpu
