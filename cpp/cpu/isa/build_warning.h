#pragma once

#include <string>

namespace mpscnn::cpu {

/// Return advice for a build that was compiled for another machine, if this machine has better instruction
/// sets. Empty otherwise.
std::string build_warning();

} // namespace mpscnn::cpu
