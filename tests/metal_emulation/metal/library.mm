#import "metal/library.h"
#import "metal/reflection.h"

#import <objc/runtime.h>

#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include <dlfcn.h>

using namespace metal_emulation;

NSString *const MTLLibraryErrorDomain = @"MTLLibraryErrorDomain";

namespace metal_emulation {

// dlopen looks up a name without a folder elsewhere.
LoadedLibrary::LoadedLibrary(const std::string &path)
    : handle_(dlopen(std::filesystem::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (!handle_) throw std::runtime_error(dlerror());
    contents_ = static_cast<const msl::Library *>(dlsym(handle_, "msl_library"));
    if (!contents_ || contents_->version != msl::library_version) {
        dlclose(handle_);
        throw std::runtime_error(path + " is not a library of this emulation");
    }
}

LoadedLibrary::~LoadedLibrary() { dlclose(handle_); }

} // namespace metal_emulation

@implementation EmulatedLibrary
@synthesize label = label_;

- (instancetype)initWithDevice:(id<MTLDevice>)device path:(const std::string &)path {
    self = [super init];
    device_ = [device retain];
    try {
        loaded_ = std::make_shared<LoadedLibrary>(path);
    } catch (...) {
        [self release];
        throw;
    }
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

- (NSArray<NSString *> *)functionNames {
    NSMutableArray *names = [NSMutableArray array];
    const msl::Library &library = loaded_->contents();
    for (int p = 0; p < library.program_count; ++p)
        for (int k = 0; !is_refused_file(library.programs[p]->file) && k < library.programs[p]->kernel_count;
             ++k)
            [names addObject:[NSString stringWithUTF8String:library.programs[p]->kernels[k].name]];
    return names;
}

/// Call visit(program, kernel) for the kernel of this name, and return its result. Return nil if there is no
/// such kernel.
template <class Visit> static id with_kernel(const LoadedLibrary &loaded, NSString *name, Visit visit) {
    const msl::Library &library = loaded.contents();
    for (int p = 0; p < library.program_count; ++p) {
        const msl::Program &program = *library.programs[p];
        if (is_refused_file(program.file)) continue;
        for (int k = 0; k < program.kernel_count; ++k)
            if (utf8(name) == program.kernels[k].name) return visit(program, program.kernels[k]);
    }
    return nil;
}

// A function with unset constants can be inspected, but no pipeline can be made from it.
- (id<MTLFunction>)newFunctionWithName:(NSString *)name {
    return with_kernel(*loaded_, name, [&](const msl::Program &program, const msl::Kernel &kernel) {
        return [[EmulatedFunction alloc] initWithDevice:device_
                                                library:loaded_
                                                program:&program
                                                 kernel:&kernel
                                              constants:{}];
    });
}

- (id<MTLFunction>)newFunctionWithName:(NSString *)name
                        constantValues:(MTLFunctionConstantValues *)constantValues
                                 error:(NSError **)error {
    if (take_one(switches().fail_functions)) {
        report_error(error, MTLLibraryErrorDomain, MTLLibraryErrorInternal, "a failure that was asked for");
        return nil;
    }
    BOOL found = NO;
    id function =
        with_kernel(*loaded_, name, [&](const msl::Program &program, const msl::Kernel &kernel) -> id {
            found = YES;
            ConstantBytes constants;
            if (![self takeConstants:constants of:program from:constantValues error:error]) return nil;
            return [[EmulatedFunction alloc] initWithDevice:device_
                                                    library:loaded_
                                                    program:&program
                                                     kernel:&kernel
                                                  constants:std::move(constants)];
        });
    if (!found)
        report_error(error, MTLLibraryErrorDomain, MTLLibraryErrorFunctionNotFound,
                     "there is no function " + utf8(name));
    return function;
}

// Metal requires the constants that a function uses. The emulation requires all constants of its file.
- (BOOL)takeConstants:(ConstantBytes &)constants
                   of:(const msl::Program &)program
                 from:(MTLFunctionConstantValues *)values
                error:(NSError **)error {
    for (int i = 0; i < program.constant_count; ++i) {
        const msl::FunctionConstant &constant = program.constants[i];
        NSUInteger type = 0;
        NSData *bytes = [values bytesForIndex:constant.index name:constant.name type:&type];
        if (!bytes || type != static_cast<NSUInteger>(constant.data_type)) {
            report_error(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure,
                         std::string("function constant ") + constant.name +
                             (bytes ? " is given as another type" : " is not given"));
            return NO;
        }
        const auto *first = static_cast<const unsigned char *>([bytes bytes]);
        constants[&constant].assign(first, first + constant.size);
    }
    return YES;
}
@end

@implementation EmulatedFunction
@synthesize label = label_;

- (instancetype)initWithDevice:(id<MTLDevice>)device
                       library:(std::shared_ptr<LoadedLibrary>)loaded
                       program:(const msl::Program *)program
                        kernel:(const msl::Kernel *)kernel
                     constants:(ConstantBytes)constants {
    self = [super init];
    device_ = [device retain];
    loaded_ = std::move(loaded);
    program_ = program;
    kernel_ = kernel;
    constants_ = std::move(constants);
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
- (MTLFunctionType)functionType {
    return MTLFunctionTypeKernel;
}
- (NSString *)name {
    return [NSString stringWithUTF8String:kernel_->name];
}
- (const msl::Kernel *)kernel {
    return kernel_;
}
- (std::string)text {
    std::string text = kernel_->name;
    for (const auto &[constant, bytes] : constants_) {
        text += std::string(" ") + constant->name;
        for (const unsigned char byte : bytes) text += " " + std::to_string(byte);
    }
    return text;
}
- (BOOL)isComplete {
    return constants_.size() == static_cast<std::size_t>(program_->constant_count);
}

// Metal lists the constants that a function uses. The emulation lists all constants of its file.
- (NSDictionary<NSString *, MTLFunctionConstant *> *)functionConstantsDictionary {
    NSMutableDictionary *constants = [NSMutableDictionary dictionary];
    for (int i = 0; i < program_->constant_count; ++i) {
        MTLFunctionConstant *constant =
            [[[MTLFunctionConstant alloc] initWithConstant:program_->constants[i]] autorelease];
        [constants setObject:constant forKey:[constant name]];
    }
    return constants;
}

- (void)run:(const msl::Bindings &)bindings grid:(const msl::Grid &)grid {
    std::lock_guard lock(loaded_->mutex());
    for (const auto &[constant, bytes] : constants_)
        std::memcpy(constant->address, bytes.data(), bytes.size());
    kernel_->run(bindings, grid);
}
@end

@implementation EmulatedPipeline

- (instancetype)initWithFunction:(EmulatedFunction *)function {
    self = [super init];
    function_ = [function retain];
    return self;
}

- (void)dealloc {
    [function_ release];
    [super dealloc];
}

- (EmulatedFunction *)function {
    return function_;
}
- (id<MTLDevice>)device {
    return [function_ device];
}
- (NSString *)label {
    return [function_ label];
}
- (NSUInteger)maxTotalThreadsPerThreadgroup {
    return static_cast<NSUInteger>(switches().max_threads.load());
}
- (NSUInteger)threadExecutionWidth {
    return static_cast<NSUInteger>(switches().thread_execution_width.load());
}
- (NSUInteger)staticThreadgroupMemoryLength {
    return 0;
}
@end

@implementation MTLFunctionConstantValues
METAL_EMULATION_COUNT_OBJECTS

- (instancetype)init {
    self = [super init];
    byIndex_ = [[NSMutableDictionary alloc] init];
    byName_ = [[NSMutableDictionary alloc] init];
    return self;
}

- (void)dealloc {
    object_died(object_getClassName(self));
    [byIndex_ release];
    [byName_ release];
    [super dealloc];
}

- (id)copyWithZone:(NSZone *)zone {
    MTLFunctionConstantValues *copy = [[MTLFunctionConstantValues allocWithZone:zone] init];
    [copy->byIndex_ addEntriesFromDictionary:byIndex_];
    [copy->byName_ addEntriesFromDictionary:byName_];
    return copy;
}

/// Return the size of a scalar or vector. A vector of three takes as much as one of four.
static NSUInteger size_of(MTLDataType type) {
    for (const auto &[scalar, size] :
         {std::pair(MTLDataTypeFloat, 4), std::pair(MTLDataTypeHalf, 2), std::pair(MTLDataTypeInt, 4),
          std::pair(MTLDataTypeUInt, 4), std::pair(MTLDataTypeShort, 2), std::pair(MTLDataTypeUShort, 2),
          std::pair(MTLDataTypeChar, 1), std::pair(MTLDataTypeUChar, 1), std::pair(MTLDataTypeBool, 1)}) {
        constexpr NSUInteger components[] = {1, 2, 4, 4};
        if (type >= scalar && type < scalar + 4)
            return static_cast<NSUInteger>(size) * components[type - scalar];
    }
    violation("a function constant of data type %lu, which none can have", static_cast<NSUInteger>(type));
    return 0;
}

static NSArray *typed_value(const void *value, MTLDataType type) {
    NSData *bytes = [NSData dataWithBytes:value length:size_of(type)];
    return [NSArray arrayWithObjects:[NSNumber numberWithUnsignedLong:type], bytes, nil];
}

- (void)setConstantValue:(const void *)value type:(MTLDataType)type atIndex:(NSUInteger)index {
    [byIndex_ setObject:typed_value(value, type) forKey:[NSNumber numberWithUnsignedLong:index]];
}

- (void)setConstantValue:(const void *)value type:(MTLDataType)type withName:(NSString *)name {
    [byName_ setObject:typed_value(value, type) forKey:name];
}

- (NSData *)bytesForIndex:(int)index name:(const char *)name type:(NSUInteger *)type {
    NSArray *pair = [byIndex_ objectForKey:[NSNumber numberWithUnsignedLong:static_cast<NSUInteger>(index)]];
    if (!pair) pair = [byName_ objectForKey:[NSString stringWithUTF8String:name]];
    if (!pair) return nil;
    *type = [[pair objectAtIndex:0] unsignedLongValue];
    return [pair objectAtIndex:1];
}
@end

@implementation MTLCompileOptions
@synthesize fastMathEnabled = fastMathEnabled_, languageVersion = languageVersion_;
METAL_EMULATION_COUNT_OBJECTS

- (instancetype)init {
    self = [super init];
    fastMathEnabled_ = YES;
    return self;
}

- (void)dealloc {
    object_died(object_getClassName(self));
    [super dealloc];
}

- (id)copyWithZone:(NSZone *)zone {
    MTLCompileOptions *copy = [[MTLCompileOptions allocWithZone:zone] init];
    [copy setFastMathEnabled:fastMathEnabled_];
    [copy setLanguageVersion:languageVersion_];
    return copy;
}
@end
