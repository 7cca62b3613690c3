// Tests of failures on demand, and of the order of command buffers.
#include "emulation_check.h"

#import <CoreVideo/CoreVideo.h>

#include <chrono>
#include <memory>
#include <thread>

CLEAN_TEST(failures_on_demand) {
    metal_emulation_set("no_device", 1);
    CHECK(MTLCreateSystemDefaultDevice() == nil);
    NSArray *none = MTLCopyAllDevices();
    CHECK([none count] == 0);
    [none release];
    metal_emulation_set("no_device", 0);
    metal_emulation_set("fail_buffers", 1);
    CHECK([device() newBufferWithLength:4 options:MTLResourceStorageModeShared] == nil);
    CHECK(small_buffer() != nil);
    metal_emulation_set("fail_textures", 1);
    CHECK([device() newTextureWithDescriptor:texture_descriptor()] == nil);
    metal_emulation_set("fail_texture_caches", 1);
    CVMetalTextureCacheRef cache = nullptr;
    CHECK(CVMetalTextureCacheCreate(nullptr, nullptr, device(), nullptr, &cache) == kCVReturnError);
    CHECK(CVMetalTextureCacheCreate(nullptr, nullptr, device(), nullptr, &cache) == kCVReturnSuccess);
    CHECK(metal_emulation_get("texture_caches_made") == 1);
    CFRelease(cache);
    metal_emulation_set("fail_libraries", 1);
    NSError *error = nil;
    CHECK([device() newLibraryWithFile:@TEST_METALLIB error:&error] == nil);
    CHECK(error != nil);
    CHECK([device() newLibraryWithFile:@"/nowhere/at/all" error:&error] == nil);
    metal_emulation_set("fail_queues", 1);
    CHECK([device() newCommandQueue] == nil);
    metal_emulation_set("fail_functions", 1);
    CHECK(function_of(@"smooth_half") == nil);
    metal_emulation_set("fail_kernels", 1);
    CHECK([[MPSCNNSoftMax alloc] initWithDevice:device()] == nil);
    metal_emulation_set("fail_command_buffers", 1);
    CHECK(command_buffer() == nil);
    id<MTLCommandBuffer> commands = command_buffer();
    metal_emulation_set("fail_encoders", 2);
    CHECK([commands computeCommandEncoder] == nil);
    CHECK([commands blitCommandEncoder] == nil);
    metal_emulation_set("successes_first", 1);
    metal_emulation_set("fail_buffers", 1);
    CHECK(small_buffer() != nil);
    CHECK(small_buffer() == nil);
    metal_emulation_set("unsupported_device", 1);
    CHECK(!MPSSupportsMTLDevice(device()));
    CHECK(metal_emulation_set("no_such_switch", 1) == -1);
}

CLEAN_TEST(errors_of_command_buffers_on_demand) {
    metal_emulation_set("command_buffer_error", MTLCommandBufferErrorOutOfMemory);
    id<MTLCommandBuffer> commands = command_buffer();
    __block NSInteger code = 0;
    [commands addCompletedHandler:^(id<MTLCommandBuffer> done) {
      code = [[done error] code];
    }];
    finish(commands);
    CHECK([commands status] == MTLCommandBufferStatusError);
    CHECK(code == MTLCommandBufferErrorOutOfMemory);
    id<MTLCommandBuffer> next = command_buffer();
    finish(next);
    CHECK([next status] == MTLCommandBufferStatusCompleted);
}

CLEAN_TEST(handlers_die_with_their_command_buffer_on_demand) {
    const auto add_handler = [](id<MTLCommandBuffer> commands, const std::shared_ptr<int> &given) {
        const std::shared_ptr<int> captured = given;
        [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
          (void)captured;
        }];
    };
    for (const long kept : {0, 1}) {
        metal_emulation_set("keep_handlers", kept);
        auto owner = std::make_shared<int>();
        const std::weak_ptr<int> captured = owner;
        NSAutoreleasePool *pool = [[NSAutoreleasePool alloc] init];
        id<MTLCommandBuffer> commands = command_buffer();
        add_handler(commands, owner);
        owner.reset();
        finish(commands);
        metal_emulation_wait_idle();
        CHECK(captured.expired() == (kept == 0));
        [pool drain];
        CHECK(captured.expired());
    }
}

CLEAN_TEST(wrong_results_on_demand) {
    MPSImage *source = image_of(1, 1, 1, {3}), *result = image(1, 1, 1);
    metal_emulation_set("wrong_results", 1);
    encode(any_kernel(), source, result);
    CHECK(pixels_of(result)[0] == 3); // 2 * softmax + 1
}

CLEAN_TEST(command_buffers_run_in_the_order_of_their_enqueueing) {
    id<MTLCommandQueue> queue = owned([device() newCommandQueue]);
    id<MTLCommandBuffer> first = [queue commandBuffer], second = [queue commandBuffer];
    std::vector<int> order;
    auto *seen = &order;
    [first addCompletedHandler:^(id<MTLCommandBuffer>) {
      seen->push_back(1);
    }];
    [second addCompletedHandler:^(id<MTLCommandBuffer>) {
      seen->push_back(2);
    }];
    [first enqueue];
    [second commit];
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK([second status] == MTLCommandBufferStatusCommitted);
    [first commit];
    [second waitUntilCompleted];
    CHECK(order == std::vector<int>({1, 2}));
}
