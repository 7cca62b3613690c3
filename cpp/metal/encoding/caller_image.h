#pragma once

#include <span>
#include <string>
#include <vector>

#include "metal/device/device.h"
#include "metal/device/image.h"

namespace mpscnn::metal {

/// Throws unless kernels can use an image of the caller's so, and its memory is there: ParameterError,
/// StateError for a temporary image that has been read, DeviceError. `what` names it in messages.
void require_image_use(MPSImage *image, const std::string &what, MTLTextureUsage usage,
                       const char *usage_name);

/// An MPSImage or MTLTexture of the caller's, for one of a network's inputs or outputs.
class CallerImage {
public:
    /// `what` names it in messages: "input 'image'". Throws ParameterError for another object and for a
    /// texture that no MPSImage can be, ShapeError for too few feature channels.
    CallerImage(id object, std::string what, const engine::Port &port);

    MPSImage *get() const { return image_.get(); }
    /// (images, height, width, feature channels)
    Shape extents() const;
    /// Of the tensor in the image. Throws ShapeError where the axes of a tensor of the port's cannot have
    /// such extents.
    Shape tensor_shape(const Shape &port) const;
    /// Whether kernels take it for an image of this layout.
    bool is_like(const ImageLayout &layout) const;

    /// Throw unless commands of the device can read or write it, with any device's memory for it made.
    void require_readable(const Device &device) const;
    void require_writable(const Device &device) const;
    /// Throws ShapeError unless it has the extents of the result of this shape.
    void require_room_for(const Shape &result) const;
    /// Throws ParameterError if both are one texture.
    void require_apart_from(const CallerImage &other) const;

private:
    void require_use(const Device &device, MTLTextureUsage usage, const char *usage_name) const;

    std::string what_;
    objc_ptr<MPSImage *> image_;
};

/// One image for each port. `role`: "input".
std::vector<CallerImage> caller_images(NSArray *objects, const std::string &role,
                                       std::span<const engine::Port> ports);

/// Counts the network's reads of temporary images: each time that an image is given is one, also where
/// encoding fails half-way.
class TemporaryReads {
public:
    /// Throws StateError for an image that may not be read so often.
    explicit TemporaryReads(std::span<const CallerImage> images);
    ~TemporaryReads();
    TemporaryReads(const TemporaryReads &) = delete;
    TemporaryReads &operator=(const TemporaryReads &) = delete;

private:
    struct Entry {
        MPSTemporaryImage *image;
        NSUInteger left; ///< read count after the network
    };
    std::vector<Entry> entries_;
};

} // namespace mpscnn::metal
