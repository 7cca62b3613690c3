// Says by its exit status which instruction sets this machine has: 102 for AVX-512, 101 for AVX2, 100 for
// neither. It is one file, sources included, because try_run of CMake 3.21 takes one.

#include "core/processor.cpp"

int main() { return mpscnn::has_avx512() ? 102 : mpscnn::has_avx2() ? 101 : 100; }
