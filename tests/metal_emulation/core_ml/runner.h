#pragma once

#include <string>
#include <vector>

#include "core_ml/core_ml_emulation.h"

namespace core_ml_emulation {

struct Output {
    std::string name;
    std::vector<std::int64_t> shape;
    std::vector<float> numbers;
};

/// Compute the outputs of a model by the function of the test, or by the program that the environment names.
/// Return the text of an error, which is empty if there is none.
std::string run(const std::string &model, const std::vector<core_ml_emulation_tensor> &inputs,
                std::vector<Output> &outputs);

} // namespace core_ml_emulation
