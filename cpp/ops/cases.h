#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ops/op_list.h"

namespace mpscnn::ops {

/// One use of an operation, which tests and checks run.
struct Case {
    /// The checks that run a case, which may have several tags.
    enum Tag : unsigned {
        self_check = 1,  ///< the check of a device at its first use, and recorded fingerprints
        conformance = 2, ///< `mpscnn verify`
        training = 4,    ///< an operation of training: its inputs are tensors of the graph, with their batch
        no_onnx = 8, ///< ONNX cannot express it; all others but those of training are written and compared
    };

    unsigned tags;
    std::string name; ///< for messages; no two cases have the same one
    std::string operation;
    Json attributes;
    std::optional<Json> activation;
    std::vector<Shape> inputs;     ///< without the batch, except in training
    std::string positive_inputs{}; ///< the digits of the inputs that must not be negative
};

/// THE table of cases, in a fixed order.
std::vector<Case> cases();

/// The table as JSON: an array of objects with name, operation, attributes, activation (if it has one),
/// inputs and tags.
Json describe_cases();

} // namespace mpscnn::ops
