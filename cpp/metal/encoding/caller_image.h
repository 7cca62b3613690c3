#pragma once

#include <span>
#include <string>
#include <vector>

#include "metal/device/device.h"
#include "metal/device/image.h"

namespace mpscnn::metal {

/// Throws unless kernels can use the caller's image with this usage, and its memory exists. Throws
/// ParameterError, StateError for a temporary image that has been read, or DeviceError. `what` names the
/// image in messages.
void require_image_use(MPSImage *image, const std::string &what, MTLTextureUsage usage,
                       const char *usage_name);

/// The caller's MPSImage or MTLTexture for one of a network's inputs or outputs.
class CallerImage {
public:
    /// Check the type of the object. `what` names it in messages: "input 'image'". Throws ParameterError for
    /// other objects, formats and texture types, and for a part of another MPSImage. Throws ShapeError for a
    /// texture whose slices or components do not fit the port's feature channels.
    CallerImage(id object, std::string what, const engine::Port &port);

    MPSImage *get() const { return image_.get(); }
    /// Return the extents (images, height, width, feature channels).
    Shape extents() const;
    /// Return the shape of the tensor in the image. Throws ShapeError if a tensor of the shape `port` cannot
    /// have these extents.
    Shape tensor_shape(const Shape &port) const;
    /// True if kernels can use the image directly in place of one with this layout, whose extents it has.
    bool is_like(const ImageLayout &layout) const;

    /// These two functions throw unless commands of the device can read, or write, the image. They also
    /// allocate the image's memory if it does not exist yet.
    void require_readable(const Device &device) const;
    void require_writable(const Device &device) const;
    /// Throws ShapeError unless the image has the extents of a result with this shape.
    void require_room_for(const Shape &result) const;
    /// Throws ParameterError if both are the same texture.
    void require_apart_from(const CallerImage &other) const;

private:
    void require_use(const Device &device, MTLTextureUsage usage, const char *usage_name) const;

    std::string what_;
    objc_ptr<MPSImage *> image_;
};

/// Return one image for each port. `role` is "input" or "output".
std::vector<CallerImage> caller_images(NSArray *objects, const std::string &role,
                                       std::span<const engine::Port> ports);

/// Counts the network's reads of temporary images. Each use of an image as an input counts as one read, also
/// if encoding fails half-way.
class TemporaryReads {
public:
    /// Throws StateError if an image's read count is too small for these uses.
    explicit TemporaryReads(std::span<const CallerImage> images);
    ~TemporaryReads();
    TemporaryReads(const TemporaryReads &) = delete;
    TemporaryReads &operator=(const TemporaryReads &) = delete;

private:
    struct Entry {
        MPSTemporaryImage *image;
        NSUInteger left; ///< read count after the network has read it
    };
    std::vector<Entry> entries_;
};

} // namespace mpscnn::metal
