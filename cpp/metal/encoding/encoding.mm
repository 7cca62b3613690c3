#include "metal/encoding/encoding.h"

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "core/json.h"
#include "metal/device/exceptions.h"
#include "metal/device/text.h"

namespace mpscnn::metal {

namespace {

/// The shared encoders of all command buffers that are encoded at present.
struct SharedEncoders {
    std::mutex mutex;
    std::map<const void *, SharedEncoder *> by_command_buffer;
};

SharedEncoders &shared_encoders() {
    static SharedEncoders encoders;
    return encoders;
}

[[noreturn]] void fail_for_lack_of_memory(const ImageLayout &layout) {
    fail(ErrorKind::device, {"Metal cannot allocate an image of ", layout.bytes(), " bytes"});
}

NSUInteger parts_of(NSUInteger extent, NSUInteger size) { return (extent + size - 1) / size; }

/// Return the size of equal parts of an extent, each of at most `most`.
NSUInteger even_part(NSUInteger extent, NSUInteger most) {
    const NSUInteger size = std::max<NSUInteger>(std::min(extent, most), 1);
    return parts_of(extent, parts_of(extent, size));
}

/// Return the number of threads that the GPU starts, in whole simdgroups of `together` threads.
NSUInteger started_threads(MTLSize threads, MTLSize group, NSUInteger together) {
    const NSUInteger groups = parts_of(threads.width, group.width) * parts_of(threads.height, group.height) *
                              parts_of(threads.depth, group.depth);
    return groups * parts_of(group.width * group.height * group.depth, together) * together;
}

/// Return the threadgroup of at most `most` threads for which the GPU starts the fewest threads. The threads
/// of a group read adjacent pixels of a row. For small images, several slices fill the group.
MTLSize group_of_at_most(NSUInteger most, MTLSize threads, MTLSize limits, NSUInteger together) {
    MTLSize best = MTLSizeMake(1, 1, 1);
    NSUInteger fewest = std::numeric_limits<NSUInteger>::max();
    for (const NSUInteger part_of_width : {1u, 2u, 4u})
        for (const NSUInteger part_of_height : {1u, 2u, 4u}) {
            MTLSize group;
            group.width = even_part(threads.width, std::min({together / part_of_width, limits.width, most}));
            group.height =
                even_part(threads.height, std::min(most / group.width / part_of_height, limits.height));
            group.depth =
                even_part(threads.depth, std::min(most / (group.width * group.height), limits.depth));
            const NSUInteger started = started_threads(threads, group, together);
            if (started >= fewest) continue;
            fewest = started;
            best = group;
        }
    return best;
}

/// Return the size of threadgroups for a number of threads. Groups have at most 256 threads, so that small
/// images keep all cores of a GPU busy, unless larger groups leave 5% fewer threads idle.
MTLSize group_of_threads(MTLSize threads, MTLSize limits, NSUInteger maximum, NSUInteger together) {
    constexpr NSUInteger usual = 256;
    if (threads.height == 1 && threads.depth == 1) {
        // A row of threads uses groups of several simdgroups, because a GPU runs only a limited number of
        // groups at a time.
        const NSUInteger in_row = std::max(usual / together * together, together);
        return MTLSizeMake(std::min({threads.width, in_row, maximum, limits.width}), 1, 1);
    }
    MTLSize best = group_of_at_most(std::min(usual, maximum), threads, limits, together);
    for (const NSUInteger most : {2 * usual, 4 * usual}) {
        if (most > maximum) break;
        const MTLSize larger = group_of_at_most(most, threads, limits, together);
        if (20 * started_threads(threads, larger, together) < 19 * started_threads(threads, best, together))
            best = larger;
    }
    return best;
}

objc_ptr<MPSImage *> make_kept_image(id<MTLDevice> device, const ImageLayout &layout) {
    auto image = adopt([[MPSImage alloc] initWithDevice:device imageDescriptor:layout.descriptor()]);
    if (![image.get() texture]) fail_for_lack_of_memory(layout);
    return image;
}

} // namespace

void require_command_buffer(id<MTLCommandBuffer> command_buffer) {
    if (!command_buffer) fail(ErrorKind::parameter, "the command buffer must not be nil");
    if (![command_buffer retainedReferences])
        fail(ErrorKind::parameter, "the command buffer must retain what it uses "
                                   "(not commandBufferWithUnretainedReferences)");
    if ([command_buffer status] >= MTLCommandBufferStatusCommitted)
        fail(ErrorKind::state, "the command buffer is committed already; it takes nothing more");
}

MPSTemporaryImage *as_temporary(MPSImage *image) {
    return [image isKindOfClass:[MPSTemporaryImage class]] ? static_cast<MPSTemporaryImage *>(image) : nil;
}

/// Return a temporary image whose memory is allocated. MPS allocates the texture at the first access, so the
/// access is made here, where a lack of memory can still be reported.
MPSTemporaryImage *make_temporary_image(id<MTLCommandBuffer> command_buffer, const ImageLayout &layout) {
    MPSTemporaryImage *image = [MPSTemporaryImage temporaryImageWithCommandBuffer:command_buffer
                                                                  imageDescriptor:layout.descriptor()];
    try {
        if (!with_framework_errors([&] { return [image texture]; })) fail_for_lack_of_memory(layout);
    } catch (...) {
        [image setReadCount:0];
        throw;
    }
    return image;
}

Encoding::Encoding(id<MTLCommandBuffer> command_buffer, const std::vector<StoredValue> &values,
                   std::int64_t first_image)
    : command_buffer_(command_buffer), values_(values), first_image_(first_image), images_(values.size()) {}

Encoding::Encoding(const std::vector<StoredValue> &values, std::int64_t first_image,
                   std::vector<bool> is_read_later)
    : Encoding(nil, values, first_image) {
    is_read_later_ = std::move(is_read_later);
}

Encoding::~Encoding() {
    for (const Image &left : images_) {
        if (left.owner == Owner::caller) continue;
        MPSTemporaryImage *image = as_temporary(left.image.get());
        // The read count may already be 0: an MPS kernel may have been the last reader, and encoding may have
        // failed after it.
        if ([image readCount] > 0) [image setReadCount:0];
    }
}

void Encoding::lend(engine::ValueId value, MPSImage *image) {
    const int readers = values_[static_cast<std::size_t>(value)].readers;
    if (MPSTemporaryImage *temporary = as_temporary(image))
        [temporary setReadCount:[temporary readCount] + static_cast<NSUInteger>(readers) - 1];
    at(value) = {share(image), readers, Owner::caller};
}

MPSImage *Encoding::create(engine::ValueId value) {
    if (at(value).owner == Owner::caller) return image(value);
    const StoredValue &stored = values_[static_cast<std::size_t>(value)];
    if (!is_read_later_.empty() && is_read_later_[static_cast<std::size_t>(value)]) {
        at(value) = {make_kept_image([command_buffer_ device], stored.layout), stored.readers};
        return image(value);
    }
    MPSTemporaryImage *made = make_temporary_image(command_buffer_, stored.layout);
    at(value) = {share<MPSImage *>(made), stored.readers};
    [made setReadCount:static_cast<NSUInteger>(stored.readers)];
    return made;
}

MPSImage *Encoding::image(engine::ValueId value) const {
    return images_[static_cast<std::size_t>(value)].image.get();
}

void Encoding::was_read_by_mps(engine::ValueId value) {
    Image &read = at(value);
    // A temporary image is released after its last reader, because MPS reuses its memory then.
    if (--read.readers_left == 0) read.image.reset();
}

void Encoding::was_read_by_shader(engine::ValueId value) {
    if (MPSTemporaryImage *image = as_temporary(at(value).image.get()))
        [image setReadCount:[image readCount] - 1];
    was_read_by_mps(value);
}

Scratch::Scratch(id<MTLCommandBuffer> command_buffer, const ImageLayout &layout)
    : image_(share(make_temporary_image(command_buffer, layout))) {}

Scratch::~Scratch() {
    if ([image_.get() readCount] > 0) [image_.get() setReadCount:0];
}

SharedEncoder::SharedEncoder(id<MTLCommandBuffer> command_buffer) : command_buffer_(command_buffer) {
    const std::lock_guard lock(shared_encoders().mutex);
    shared_encoders().by_command_buffer[command_buffer] = this;
}

SharedEncoder::~SharedEncoder() {
    end();
    const std::lock_guard lock(shared_encoders().mutex);
    shared_encoders().by_command_buffer.erase(command_buffer_);
}

SharedEncoder *SharedEncoder::of(id<MTLCommandBuffer> command_buffer) {
    const std::lock_guard lock(shared_encoders().mutex);
    const auto &known = shared_encoders().by_command_buffer;
    const auto found = known.find(command_buffer);
    return found == known.end() ? nullptr : found->second;
}

id<MTLComputeCommandEncoder> SharedEncoder::open(const std::string &label) {
    if (!encoder_) {
        encoder_ = share([command_buffer_ computeCommandEncoder]);
        [encoder_.get() setLabel:string_of(label)];
    }
    return encoder_.get();
}

void SharedEncoder::end() {
    if (encoder_) [encoder_.get() endEncoding];
    encoder_.reset();
}

id<MTLCommandBuffer> for_mps(id<MTLCommandBuffer> command_buffer) {
    if (SharedEncoder *shared = SharedEncoder::of(command_buffer)) shared->end();
    return command_buffer;
}

Dispatch::Dispatch(id<MTLCommandBuffer> command_buffer, const std::string &label,
                   id<MTLComputePipelineState> pipeline)
    : shared_(SharedEncoder::of(command_buffer)),
      encoder_(shared_ ? shared_->open(label) : [command_buffer computeCommandEncoder]) {
    if (!encoder_) fail(ErrorKind::device, {"Metal gives no compute encoder for ", quoted(label)});
    if (!shared_) [encoder_ setLabel:string_of(label)];
    set(pipeline);
}

Dispatch::~Dispatch() {
    if (!shared_) [encoder_ endEncoding];
}

void Dispatch::set(id<MTLComputePipelineState> pipeline) {
    pipeline_ = pipeline;
    [encoder_ setComputePipelineState:pipeline];
}

void Dispatch::texture(MPSImage *image, NSUInteger index) { texture([image texture], index); }

void Dispatch::texture(id<MTLTexture> texture, NSUInteger index) {
    [encoder_ setTexture:texture atIndex:index];
}

void Dispatch::buffer(id<MTLBuffer> buffer, std::size_t offset, NSUInteger index) {
    [encoder_ setBuffer:buffer offset:offset atIndex:index];
}

void Dispatch::bytes(std::span<const std::byte> values, NSUInteger index) {
    [encoder_ setBytes:values.data() length:values.size() atIndex:index];
}

void Dispatch::threadgroup_memory(std::size_t bytes, NSUInteger index) {
    [encoder_ setThreadgroupMemoryLength:bytes atIndex:index];
}

void Dispatch::run(const ImageLayout &grid) {
    run(MTLSizeMake(static_cast<NSUInteger>(grid.width), static_cast<NSUInteger>(grid.height),
                    static_cast<NSUInteger>(grid.slices() * grid.images)));
}

void Dispatch::run(MTLSize threads) {
    run(threads,
        group_of_threads(threads, [[pipeline_ device] maxThreadsPerThreadgroup],
                         [pipeline_ maxTotalThreadsPerThreadgroup], [pipeline_ threadExecutionWidth]));
}

void Dispatch::run(MTLSize threads, MTLSize group) {
    [encoder_ dispatchThreadgroups:MTLSizeMake(parts_of(threads.width, group.width),
                                               parts_of(threads.height, group.height),
                                               parts_of(threads.depth, group.depth))
             threadsPerThreadgroup:group];
}

} // namespace mpscnn::metal
