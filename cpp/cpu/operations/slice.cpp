#include "cpu/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Slice &slice) {
    const Placement &placement = builder.placement();
    const Region source = sliced(slice, placement.region(fused.inputs[0]), builder.input_shape(fused),
                                 builder.result_shape(fused));
    const Region &destination = placement.region(fused.result);
    if (!(source == destination)) builder.add_copy(fused.layers, source, destination);
}

} // namespace mpscnn::cpu
