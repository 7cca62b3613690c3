#include "engine/commands/host_image_memory.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace mpscnn::engine {

namespace {

/// Bytes allocated after the elements, because kernels of the CPU may read one whole vector past the end.
constexpr std::size_t spare_bytes = 64;

/// Call visit(image, y, x) for the pixels of a region, counted from the region's corner.
template <class Visit> void for_each_pixel(const ImageRegion &region, Visit visit) {
    for (std::int64_t image = 0; image < region.images; ++image)
        for (std::int64_t y = 0; y < region.height; ++y)
            for (std::int64_t x = 0; x < region.width; ++x) visit(image, y, x);
}

/// Return the strides in bytes of images, rows, columns and channels in memory of the layout that `data`
/// describes.
std::array<std::ptrdiff_t, 4> outer_strides(const ImageRegion &region, const ImageData &data,
                                            std::ptrdiff_t element) {
    const bool planar = data.layout == DataLayout::chw;
    const std::ptrdiff_t column = planar ? element : region.channels * element;
    const std::ptrdiff_t row = data.row_bytes != 0 ? data.row_bytes : region.width * column;
    const std::ptrdiff_t plane = region.height * row;
    const std::ptrdiff_t image = data.image_bytes != 0 ? data.image_bytes
                                 : planar              ? region.channels * plane
                                                       : plane;
    return {image, row, column, planar ? plane : element};
}

template <class Element> float normalised(const std::byte *at) {
    Element value;
    std::memcpy(&value, at, sizeof value);
    return static_cast<float>(value) / static_cast<float>(std::numeric_limits<Element>::max());
}

/// Store a float as a normalised integer. It rounds to nearest with ties to even, and NaN becomes 0, as in a
/// texture of this format.
template <class Element> void store_normalised(float value, std::byte *at) {
    constexpr auto largest = static_cast<float>(std::numeric_limits<Element>::max());
    const float clamped = value > 0.0f ? std::min(value, 1.0f) : 0.0f;
    const auto element = static_cast<Element>(std::lrint(clamped * largest));
    std::memcpy(at, &element, sizeof element);
}

} // namespace

std::byte *HostImageMemory::data() const {
    const std::lock_guard lock(mutex_);
    if (!memory_) {
        const std::int64_t elements =
            descriptor_.number_of_images * descriptor_.height * descriptor_.width * pitch();
        memory_ = PageMemory::allocate(
            static_cast<std::size_t>(elements) * kernels::bytes_of(descriptor_.format) + spare_bytes);
    }
    return memory_->data();
}

std::array<std::ptrdiff_t, 4> HostImageMemory::strides() const {
    const auto element = static_cast<std::ptrdiff_t>(kernels::bytes_of(descriptor_.format));
    const std::ptrdiff_t column = pitch() * element, row = descriptor_.width * column;
    return {descriptor_.height * row, row, column, element};
}

std::byte *HostImageMemory::first(const ImageRegion &region) const {
    const auto steps = strides();
    return data() + region.image * steps[0] + region.y * steps[1] + region.x * steps[2] +
           region.channel * steps[3];
}

void HostImageMemory::read(const ImageRegion &region, const ImageData &to) const {
    const auto own = strides(), outer = outer_strides(region, to, own[3]);
    const std::byte *source = first(region);
    const auto element = static_cast<std::size_t>(own[3]);
    for_each_pixel(region, [&](auto image, auto y, auto x) {
        const std::byte *from = source + image * own[0] + y * own[1] + x * own[2];
        std::byte *at = static_cast<std::byte *>(to.data) + image * outer[0] + y * outer[1] + x * outer[2];
        for (std::int64_t c = 0; c < region.channels; ++c)
            std::memcpy(at + c * outer[3], from + c * own[3], element);
    });
}

void HostImageMemory::write(const ImageRegion &region, const ImageData &from) {
    const auto own = strides(), outer = outer_strides(region, from, own[3]);
    std::byte *destination = first(region);
    const auto element = static_cast<std::size_t>(own[3]);
    for_each_pixel(region, [&](auto image, auto y, auto x) {
        const std::byte *source =
            static_cast<const std::byte *>(from.data) + image * outer[0] + y * outer[1] + x * outer[2];
        std::byte *at = destination + image * own[0] + y * own[1] + x * own[2];
        for (std::int64_t c = 0; c < region.channels; ++c)
            std::memcpy(at + c * own[3], source + c * outer[3], element);
    });
}

RegionTensor::RegionTensor(const HostImageMemory &memory, const ImageRegion &region, int rank)
    : memory_(memory), region_(region) {
    const ImageFormat format = memory.descriptor().format;
    const Shape shape = rank == 2 ? Shape{region.images, region.channels} : region.shape();
    if (format == ImageFormat::unorm8 || format == ImageFormat::unorm16) {
        floats_.resize(static_cast<std::size_t>(shape.elements()));
        view_ = TensorView::dense(floats_.data(), DType::float32, shape);
        return;
    }
    const auto steps = memory.strides();
    view_.data = memory.first(region);
    view_.type = format == ImageFormat::float16 ? DType::float16 : DType::float32;
    view_.shape = shape;
    if (rank == 2)
        view_.strides = {steps[0], steps[3]};
    else
        std::copy(steps.begin(), steps.end(), view_.strides.begin());
}

void RegionTensor::load() {
    if (!converted()) return;
    const bool wide = memory_.descriptor().format == ImageFormat::unorm16;
    const auto steps = memory_.strides();
    const std::byte *source = memory_.first(region_);
    float *to = floats_.data();
    for_each_pixel(region_, [&](auto image, auto y, auto x) {
        const std::byte *from = source + image * steps[0] + y * steps[1] + x * steps[2];
        for (std::int64_t c = 0; c < region_.channels; ++c, from += steps[3])
            *to++ = wide ? normalised<std::uint16_t>(from) : normalised<std::uint8_t>(from);
    });
}

void RegionTensor::store() {
    if (!converted()) return;
    const bool wide = memory_.descriptor().format == ImageFormat::unorm16;
    const auto steps = memory_.strides();
    std::byte *destination = memory_.first(region_);
    const float *from = floats_.data();
    for_each_pixel(region_, [&](auto image, auto y, auto x) {
        std::byte *at = destination + image * steps[0] + y * steps[1] + x * steps[2];
        for (std::int64_t c = 0; c < region_.channels; ++c, at += steps[3])
            wide ? store_normalised<std::uint16_t>(*from++, at) : store_normalised<std::uint8_t>(*from++, at);
    });
}

} // namespace mpscnn::engine
