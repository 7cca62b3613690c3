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

/// Check a command buffer of the caller. Throws ParameterError for nil and for one with unretained
/// references, StateError if it is already committed.
void require_command_buffer(id<MTLCommandBuffer> command_buffer);

/// Return the image if it is temporary, otherwise nil.
MPSTemporaryImage *as_temporary(MPSImage *image);

/// Return an autoreleased image whose memory is allocated. Throws DeviceError if there is not enough.
MPSTemporaryImage *make_temporary_image(id<MTLCommandBuffer> command_buffer, const ImageLayout &layout);

/// A tensor of a network during a run.
struct StoredValue {
    Shape shape;
    ImageLayout layout; ///< the layout of its image in one pass
    int readers = 0;    ///< number of reads by steps and outputs
};

/// Encodes one pass of a network (some images of the batch) into a command buffer. Values are temporary
/// images, whose memory is freed as soon as all readers are encoded. If a pass needs several command buffers,
/// those values are ordinary images that a later command buffer reads.
class Encoding {
public:
    /// Encode into one command buffer. `first_image` is the number in the batch of the pass's first image.
    Encoding(id<MTLCommandBuffer> command_buffer, const std::vector<StoredValue> &values,
             std::int64_t first_image);
    /// Encode into several command buffers, which `go_on_in` sets. `is_read_later` is true for each value
    /// that a later command buffer reads than the one that writes it.
    Encoding(const std::vector<StoredValue> &values, std::int64_t first_image,
             std::vector<bool> is_read_later);
    /// Release the temporary images that are left if encoding ended early.
    ~Encoding();
    Encoding(const Encoding &) = delete;
    Encoding &operator=(const Encoding &) = delete;

    id<MTLCommandBuffer> command_buffer() const { return command_buffer_; }
    std::int64_t first_image() const { return first_image_; }
    void go_on_in(id<MTLCommandBuffer> command_buffer) { command_buffer_ = command_buffer; }

    /// Use an image of the caller as a value. The value must be one that steps read, or one that a step
    /// writes and no step reads. The read count of a temporary image is decremented after the last step has
    /// read it.
    void lend(engine::ValueId value, MPSImage *image);

    /// Return the image that a step is about to write.
    MPSImage *create(engine::ValueId value);
    MPSImage *image(engine::ValueId value) const;
    /// Record a read of a value. Call this once for each read, after the read has been encoded. MPS kernels
    /// decrement an image's readCount themselves.
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
    std::vector<bool> is_read_later_; ///< empty: no value is
    std::vector<Image> images_;
};

/// A temporary image that kernels of one step pass on to each other.
class Scratch {
public:
    Scratch(id<MTLCommandBuffer> command_buffer, const ImageLayout &layout);
    /// Releases the image.
    ~Scratch();
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;

    MPSImage *get() const { return image_.get(); }

private:
    objc_ptr<MPSTemporaryImage *> image_;
};

/// Lets consecutive shaders of a command buffer share one encoder, because each encoder takes time on the
/// GPU. While this object exists, all Dispatch objects of its command buffer use the shared encoder. The
/// encoder runs one shader after the other. Without this object each Dispatch has its own encoder, so
/// that errors can name the layer.
class SharedEncoder {
public:
    explicit SharedEncoder(id<MTLCommandBuffer> command_buffer);
    ~SharedEncoder();
    SharedEncoder(const SharedEncoder &) = delete;
    SharedEncoder &operator=(const SharedEncoder &) = delete;

private:
    friend class Dispatch;
    friend id<MTLCommandBuffer> for_mps(id<MTLCommandBuffer> command_buffer);

    /// Return the object of a command buffer, or null.
    static SharedEncoder *of(id<MTLCommandBuffer> command_buffer);
    id<MTLComputeCommandEncoder> open(const std::string &label);
    void end();

    id<MTLCommandBuffer> command_buffer_;
    objc_ptr<id<MTLComputeCommandEncoder>> encoder_;
};

/// Return the command buffer for a call of MPS. If it has a shared encoder, end that encoder first, because
/// MPS opens encoders itself.
id<MTLCommandBuffer> for_mps(id<MTLCommandBuffer> command_buffer);

/// Runs shaders of a layer. Each run sees the results of the runs before it.
class Dispatch {
public:
    Dispatch(id<MTLCommandBuffer> command_buffer, const std::string &label,
             id<MTLComputePipelineState> pipeline);
    ~Dispatch();
    Dispatch(const Dispatch &) = delete;
    Dispatch &operator=(const Dispatch &) = delete;

    /// Use another shader for the next run.
    void set(id<MTLComputePipelineState> pipeline);
    void texture(MPSImage *image, NSUInteger index);
    void texture(id<MTLTexture> texture, NSUInteger index);
    void buffer(id<MTLBuffer> buffer, std::size_t offset, NSUInteger index);
    void bytes(std::span<const std::byte> values, NSUInteger index);
    /// Give each threadgroup `bytes` bytes of threadgroup memory, a multiple of 16, as argument `index`.
    void threadgroup_memory(std::size_t bytes, NSUInteger index);
    /// Run a thread for each pixel of each slice.
    void run(const ImageLayout &grid);
    /// Run at least this many threads, in groups of a given size or one that suits the device. All groups are
    /// whole, because some GPUs do not support smaller ones at the end.
    void run(MTLSize threads);
    void run(MTLSize threads, MTLSize group);

private:
    SharedEncoder *shared_;                ///< null: the encoder belongs to this object
    id<MTLComputeCommandEncoder> encoder_; ///< autoreleased, like all encoders
    id<MTLComputePipelineState> pipeline_ = nil;
};

} // namespace mpscnn::metal
