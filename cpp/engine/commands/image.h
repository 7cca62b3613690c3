#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "engine/commands/resource.h"
#include "kernels/encoding.h"

namespace mpscnn::engine {

class CommandBuffer;
using kernels::ImageDescriptor;
using kernels::ImageFormat;
using kernels::ImageRegion;

/// The order of an image's elements in the caller's memory (MPSDataLayout).
enum class DataLayout { hwc = 0, chw = 1 };

/// The place and layout of a region's elements in memory, in the image's format.
struct ImageData {
    void *data = nullptr;
    DataLayout layout = DataLayout::hwc;
    std::ptrdiff_t row_bytes = 0;   ///< bytes from one row to the next; 0: rows have no gaps
    std::ptrdiff_t image_bytes = 0; ///< bytes from one image to the next; 0: images have no gaps
};

/// An image's memory on one kind of device. It is made at the image's first use.
class ImageMemory : public Resource {
public:
    virtual const char *device() const = 0;
    virtual void read(const ImageRegion &region, const ImageData &to) const = 0;
    virtual void write(const ImageRegion &region, const ImageData &from) = 0;
};

/// An image of feature channels, MPSImage. `create` makes it, possibly as a temporary image,
/// MPSTemporaryImage, for one command buffer. A temporary image has a read count, which starts at 1. Every
/// kernel that reads it decrements the count, and at 0 its memory is freed. Programs cannot access the
/// contents of temporary images.
class Image {
public:
    static std::shared_ptr<Image> create(const ImageDescriptor &descriptor);
    static std::shared_ptr<Image> create_temporary(const ImageDescriptor &descriptor,
                                                   const std::shared_ptr<CommandBuffer> &commands);
    ~Image();
    Image(const Image &) = delete;
    Image &operator=(const Image &) = delete;

    const ImageDescriptor &descriptor() const { return descriptor_; }
    bool temporary() const { return temporary_; }
    const std::string &label() const { return label_; }
    void set_label(std::string label) { label_ = std::move(label); }

    /// Return the read count; 0 for an image that is not temporary.
    std::int64_t read_count() const { return read_count_; }
    /// Set the read count of a temporary image whose count is not 0 yet. A count of 0 frees the memory.
    void set_read_count(std::int64_t count);

    /// Copy a region to the caller's memory. Throws StateError for a temporary image, and while a committed
    /// command buffer uses the image.
    void read(const ImageRegion &region, const ImageData &to) const;
    void write(const ImageRegion &region, const ImageData &from);

    /// Return the memory. At the first use `make()` makes it.
    template <class Make> std::shared_ptr<ImageMemory> memory(Make make) const {
        const std::lock_guard lock(mutex_);
        if (!memory_) memory_ = make();
        return memory_;
    }
    /// Throws StateError unless the calling program may access the image's contents now.
    void require_accessible() const { static_cast<void>(accessible_memory()); }
    /// Throws StateError unless `commands` may read the image `reads` times. With 0 reads it checks whether
    /// they may write it.
    void require_usable(const CommandBuffer &commands, const char *role, std::int64_t reads) const;
    /// Subtract `reads` from a temporary image's read count.
    void count_reads(std::int64_t reads);
    /// Return a description such as "image 'relu1' (640 x 480 x 3)".
    std::string text() const;

private:
    Image(const ImageDescriptor &descriptor, bool temporary)
        : descriptor_(descriptor), temporary_(temporary) {}
    std::shared_ptr<ImageMemory> accessible_memory() const;
    void require_access(const ImageRegion &region) const;

    ImageDescriptor descriptor_;
    bool temporary_;
    std::string label_;
    std::int64_t read_count_ = 0;
    std::weak_ptr<CommandBuffer> commands_; ///< the only command buffer that may use a temporary image
    mutable std::mutex mutex_;
    mutable std::shared_ptr<ImageMemory> memory_;
};

using ImagePointer = std::shared_ptr<Image>;

} // namespace mpscnn::engine
