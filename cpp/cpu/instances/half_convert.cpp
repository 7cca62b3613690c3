#include "cpu/half_convert.h"
#include "cpu/instance.h"

#define MPSCNN_TEXT(name) MPSCNN_TEXT_OF(name)
#define MPSCNN_TEXT_OF(name) #name

void mpscnn::cpu::MPSCNN_SET::get(HalfConversion &conversion) {
    conversion = {halves_from_floats_run<Simd>, floats_from_halves_run<Simd>};
}

void mpscnn::cpu::MPSCNN_SET::get(VectorTraits &traits) {
    traits = {MPSCNN_TEXT(MPSCNN_SET), Simd::width, Simd::fused_multiply_add};
}
