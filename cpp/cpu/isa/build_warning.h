#pragma once

#include <cstddef>
#include <string>

namespace mpscnn::cpu {

/// Return advice if the library was built for another machine and this machine has better instruction sets.
/// The text is empty otherwise.
std::string build_warning();

/// Return the advice for a build with `sets` instruction sets.
///
/// `is_native`: the build only has the sets of the machine that compiled it. `has_avx2`: this processor has
/// AVX2.
std::string build_warning_for(bool is_native, bool has_avx2, std::size_t sets);

} // namespace mpscnn::cpu
