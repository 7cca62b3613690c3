// Queues and command buffers. Commands run in order on the queue's thread, as late as Metal may run them.
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

/// The state that a queue and its thread share; the thread may outlive the queue object.
struct QueueState {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<EmulatedCommandBuffer *> order; // committed command buffers retain themselves
    bool closed = false;
    bool has_thread = false;
};

/// Return true if the switch removed_device names this device.
bool is_removed(id<MTLDevice> device);

} // namespace metal_emulation

@interface EmulatedCommandQueue : EmulatedObject <MTLCommandQueue> {
@private
    id<MTLDevice> device_;
    NSString *label_;
    std::shared_ptr<metal_emulation::QueueState> state_;
}
- (instancetype)initWithDevice:(id<MTLDevice>)device;
/// Add the command buffer to the queue, or remove it from there.
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
    std::set<EmulatedResource *> resources_; // this object retains them
    std::vector<MTLCommandBufferHandler> completed_;
    // For each encoder its label and the number of commands until its end.
    std::vector<std::pair<std::string, std::size_t>> encoders_;
    MTLCommandBufferErrorOption errorOptions_;
    id openEncoder_;
    NSUInteger announcedBytes_; // 0: nothing was announced
    NSUInteger temporaryBytes_; // bytes of temporary images that are alive at this point of the encoding
    BOOL handlersDone_;
    BOOL unretained_;
    CFTimeInterval started_;
    CFTimeInterval ended_;
}
- (instancetype)initWithQueue:(EmulatedCommandQueue *)queue
                 errorOptions:(MTLCommandBufferErrorOption)errorOptions;
/// True if commands may be added: before the commit, and only from the encoder that is open, if any.
- (BOOL)acceptsCommands:(const char *)action fromEncoder:(id)encoder;
- (void)append:(std::function<void()>)command;
- (void)useResource:(EmulatedResource *)resource written:(BOOL)written;
// Use a buffer as an argument of a kernel.
- (void)useArgument:(EmulatedBuffer *)buffer written:(BOOL)written;
- (void)encoderEnded:(id)encoder;
/// Record the announced peak of temporary images, and the bytes that each takes and releases.
- (void)announceTemporaryBytes:(NSUInteger)bytes;
- (void)takeTemporaryBytes:(NSUInteger)bytes;
- (void)returnTemporaryBytes:(NSUInteger)bytes;
/// Make the property retainedReferences NO, as in command buffers of commandBufferWithUnretainedReferences.
/// The command buffer still retains its objects.
- (void)setUnretained;
/// Run all commands. Called on the queue's thread.
- (void)run;
@end
