// Conversion of arrays between float and IEEE half. The results have the bits that core/half.h defines.
//
// Each vector is converted by the processor's instruction if it has one. Then the speed is limited by memory,
// 6 bytes for each number. Otherwise integer arithmetic converts it, which takes some 15 operations.

#include "cpu/isa/instance.h"
#include "cpu/isa/kernels.h"
#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

template <class V>
void halves_from_floats_run(const float *source, std::uint16_t *destination, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + V::width <= count; i += V::width) V::store_half(destination + i, V::load(source + i));
    if (i == count) return;
    std::uint16_t rest[V::width];
    V::store_half(rest, V::load_partial(source + i, count - i));
    for (std::int64_t lane = 0; i < count; ++i, ++lane) destination[i] = rest[lane];
}

template <class V>
void floats_from_halves_run(const std::uint16_t *source, float *destination, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + V::width <= count; i += V::width) V::store(destination + i, V::load_half(source + i));
    if (i == count) return;
    std::uint16_t rest[V::width] = {};
    for (std::int64_t lane = 0; i + lane < count; ++lane) rest[lane] = source[i + lane];
    V::store_partial(destination + i, V::load_half(rest), count - i);
}

} // namespace
} // namespace mpscnn::cpu

#define MPSCNN_TEXT(name) MPSCNN_TEXT_OF(name)
#define MPSCNN_TEXT_OF(name) #name

void mpscnn::cpu::MPSCNN_SET::get(HalfConversion &conversion) {
    conversion = {halves_from_floats_run<Simd>, floats_from_halves_run<Simd>};
}

void mpscnn::cpu::MPSCNN_SET::get(VectorTraits &traits) {
    traits = {MPSCNN_TEXT(MPSCNN_SET), Simd::width, Simd::has_fma};
}
