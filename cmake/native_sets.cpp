// Prints the instruction sets of this machine that not every x86-64 processor has, as a list for CMake. It is
// one file, sources included, because try_run of CMake 3.21 takes one.

#include <cstdio>

#include "core/processor.cpp"

namespace {

void print_if(bool has, const char *names) {
    if (has) std::fputs(names, stdout);
}

} // namespace

int main() {
    using namespace mpscnn;
    print_if(has_avx2(), "avx2;avx2_bf16;avx2_quads;");
    print_if(has_avx_vnni(), "avx2_vnni;");
    print_if(has_avx512(), "avx512;avx512_fma_bf16;");
    print_if(has_avx512_bf16(), "avx512_bf16;");
    print_if(has_avx512_vnni(), "avx512_vnni;");
    print_if(has_avx512_fp16(), "avx512_fp16;");
    print_if(has_amx_bf16(), "amx_bf16;");
    print_if(has_amx_int8(), "amx_int8;");
}
