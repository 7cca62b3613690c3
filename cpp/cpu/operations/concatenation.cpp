#include "cpu/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Concatenation &) {
    for (const ConcatenationPart &part : parts_to_copy(fused, builder.placement(), builder.shapes()))
        builder.add_copy(fused.layers, part.source, part.destination);
}

} // namespace mpscnn::cpu
