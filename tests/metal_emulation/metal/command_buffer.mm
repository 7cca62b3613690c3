#import "metal/command_buffer.h"

#import "metal/encoder.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <immintrin.h>

using namespace metal_emulation;

NSString *const MTLCommandBufferErrorDomain = @"MTLCommandBufferErrorDomain";
NSString *const MTLCommandBufferEncoderInfoErrorKey = @"MTLCommandBufferEncoderInfoErrorKey";

@implementation MTLCommandBufferDescriptor
@synthesize retainedReferences = retainedReferences_;
@synthesize errorOptions = errorOptions_;

- (instancetype)init {
    self = [super init];
    retainedReferences_ = YES;
    return self;
}

- (id)copyWithZone:(NSZone *)zone {
    MTLCommandBufferDescriptor *copy = [[MTLCommandBufferDescriptor allocWithZone:zone] init];
    [copy setRetainedReferences:retainedReferences_];
    [copy setErrorOptions:errorOptions_];
    return copy;
}
@end

@interface EmulatedEncoderInfo : NSObject <MTLCommandBufferEncoderInfo> {
@private
    NSString *label_;
    MTLCommandEncoderErrorState errorState_;
}
- (instancetype)initWithLabel:(const std::string &)label state:(MTLCommandEncoderErrorState)state;
@end

@implementation EmulatedEncoderInfo
@synthesize label = label_;
@synthesize errorState = errorState_;

- (instancetype)initWithLabel:(const std::string &)label state:(MTLCommandEncoderErrorState)state {
    self = [super init];
    label_ = [[NSString alloc] initWithUTF8String:label.c_str()];
    errorState_ = state;
    return self;
}

- (void)dealloc {
    [label_ release];
    [super dealloc];
}
@end

namespace {

// Apple's GPUs flush float denormals to zero, but keep half denormals.
void flush_denormals() {
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
    _MM_SET_DENORMALS_ZERO_MODE(_MM_DENORMALS_ZERO_ON);
}

CFTimeInterval seconds_now() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
}

void work_off(const std::shared_ptr<QueueState> &state) {
    GSRegisterCurrentThread();
    flush_denormals();
    std::unique_lock lock(state->mutex);
    while (true) {
        // A command buffer that is enqueued but not committed blocks the ones after it.
        state->changed.wait(lock, [&] {
            return state->closed || (!state->order.empty() &&
                                     [state->order.front() status] == MTLCommandBufferStatusCommitted);
        });
        if (state->closed) break;
        EmulatedCommandBuffer *next = state->order.front();
        state->order.pop_front();
        lock.unlock();
        NSAutoreleasePool *pool = [[NSAutoreleasePool alloc] init];
        [next run];
        [next release];
        [pool drain];
        work_ended();
        lock.lock();
    }
    lock.unlock();
    GSUnregisterCurrentThread();
}

} // namespace

@implementation EmulatedCommandQueue
@synthesize label = label_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    self = [super init];
    device_ = [device retain];
    state_ = std::make_shared<QueueState>();
    return self;
}

- (void)dealloc {
    {
        std::lock_guard lock(state_->mutex);
        state_->closed = true;
    }
    state_->changed.notify_all();
    [device_ release];
    [label_ release];
    [super dealloc];
}

- (id<MTLDevice>)device {
    return device_;
}

- (id<MTLCommandBuffer>)commandBufferWithErrorOptions:(MTLCommandBufferErrorOption)errorOptions {
    if (take_one(switches().fail_command_buffers)) return nil;
    ++switches().command_buffers_made;
    return [[[EmulatedCommandBuffer alloc] initWithQueue:self errorOptions:errorOptions] autorelease];
}

- (id<MTLCommandBuffer>)commandBuffer {
    return [self commandBufferWithErrorOptions:MTLCommandBufferErrorOptionNone];
}

- (id<MTLCommandBuffer>)commandBufferWithDescriptor:(MTLCommandBufferDescriptor *)descriptor {
    if (![descriptor retainedReferences]) return [self commandBufferWithUnretainedReferences];
    return [self commandBufferWithErrorOptions:[descriptor errorOptions]];
}

- (id<MTLCommandBuffer>)commandBufferWithUnretainedReferences {
    violation(
        "commandBufferWithUnretainedReferences: the emulation cannot see whether resources live long enough");
    auto *commandBuffer = static_cast<EmulatedCommandBuffer *>([self commandBuffer]);
    [commandBuffer setUnretained];
    return commandBuffer;
}

- (void)place:(EmulatedCommandBuffer *)commandBuffer {
    std::lock_guard lock(state_->mutex);
    state_->order.push_back(commandBuffer);
    if (!state_->has_thread) {
        state_->has_thread = true;
        std::thread(work_off, state_).detach();
    }
}

- (void)remove:(EmulatedCommandBuffer *)commandBuffer {
    std::lock_guard lock(state_->mutex);
    std::erase(state_->order, commandBuffer);
    state_->changed.notify_all();
}

- (void)wake {
    std::lock_guard lock(state_->mutex);
    state_->changed.notify_all();
}
@end

@implementation EmulatedCommandBuffer
@synthesize label = label_;
@synthesize errorOptions = errorOptions_;

- (instancetype)initWithQueue:(EmulatedCommandQueue *)queue
                 errorOptions:(MTLCommandBufferErrorOption)errorOptions {
    self = [super init];
    errorOptions_ = errorOptions;
    queue_ = [queue retain];
    status_ = MTLCommandBufferStatusNotEnqueued;
    return self;
}

- (void)dealloc {
    if (!METAL_EXPECT(status_ != MTLCommandBufferStatusEnqueued,
                      "a command buffer was enqueued but never committed"))
        [queue_ remove:self];
    [self forget];
    [error_ release];
    [label_ release];
    [queue_ release];
    [super dealloc];
}

// Release everything that was kept for the commands.
- (void)forget {
    commands_.clear();
    for (EmulatedResource *resource : resources_) [resource release];
    resources_.clear();
    for (MTLCommandBufferHandler handler : completed_) Block_release(handler);
    completed_.clear();
}

- (id<MTLDevice>)device {
    return [queue_ device];
}
- (id<MTLCommandQueue>)commandQueue {
    return queue_;
}
- (BOOL)retainedReferences {
    return !unretained_;
}
- (void)setUnretained {
    unretained_ = YES;
}
- (MTLCommandBufferStatus)status {
    return static_cast<MTLCommandBufferStatus>(status_.load());
}
- (NSError *)error {
    std::lock_guard lock(mutex_);
    return [[error_ retain] autorelease];
}
- (CFTimeInterval)GPUStartTime {
    return started_;
}
- (CFTimeInterval)GPUEndTime {
    return ended_;
}

- (BOOL)acceptsCommands:(const char *)action fromEncoder:(id)encoder {
    return METAL_EXPECT(status_ < MTLCommandBufferStatusCommitted, "%s after the commit", action) &&
           METAL_EXPECT(openEncoder_ == encoder, "%s while %s", action,
                        encoder ? "its encoder has ended" : "an encoder is open");
}

- (void)append:(std::function<void()>)command {
    commands_.push_back(std::move(command));
}

- (void)useResource:(EmulatedResource *)resource written:(BOOL)written {
    METAL_EXPECT(![resource isRecycled], "a temporary image is used after its read count fell to 0");
    if (resources_.insert(resource).second) [resource retain];
    if (written) [self append:[resource] { [resource wasWritten]; }];
}

- (void)useArgument:(EmulatedBuffer *)buffer written:(BOOL)written {
    if ([buffer storageMode] != MTLStorageModePrivate) ++switches().shared_arguments;
    [self useResource:buffer written:written];
}

- (void)announceTemporaryBytes:(NSUInteger)bytes {
    announcedBytes_ = std::max(announcedBytes_, bytes);
    switches().announced_bytes = static_cast<long>(bytes);
}

- (void)takeTemporaryBytes:(NSUInteger)bytes {
    temporaryBytes_ += bytes;
    METAL_EXPECT(announcedBytes_ == 0 || temporaryBytes_ <= announcedBytes_,
                 "temporary images of %lu bytes at once, of which %lu were announced", temporaryBytes_,
                 announcedBytes_);
}

- (void)returnTemporaryBytes:(NSUInteger)bytes {
    temporaryBytes_ -= bytes;
}

- (void)encoderEnded:(id)encoder {
    if (openEncoder_ != encoder) return;
    openEncoder_ = nil;
    NSString *label = [encoder label];
    encoders_.emplace_back(label ? [label UTF8String] : "", commands_.size());
}

- (id<MTLComputeCommandEncoder>)computeCommandEncoder {
    if (![self acceptsCommands:"a compute encoder is asked for" fromEncoder:nil] ||
        take_one(switches().fail_encoders))
        return nil;
    EmulatedComputeEncoder *encoder =
        [[[EmulatedComputeEncoder alloc] initWithCommandBuffer:self] autorelease];
    openEncoder_ = encoder;
    ++switches().compute_encoders_made;
    return encoder;
}

- (id<MTLBlitCommandEncoder>)blitCommandEncoder {
    if (![self acceptsCommands:"a blit encoder is asked for" fromEncoder:nil] ||
        take_one(switches().fail_encoders))
        return nil;
    EmulatedBlitEncoder *encoder = [[[EmulatedBlitEncoder alloc] initWithCommandBuffer:self] autorelease];
    openEncoder_ = encoder;
    return encoder;
}

- (void)addCompletedHandler:(MTLCommandBufferHandler)block {
    if (!METAL_EXPECT(status_ < MTLCommandBufferStatusCommitted, "a handler is added after the commit"))
        return;
    completed_.push_back(Block_copy(block));
}

- (void)enqueue {
    if (!METAL_EXPECT(status_ == MTLCommandBufferStatusNotEnqueued,
                      "enqueue of a command buffer a second time"))
        return;
    status_ = MTLCommandBufferStatusEnqueued;
    [queue_ place:self];
}

- (void)commit {
    if (!METAL_EXPECT(status_ < MTLCommandBufferStatusCommitted,
                      "commit of a command buffer a second time") ||
        !METAL_EXPECT(!openEncoder_, "commit with an open encoder"))
        return;
    if (status_ == MTLCommandBufferStatusNotEnqueued) [self enqueue];
    for (EmulatedResource *resource : resources_) [resource beginFlight];
    work_began();
    [self retain]; // until it has run
    status_ = MTLCommandBufferStatusCommitted;
    [queue_ wake];
}

- (void)waitUntilCompleted {
    if (!METAL_EXPECT(status_ >= MTLCommandBufferStatusCommitted, "waitUntilCompleted before the commit"))
        return;
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [&] { return handlersDone_; });
}

- (void)callHandlers {
    for (MTLCommandBufferHandler handler : completed_) {
        try {
            handler(self);
        } catch (...) {
            violation("a handler let an exception out");
        }
    }
}

- (void)become:(MTLCommandBufferStatus)status {
    {
        std::lock_guard lock(mutex_);
        status_ = status;
    }
    finished_.notify_all();
}

// Return the state of each encoder if command `failed` did not succeed.
- (NSArray *)encoderInfosAt:(std::size_t)failed {
    NSMutableArray *infos = [NSMutableArray array];
    bool faulted = false;
    for (const auto &[label, behind] : encoders_) {
        MTLCommandEncoderErrorState state = MTLCommandEncoderErrorStateCompleted;
        if (behind > failed)
            state = faulted ? MTLCommandEncoderErrorStatePending : MTLCommandEncoderErrorStateFaulted;
        faulted = faulted || behind > failed;
        [infos addObject:[[[EmulatedEncoderInfo alloc] initWithLabel:label state:state] autorelease]];
    }
    return infos;
}

- (void)failWith:(NSInteger)code text:(const std::string &)text at:(std::size_t)command {
    NSError *error = make_error(MTLCommandBufferErrorDomain, code, text);
    if (errorOptions_ & MTLCommandBufferErrorOptionEncoderExecutionStatus) {
        NSMutableDictionary *facts = [NSMutableDictionary dictionaryWithDictionary:[error userInfo]];
        [facts setObject:[self encoderInfosAt:command] forKey:MTLCommandBufferEncoderInfoErrorKey];
        error = [NSError errorWithDomain:MTLCommandBufferErrorDomain code:code userInfo:facts];
    }
    std::lock_guard lock(mutex_);
    error_ = [error retain];
}

- (void)runCommands {
    // The switch is read again and again, so that a test can end the delay.
    constexpr long cold = 20; // milliseconds
    if (switches().cold_ms > 0) {
        switches().cold_ms -= cold;
        std::this_thread::sleep_for(std::chrono::milliseconds(cold));
    }
    for (long slept = 0; slept < switches().worker_delay_ms; ++slept)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (is_removed([self device])) {
        [self failWith:MTLCommandBufferErrorDeviceRemoved text:"the device was removed" at:0];
        return;
    }
    if (const long code = switches().command_buffer_error.exchange(0)) {
        [self failWith:code text:"an error that was asked for" at:0];
        return;
    }
    std::size_t done = 0;
    try {
        for (const std::function<void()> &command : commands_) {
            command();
            ++done;
        }
    } catch (const std::exception &fault) {
        violation("%s", fault.what());
        [self failWith:MTLCommandBufferErrorInternal text:fault.what() at:done];
    }
}

- (void)run {
    [self become:MTLCommandBufferStatusScheduled];
    started_ = seconds_now();
    [self runCommands];
    ended_ = seconds_now();
    for (EmulatedResource *resource : resources_) [resource endFlight];
    [self become:[self error] ? MTLCommandBufferStatusError : MTLCommandBufferStatusCompleted];
    [self callHandlers];
    {
        std::lock_guard lock(mutex_);
        handlersDone_ = YES;
    }
    finished_.notify_all();
    // Handlers, and the objects that they captured, are destroyed after the waiting thread has continued. A
    // Mac does the same, at an unspecified time.
    if (!switches().keep_handlers) [self forget];
}
@end
