// Tests which builds warn that they lack the best kernels for this machine, and which do not.

#include <string>

#include "cpu/isa/build_warning.h"
#include "tests/cpp/check.h"

using mpscnn::cpu::build_warning_for;

TEST(a_build_for_another_machine_says_what_to_do) {
    const std::string warning = build_warning_for(true, true, 1);
    CHECK(warning.find("MPSCNN_INSTRUCTION_SETS=all") != std::string::npos);
    CHECK(warning.find("AVX2") != std::string::npos);
}

TEST(other_builds_say_nothing) {
    CHECK(build_warning_for(true, true, 2).empty());  // it has kernels for this processor
    CHECK(build_warning_for(true, false, 1).empty()); // the baseline is all that this processor has
    CHECK(build_warning_for(false, true, 1).empty()); // the sets were chosen on purpose
}
