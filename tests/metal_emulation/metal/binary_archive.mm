#import "metal/library.h"

#import <objc/runtime.h>

#include <chrono>
#include <fstream>
#include <thread>

using namespace metal_emulation;

NSString *const MTLBinaryArchiveDomain = @"MTLBinaryArchiveDomain";

namespace {
constexpr const char *first_line = "an archive of the emulation";
}

@implementation EmulatedArchive
@synthesize label = label_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    self = [super init];
    device_ = [device retain];
    return self;
}

- (void)dealloc {
    [device_ release];
    [label_ release];
    [super dealloc];
}

- (id<MTLDevice>)device {
    return device_;
}

- (BOOL)read:(const std::string &)path {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line) || line != first_line) return NO;
    while (std::getline(file, line)) functions_.insert(line);
    return YES;
}

- (BOOL)holds:(EmulatedFunction *)function {
    const std::lock_guard lock(mutex_);
    return functions_.contains([function text]);
}

- (BOOL)addComputePipelineFunctionsWithDescriptor:(MTLComputePipelineDescriptor *)descriptor
                                            error:(NSError **)error {
    auto *function = static_cast<EmulatedFunction *>([descriptor computeFunction]);
    if (!METAL_EXPECT(function, "a pipeline without a function for an archive") ||
        !METAL_EXPECT([function isComplete], "function %s without its function constants for an archive",
                      utf8([function name]).c_str())) {
        report_error(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorUnexpectedElement, "no function");
        return NO;
    }
    const std::lock_guard lock(mutex_);
    functions_.insert([function text]);
    return YES;
}

- (BOOL)serializeToURL:(NSURL *)url error:(NSError **)error {
    std::this_thread::sleep_for(std::chrono::milliseconds(switches().archive_delay_ms.load()));
    const std::lock_guard lock(mutex_);
    if (METAL_EXPECT([url isFileURL], "serializeToURL: of a URL that is not a file's") &&
        METAL_EXPECT(!functions_.empty(), "serializeToURL: of an empty archive") &&
        !take_one(switches().fail_archives)) {
        std::ofstream file(utf8([url path]));
        file << first_line << "\n";
        for (const std::string &function : functions_) file << function << "\n";
        if (file.flush()) return YES;
    }
    report_error(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorInternalError, "not written");
    return NO;
}
@end

@implementation MTLBinaryArchiveDescriptor
@synthesize url = url_;
METAL_EMULATION_COUNT_OBJECTS

- (void)dealloc {
    object_died(object_getClassName(self));
    [url_ release];
    [super dealloc];
}

- (id)copyWithZone:(NSZone *)zone {
    MTLBinaryArchiveDescriptor *copy = [[MTLBinaryArchiveDescriptor allocWithZone:zone] init];
    [copy setUrl:url_];
    return copy;
}
@end

@implementation MTLComputePipelineDescriptor
@synthesize label = label_, computeFunction = computeFunction_, binaryArchives = binaryArchives_;
METAL_EMULATION_COUNT_OBJECTS

- (void)dealloc {
    object_died(object_getClassName(self));
    [label_ release];
    [computeFunction_ release];
    [binaryArchives_ release];
    [super dealloc];
}

- (id)copyWithZone:(NSZone *)zone {
    MTLComputePipelineDescriptor *copy = [[MTLComputePipelineDescriptor allocWithZone:zone] init];
    [copy setLabel:label_];
    [copy setComputeFunction:computeFunction_];
    [copy setBinaryArchives:binaryArchives_];
    return copy;
}
@end
