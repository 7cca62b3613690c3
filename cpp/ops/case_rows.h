#pragma once

#include <span>

namespace mpscnn::ops {

/// A row of the table, with JSON as text. The attributes may have alternatives: the text "a|b" stands for two
/// cases, one for each. "*" as attributes or activation stands for one case for each neuron, and "~" for one
/// case for each neuron without jumps. The name of such a case ends in its alternative. If two rows describe
/// the same case, the table has it once, with the tags of both.
struct CaseRow {
    unsigned tags;
    /// A user reads the name if a device computes the layer wrongly.
    const char *name, *operation, *attributes;
    const char *activation = nullptr;
    /// The default image has odd extents, and channels that do not fill the last slice (of four).
    const char *inputs = "[[7,5,6]]";
    const char *positive_inputs = "";
};

/// Return the rows of the operations of networks, and those of the operations of training.
std::span<const CaseRow> layer_case_rows();
std::span<const CaseRow> training_case_rows();

} // namespace mpscnn::ops
