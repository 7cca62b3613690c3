#pragma once

#include <string>

namespace mpscnn::cpu {

/// What to do about a build for the machine that made it, where this one has better instruction sets; else
/// empty.
std::string build_warning();

} // namespace mpscnn::cpu
