#import "metal/encoder.h"

#include <algorithm>
#include <map>

using namespace metal_emulation;

namespace {
constexpr NSUInteger max_inline_bytes = 4096;
constexpr NSUInteger max_threadgroup_bytes = 32768;
} // namespace

@implementation EmulatedEncoder
@synthesize label = label_;

- (instancetype)initWithCommandBuffer:(EmulatedCommandBuffer *)commandBuffer {
    self = [super init];
    commandBuffer_ = [commandBuffer retain];
    return self;
}

- (void)dealloc {
    METAL_EXPECT(ended_, "an encoder is deallocated without endEncoding");
    [commandBuffer_ encoderEnded:self];
    [commandBuffer_ release];
    [label_ release];
    [super dealloc];
}

- (id<MTLDevice>)device {
    return [commandBuffer_ device];
}

- (BOOL)accepts:(const char *)action {
    return METAL_EXPECT(!ended_, "%s after endEncoding", action) && [commandBuffer_ acceptsCommands:action
                                                                                        fromEncoder:self];
}

- (void)endEncoding {
    if (!METAL_EXPECT(!ended_, "endEncoding a second time")) return;
    ended_ = YES;
    [commandBuffer_ encoderEnded:self];
}
@end

@implementation EmulatedComputeEncoder

- (instancetype)initWithCommandBuffer:(EmulatedCommandBuffer *)commandBuffer {
    self = [super initWithCommandBuffer:commandBuffer];
    retained_ = [[NSMutableArray alloc] init];
    return self;
}

- (void)dealloc {
    [retained_ release];
    [super dealloc];
}

- (void)keep:(id)object {
    if (object) [retained_ addObject:object];
}

- (BOOL)acceptsIndex:(NSUInteger)index below:(int)limit action:(const char *)action {
    return [self accepts:action] &&
           METAL_EXPECT(index < static_cast<NSUInteger>(limit), "%s at index %lu", action, index);
}

- (void)setComputePipelineState:(id<MTLComputePipelineState>)state {
    if (![self accepts:"setComputePipelineState:"] || !METAL_EXPECT(state, "setComputePipelineState: nil"))
        return;
    pipeline_ = static_cast<EmulatedPipeline *>(state);
    [self keep:state];
}

- (void)setBytes:(const void *)bytes length:(NSUInteger)length atIndex:(NSUInteger)index {
    if (![self acceptsIndex:index below:msl::max_buffers action:"setBytes:"] ||
        !METAL_EXPECT(length > 0 && length <= max_inline_bytes,
                      "setBytes: of %lu bytes, which is not 1 to %lu", length, max_inline_bytes))
        return;
    const auto *first = static_cast<const unsigned char *>(bytes);
    buffers_[index] = {nil, 0, std::make_shared<std::vector<unsigned char>>(first, first + length)};
}

- (void)setBuffer:(id<MTLBuffer>)buffer offset:(NSUInteger)offset atIndex:(NSUInteger)index {
    if (![self acceptsIndex:index below:msl::max_buffers action:"setBuffer:"] ||
        !METAL_EXPECT(!buffer || offset < [buffer length], "setBuffer: with an offset of %lu behind its end",
                      offset))
        return;
    buffers_[index] = {static_cast<EmulatedBuffer *>(buffer), offset, nullptr};
    [self keep:buffer];
}

- (void)setTexture:(id<MTLTexture>)texture atIndex:(NSUInteger)index {
    if (![self acceptsIndex:index below:msl::max_textures action:"setTexture:"]) return;
    textures_[index] = static_cast<EmulatedTexture *>(texture);
    [self keep:texture];
}

- (void)setThreadgroupMemoryLength:(NSUInteger)length atIndex:(NSUInteger)index {
    if (![self acceptsIndex:index
                      below:msl::max_threadgroup_arguments
                     action:"setThreadgroupMemoryLength:"] ||
        !METAL_EXPECT(length % 16 == 0, "setThreadgroupMemoryLength: %lu, no multiple of 16", length))
        return;
    threadgroupLengths_[index] = length;
}

// ---- Dispatch ---------------------------------------------------------------------------------------------

- (BOOL)acceptsBuffer:(const msl::Argument &)argument name:(const char *)name kernel:(const char *)kernel {
    const BoundBuffer &bound = buffers_[argument.index];
    if (!METAL_EXPECT(bound.buffer || bound.bytes, "kernel %s: buffer %d (%s) is not set", kernel,
                      argument.index, name))
        return NO;
    const NSUInteger length = bound.bytes ? bound.bytes->size() : [bound.buffer length] - bound.offset;
    return METAL_EXPECT(length >= argument.size,
                        "kernel %s: buffer %d (%s) has %lu bytes, of which %lu are needed", kernel,
                        argument.index, name, length, argument.size) &&
           METAL_EXPECT(bound.offset % std::max<NSUInteger>(argument.alignment, 4) == 0,
                        "kernel %s: the offset of buffer %d (%s), %lu, is not aligned to %lu", kernel,
                        argument.index, name, bound.offset, argument.alignment) &&
           METAL_EXPECT(!(bound.bytes && argument.written),
                        "kernel %s writes to buffer %d (%s), which was set by setBytes:", kernel,
                        argument.index, name);
}

- (BOOL)acceptsTexture:(const msl::Argument &)argument name:(const char *)name kernel:(const char *)kernel {
    EmulatedTexture *texture = textures_[argument.index];
    if (!METAL_EXPECT(texture, "kernel %s: texture %d (%s) is not set", kernel, argument.index, name))
        return NO;
    const MTLTextureUsage needed = argument.written ? MTLTextureUsageShaderWrite : MTLTextureUsageShaderRead;
    const bool is_integer = [texture view]->channel_type >= msl::ChannelType::uint8;
    return METAL_EXPECT([texture view]->is_array == argument.is_array,
                        "kernel %s: texture %d (%s) is declared as %s, the texture is the other", kernel,
                        argument.index, name, argument.is_array ? "texture2d_array" : "texture2d") &&
           METAL_EXPECT([texture usage] & needed,
                        "kernel %s: texture %d (%s) was made without usage ShaderTo%s", kernel,
                        argument.index, name, argument.written ? "Write" : "Read") &&
           METAL_EXPECT(!is_integer, "kernel %s: texture %d (%s) has an integer format", kernel,
                        argument.index, name);
}

- (BOOL)acceptsArguments:(const msl::Kernel &)kernel grid:(const msl::Grid &)grid {
    std::map<EmulatedTexture *, bool> access;
    NSUInteger threadgroup_bytes = 0;
    for (int i = 0; i < kernel.argument_count; ++i) {
        const msl::Argument &argument = kernel.arguments[i];
        const char *name = kernel.argument_names[i];
        switch (argument.kind) {
        case msl::ArgumentKind::buffer:
            if (![self acceptsBuffer:argument name:name kernel:kernel.name]) return NO;
            break;
        case msl::ArgumentKind::texture: {
            if (![self acceptsTexture:argument name:name kernel:kernel.name]) return NO;
            const auto [place, added] = access.try_emplace(textures_[argument.index], argument.written);
            if (!added && (place->second || argument.written)) {
                violation("kernel %s: texture %d (%s) is bound a second time and written", kernel.name,
                          argument.index, name);
                return NO;
            }
            break;
        }
        case msl::ArgumentKind::threadgroup:
            threadgroup_bytes += threadgroupLengths_[argument.index];
            if (!METAL_EXPECT(threadgroupLengths_[argument.index] >= argument.size,
                              "kernel %s: threadgroup memory %d (%s) has no length", kernel.name,
                              argument.index, name))
                return NO;
            break;
        case msl::ArgumentKind::builtin:
            if (!METAL_EXPECT(argument.size != 2 ||
                                  *std::max_element(grid.threads, grid.threads + 3) <= 65536,
                              "kernel %s: %s is ushort, the grid is larger", kernel.name, name))
                return NO;
            break;
        }
    }
    return METAL_EXPECT(threadgroup_bytes <= max_threadgroup_bytes,
                        "kernel %s: %lu bytes of threadgroup memory", kernel.name, threadgroup_bytes);
}

// A kernel's arguments. They are kept until the kernel has run.
struct Launch {
    msl::Bindings bindings{};
    std::vector<std::shared_ptr<std::vector<unsigned char>>> bytes;
    std::vector<std::vector<unsigned char>> threadgroup;
};

- (std::shared_ptr<Launch>)launchFor:(const msl::Kernel &)kernel {
    auto launch = std::make_shared<Launch>();
    for (int i = 0; i < kernel.argument_count; ++i) {
        const msl::Argument &argument = kernel.arguments[i];
        const int index = argument.index;
        if (argument.kind == msl::ArgumentKind::buffer) {
            const BoundBuffer &bound = buffers_[index];
            if (bound.bytes)
                launch->bytes.push_back(bound.bytes);
            else
                [commandBuffer_ useArgument:bound.buffer written:argument.written];
            launch->bindings.buffers[index] =
                bound.bytes ? bound.bytes->data() : [bound.buffer deviceBytes] + bound.offset;
            launch->bindings.buffer_length[index] =
                bound.bytes ? bound.bytes->size() : [bound.buffer length] - bound.offset;
        } else if (argument.kind == msl::ArgumentKind::texture) {
            [commandBuffer_ useResource:textures_[index] written:argument.written];
            launch->bindings.textures[index] = [textures_[index] view];
        } else if (argument.kind == msl::ArgumentKind::threadgroup) {
            launch->threadgroup.emplace_back(threadgroupLengths_[index]);
            launch->bindings.threadgroup[index] = launch->threadgroup.back().data();
            launch->bindings.threadgroup_length[index] = threadgroupLengths_[index];
        }
    }
    return launch;
}

- (void)dispatch:(MTLSize)threads groups:(MTLSize)groups groupSize:(MTLSize)groupSize {
    if (![self accepts:"a dispatch"] || !METAL_EXPECT(pipeline_, "a dispatch without a pipeline")) return;
    const NSUInteger sizes[3][3] = {{threads.width, threads.height, threads.depth},
                                    {groups.width, groups.height, groups.depth},
                                    {groupSize.width, groupSize.height, groupSize.depth}};
    msl::Grid grid{};
    unsigned *const targets[3] = {grid.threads, grid.groups, grid.group_size};
    for (int part = 0; part < 3; ++part)
        for (int axis = 0; axis < 3; ++axis) {
            if (!METAL_EXPECT(sizes[part][axis] > 0 && sizes[part][axis] <= 0xffffffff,
                              "a dispatch of size %lu", sizes[part][axis]))
                return;
            targets[part][axis] = static_cast<unsigned>(sizes[part][axis]);
        }
    const NSUInteger per_group = groupSize.width * groupSize.height * groupSize.depth;
    if (!METAL_EXPECT(per_group <= [pipeline_ maxTotalThreadsPerThreadgroup],
                      "%lu threads per threadgroup, more than maxTotalThreadsPerThreadgroup", per_group))
        return;
    grid.simd_width = static_cast<unsigned>([pipeline_ threadExecutionWidth]);
    grid.has_matrices = [[pipeline_ device] supportsFamily:MTLGPUFamilyApple7];
    grid.reverse = switches().reverse_threads != 0;
    const msl::Kernel &kernel = *[[pipeline_ function] kernel];
    if (![self acceptsArguments:kernel grid:grid]) return;
    const Behaviour behaviour = behaviour_of(kernel.name);
    if (behaviour == Behaviour::abort) fail_assertion();
    // The command buffer releases its commands before it releases the objects that they use.
    std::shared_ptr<EmulatedFunction> function([[pipeline_ function] retain],
                                               [](EmulatedFunction *used) { [used release]; });
    [commandBuffer_ append:[function, launch = [self launchFor:kernel], grid, behaviour] {
        if (behaviour == Behaviour::hang) never_end();
        if (behaviour == Behaviour::wrong) return; // its result keeps what was there
        [function.get() run:launch->bindings grid:grid];
    }];
}

- (void)dispatchThreadgroups:(MTLSize)threadgroupsPerGrid
       threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup {
    const MTLSize threads = MTLSizeMake(threadgroupsPerGrid.width * threadsPerThreadgroup.width,
                                        threadgroupsPerGrid.height * threadsPerThreadgroup.height,
                                        threadgroupsPerGrid.depth * threadsPerThreadgroup.depth);
    const NSUInteger groups =
        threadgroupsPerGrid.width * threadgroupsPerGrid.height * threadgroupsPerGrid.depth;
    const auto width = static_cast<NSUInteger>(switches().thread_execution_width);
    const NSUInteger size =
        threadsPerThreadgroup.width * threadsPerThreadgroup.height * threadsPerThreadgroup.depth;
    switches().threadgroups_started += static_cast<long>(groups);
    ++switches().dispatches_made;
    switches().threads_started += static_cast<long>(groups * ((size + width - 1) / width * width));
    [self dispatch:threads groups:threadgroupsPerGrid groupSize:threadsPerThreadgroup];
}
@end
