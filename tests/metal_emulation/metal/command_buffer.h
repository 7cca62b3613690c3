// Queues and command buffers. Commands run in order on the queue's own thread, as late as Metal may run them.
#pragma once

#import "metal/resource.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

@class EmulatedCommandBuffer;

namespace metal_emulation {

/// What a queue and its thread share; the thread may outlive the queue object.
struct QueueState {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<EmulatedCommandBuffer *> order; // those that are committed hold themselves
    bool closed = false;
    bool has_thread = false;
};

/// Whether a switch says so.
bool is_removed(id<MTLDevice> device);

} // namespace metal_emulation

@interface EmulatedCommandQueue : EmulatedObject <MTLCommandQueue> {
@private
    id<MTLDevice> device_;
    NSString *label_;
    std::shared_ptr<metal_emulation::QueueState> state_;
}
- (instancetype)initWithDevice:(id<MTLDevice>)device;
/// Takes a place in the queue, or gives it up.
- (void)place:(EmulatedCommandBuffer *)commandBuffer;
- (void)remove:(EmulatedCommandBuffer *)commandBuffer;
- (void)wake;
@end

@interface EmulatedCommandBuffer : EmulatedObject <MTLCommandBuffer> {
@private
    EmulatedCommandQueue *queue_;
    NSString *label_;
    NSError *error_;
    std::mutex mutex_;
    std::condition_variable finished_;
    std::atomic<NSUInteger> status_;
    std::vector<std::function<void()>> commands_;
    std::set<EmulatedResource *> resources_; // retained
    std::vector<MTLCommandBufferHandler> scheduled_;
    std::vector<MTLCommandBufferHandler> completed_;
    std::vector<std::pair<std::string, std::size_t>> encoders_; // labels, and commands until their end
    MTLCommandBufferErrorOption errorOptions_;
    id openEncoder_;
    NSUInteger announcedBytes_; // 0: nothing was announced
    NSUInteger temporaryBytes_; // of temporary images alive at this point of the encoding
    BOOL handlersDone_;
    BOOL unretained_;
    CFTimeInterval started_;
    CFTimeInterval ended_;
}
- (instancetype)initWithQueue:(EmulatedCommandQueue *)queue
                 errorOptions:(MTLCommandBufferErrorOption)errorOptions;
/// Whether commands may be added: before the commit and, but for an encoder's own, while no encoder is open.
- (BOOL)acceptsCommands:(const char *)action fromEncoder:(id)encoder;
- (void)append:(std::function<void()>)command;
- (void)useResource:(EmulatedResource *)resource written:(BOOL)written;
- (void)encoderEnded:(id)encoder;
/// What temporary images may take at once, and what each takes and gives back.
- (void)announceTemporaryBytes:(NSUInteger)bytes;
- (void)takeTemporaryBytes:(NSUInteger)bytes;
- (void)returnTemporaryBytes:(NSUInteger)bytes;
/// Makes it one of commandBufferWithUnretainedReferences, by what it says of itself.
- (void)setUnretained;
/// On the queue's thread.
- (void)run;
@end
