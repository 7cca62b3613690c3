#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ops/op_list.h"

namespace mpscnn::ops {

/// One use of an operation, with parameters and input shapes, which tests and checks run.
struct Case {
    /// A case may have several tags. The first two name the checks that run it, the others describe it.
    enum Tag : unsigned {
        self_check = 1,  ///< the check of a device before its first use, and recorded fingerprints
        conformance = 2, ///< `mpscnn verify`
        /// An operation of training: its inputs are variables of the graph, whose shapes include the batch.
        training = 4,
        /// ONNX cannot express the case. All cases without this tag, except cases of training, are written as
        /// ONNX files and compared.
        no_onnx = 8,
    };

    unsigned tags;
    std::string name; ///< used in messages; each case has a different one
    std::string operation;
    Json attributes;
    std::optional<Json> activation;
    std::vector<Shape> inputs;     ///< without the batch, except in training
    std::string positive_inputs{}; ///< indices, as digits, of the inputs that must not be negative
};

/// Return the table of all cases, in a fixed order.
std::vector<Case> cases();

/// Return the table as JSON: an array of objects with name, operation, attributes, activation
/// (if it has one), inputs and tags.
Json describe_cases();

} // namespace mpscnn::ops
