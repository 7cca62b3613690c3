#pragma once

#include <span>
#include <vector>

#include "cpu/plan/chains.h"
#include "cpu/plan/lowering.h"
#include "cpu/plan/tensor_layout.h"

namespace mpscnn::cpu {

/// A result that lies elsewhere and is copied to the caller's memory after the last operation.
struct OutputCopy {
    engine::ValueId value;
    Region destination;
};

/// Where every tensor of a plan lies. Reshapes and slices are other views of their operands; operands of a
/// concatenation lie within its result, so that nothing is copied, wherever both can be.
struct Placement {
    std::vector<Storage> storages; ///< the graph's inputs first; offsets in the arena are not set
    std::vector<Region> regions;   ///< one for each value; storage -1: nothing computes it
    std::vector<OutputCopy> output_copies;

    const Region &region(engine::ValueId value) const { return regions[static_cast<std::size_t>(value)]; }
    /// The region that covers a new storage of these extents.
    Region add_storage(const Extents &extents, Storage::Home home, std::size_t port, bool contiguous,
                       std::int64_t vector_width, Element element = Element::float32);
};

/// `shapes` are those of all values. What lies between the operations of a chain has no place.
Placement place_tensors(const LoweredNetwork &network, const std::vector<Shape> &shapes,
                        std::span<const Chain> chains);

/// The part of a tensor that a slice takes; `input` and `result` are the slice's shapes.
Region sliced(const ops::Slice &slice, Region whole, const Shape &input, const Shape &result);

/// Part of a concatenation's result that one operand fills.
struct ConcatenationPart {
    engine::ValueId operand;
    Region source, destination;
};
/// The operands that do not lie within the result already.
std::vector<ConcatenationPart> parts_to_copy(const FusedOperation &concatenation, const Placement &placement,
                                             const std::vector<Shape> &shapes);

} // namespace mpscnn::cpu
