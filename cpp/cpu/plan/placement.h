#pragma once

#include <span>
#include <vector>

#include "cpu/plan/chains.h"
#include "cpu/plan/lowering.h"
#include "cpu/plan/tensor_layout.h"

namespace mpscnn::cpu {

/// A result that is not computed in the caller's memory and is copied there after the last operation.
struct OutputCopy {
    engine::ValueId value;
    Region destination;
};

/// The place of every tensor of a plan. To avoid copies, reshapes and slices are views of their operands
/// where possible, and operands of a concatenation are computed directly in its result.
struct Placement {
    std::vector<Storage> storages; ///< the graph's inputs come first; offsets in the arena are not set yet
    std::vector<Region> regions;   ///< one for each value; storage -1: the value has no place in memory
    std::vector<OutputCopy> output_copies;

    const Region &region(engine::ValueId value) const { return regions[static_cast<std::size_t>(value)]; }
    /// Add a storage with these extents, and return the region that covers it.
    Region add_storage(const Extents &extents, Storage::Home home, std::size_t port, bool contiguous,
                       std::int64_t vector_width, Element element = Element::float32);
};

/// Choose the place of every tensor. `shapes` has the shape of each value. Tensors inside a chain have no
/// place.
Placement place_tensors(const LoweredNetwork &network, const std::vector<Shape> &shapes,
                        std::span<const Chain> chains);

/// Return the part of a tensor that a slice takes; `input` and `result` are the slice's shapes.
Region sliced(const ops::Slice &slice, Region whole, const Shape &input, const Shape &result);

/// The part of a concatenation's result that one operand fills.
struct ConcatenationPart {
    engine::ValueId operand;
    Region source, destination;
};
/// Return the parts of a concatenation whose operands are not computed directly in its result.
std::vector<ConcatenationPart> parts_to_copy(const FusedOperation &concatenation, const Placement &placement,
                                             const std::vector<Shape> &shapes);

} // namespace mpscnn::cpu
