#include "metal/encoding/staged_arrays.h"

#include <algorithm>
#include <cstring>

namespace mpscnn::metal {

namespace {

bool are_same(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.data() == b.data() && a.size() == b.size();
}

bool overlap(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.data() < b.data() + b.size() && b.data() < a.data() + a.size();
}

} // namespace

bool StagedArrays::overlap_otherwise(const engine::CustomRun &run) const {
    return std::any_of(run.bindings.begin(), run.bindings.end(), [&](const engine::CustomBinding &binding) {
        return std::any_of(arrays_.begin(), arrays_.end(), [&](const Array &array) {
            return !are_same(array.bytes, binding.bytes) && overlap(array.bytes, binding.bytes) &&
                   (array.written || binding.parameter->written);
        });
    });
}

id<MTLBuffer> StagedArrays::add(const Device &device, std::span<std::byte> bytes, bool written) {
    auto found = std::find_if(arrays_.begin(), arrays_.end(),
                              [&](const Array &array) { return are_same(array.bytes, bytes); });
    if (found == arrays_.end()) {
        arrays_.push_back({bytes, device.make_buffer(bytes.data(), bytes.size())});
        found = arrays_.end() - 1;
    }
    found->written = found->written || written;
    return found->buffer.get();
}

void StagedArrays::finish() const {
    for (const Array &array : arrays_)
        if (array.written) std::memcpy(array.bytes.data(), [array.buffer.get() contents], array.bytes.size());
}

} // namespace mpscnn::metal
