#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "metal/device/image.h"
#include "metal/device/objc_ptr.h"

#import <Metal/Metal.h>
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// For command buffers of the caller's. Throws ParameterError for nil and for one that does not retain what
/// it uses, StateError for one that is committed.
void require_command_buffer(id<MTLCommandBuffer> command_buffer);

/// The image as a temporary one; nil for every other.
MPSTemporaryImage *as_temporary(MPSImage *image);

/// Autoreleased, with its memory. Throws DeviceError when there is not enough.
MPSTemporaryImage *make_temporary_image(id<MTLCommandBuffer> command_buffer, const ImageLayout &layout);

/// A tensor of a network while it runs.
struct StoredValue {
    Shape shape;
    ImageLayout layout; ///< in one pass
    int readers = 0;    ///< how often steps and outputs read it
};

/// Puts one pass through a network into a command buffer. Values are temporary images, which give their
/// memory back as soon as all of their readers are encoded. Or into several ones; then they are images of
/// their own.
class Encoding {
public:
    /// `first_image`: of the batch.
    Encoding(id<MTLCommandBuffer> command_buffer, const std::vector<StoredValue> &values,
             std::int64_t first_image);
    /// Into those that `go_on_in` names.
    Encoding(const std::vector<StoredValue> &values, std::int64_t first_image);
    /// When encoding ended early, says that the images are not needed any more.
    ~Encoding();
    Encoding(const Encoding &) = delete;
    Encoding &operator=(const Encoding &) = delete;

    id<MTLCommandBuffer> command_buffer() const { return command_buffer_; }
    std::int64_t first_image() const { return first_image_; }
    void go_on_in(id<MTLCommandBuffer> command_buffer) { command_buffer_ = command_buffer; }

    /// Lets a value of the network's be an image of the caller's: one that steps read, or the one that its
    /// step writes and none reads. A temporary image's read count goes down by one when the last step has
    /// read it.
    void lend(engine::ValueId value, MPSImage *image);

    /// The image that a step is about to write.
    MPSImage *create(engine::ValueId value);
    MPSImage *image(engine::ValueId value) const;
    /// To be called once for each read, after it has been encoded. MPS kernels lower an image's readCount
    /// themselves.
    void was_read_by_mps(engine::ValueId value);
    void was_read_by_shader(engine::ValueId value);

private:
    enum class Owner { encoding, caller };
    struct Image {
        objc_ptr<MPSImage *> image;
        int readers_left = 0;
        Owner owner = Owner::encoding;
    };
    Image &at(engine::ValueId value) { return images_[static_cast<std::size_t>(value)]; }

    id<MTLCommandBuffer> command_buffer_;
    const std::vector<StoredValue> &values_;
    std::int64_t first_image_;
    bool keeps_images_ = false; ///< from one command buffer to the next
    std::vector<Image> images_;
};

/// A temporary image between the kernels of one step.
class Scratch {
public:
    Scratch(id<MTLCommandBuffer> command_buffer, const ImageLayout &layout);
    /// Says that the image is not needed any more.
    ~Scratch();
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;

    MPSImage *get() const { return image_.get(); }

private:
    objc_ptr<MPSTemporaryImage *> image_;
};

/// One run of a shader of the engine's own, in an encoder of its own: errors then name it, and MPS, which
/// opens encoders itself, finds none open.
class Dispatch {
public:
    Dispatch(id<MTLCommandBuffer> command_buffer, const std::string &label,
             id<MTLComputePipelineState> pipeline);
    ~Dispatch();
    Dispatch(const Dispatch &) = delete;
    Dispatch &operator=(const Dispatch &) = delete;

    void texture(MPSImage *image, NSUInteger index);
    void texture(id<MTLTexture> texture, NSUInteger index);
    void buffer(id<MTLBuffer> buffer, std::size_t offset, NSUInteger index);
    void bytes(std::span<const std::byte> values, NSUInteger index);
    /// A thread for each pixel of each slice.
    void run(const ImageLayout &grid);
    /// At least this many threads, in groups as they suit the device or as given. Groups are whole, since not
    /// every GPU has smaller ones at the end.
    void run(MTLSize threads);
    void run(MTLSize threads, MTLSize group);

private:
    id<MTLComputeCommandEncoder> encoder_; ///< autoreleased, as all encoders
    id<MTLComputePipelineState> pipeline_;
};

} // namespace mpscnn::metal
