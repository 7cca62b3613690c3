#pragma once

#include <cstddef>
#include <string>

namespace mpscnn::cpu {

/// Return advice for a build that was compiled for another machine, if this machine has better instruction
/// sets. Empty otherwise.
std::string build_warning();

/// Return the advice for a build with this number of instruction sets.
///
/// `is_native`: the build has the sets of the machine that compiled it. `has_avx2`: this machine's processor.
std::string build_warning_for(bool is_native, bool has_avx2, std::size_t sets);

} // namespace mpscnn::cpu
