#pragma once

#include <mutex>

#include "core/page_memory.h"
#include "engine/backend/backend.h"
#include "engine/commands/image.h"

namespace mpscnn::engine {

/// An image's elements in main memory: NHWC, with the channels of a pixel rounded up to a multiple of four. A
/// slice of four channels is therefore a strided view. Channels that are only padding hold zero. Memory is
/// allocated at the first use, in pages that a GPU can use directly.
class HostImageMemory : public ImageMemory {
public:
    explicit HostImageMemory(const ImageDescriptor &descriptor) : descriptor_(descriptor) {}

    const char *device() const override { return "cpu"; }
    void read(const ImageRegion &region, const ImageData &to) const override;
    void write(const ImageRegion &region, const ImageData &from) override;

    const ImageDescriptor &descriptor() const { return descriptor_; }
    std::byte *data() const;
    /// Return the number of channels from one pixel to the next.
    std::int64_t pitch() const { return descriptor_.slices() * ImageDescriptor::slice_channels; }

    /// Return the element of a region's first pixel and channel, and strides in bytes of images, rows,
    /// columns, channels.
    std::byte *first(const ImageRegion &region) const;
    std::array<std::ptrdiff_t, 4> strides() const;

private:
    ImageDescriptor descriptor_;
    mutable std::mutex mutex_; ///< guards the allocation
    mutable std::shared_ptr<PageMemory> memory_;
};

/// A region of an image as a tensor of float32 or float16. A region in one of these formats is not copied. A
/// region in a normalised format is converted in memory of this object: call `load` before reading the
/// tensor, and `store` after writing to it.
class RegionTensor {
public:
    /// Make a tensor of rank 4, (images, height, width, channels), or of rank 2 for one pixel, (images,
    /// channels).
    RegionTensor(const HostImageMemory &memory, const ImageRegion &region, int rank);

    const TensorView &view() const { return view_; }
    void load();
    void store();

private:
    bool converted() const { return !floats_.empty(); }

    const HostImageMemory &memory_;
    ImageRegion region_;
    std::vector<float> floats_;
    TensorView view_;
};

} // namespace mpscnn::engine
