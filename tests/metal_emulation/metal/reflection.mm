// A pipeline's description of its function's parameters.
#import "metal/reflection.h"

#import <objc/runtime.h>

using namespace metal_emulation;

@implementation MTLArgument
METAL_EMULATION_COUNT_OBJECTS

- (instancetype)initWithArgument:(const msl::Argument &)argument name:(const char *)name {
    self = [super init];
    name_ = [[NSString alloc] initWithUTF8String:name];
    index_ = static_cast<NSUInteger>(argument.index);
    alignment_ = argument.alignment;
    size_ = argument.size;
    dataType_ = static_cast<MTLDataType>(argument.data_type);
    switch (argument.kind) {
    case msl::ArgumentKind::texture:
        type_ = MTLArgumentTypeTexture;
        access_ = argument.written ? MTLArgumentAccessWriteOnly : MTLArgumentAccessReadOnly;
        textureType_ = argument.is_array ? MTLTextureType2DArray : MTLTextureType2D;
        break;
    case msl::ArgumentKind::threadgroup:
        type_ = MTLArgumentTypeThreadgroupMemory;
        access_ = MTLArgumentAccessReadWrite;
        break;
    default:
        type_ = MTLArgumentTypeBuffer;
        access_ = argument.written ? MTLArgumentAccessReadWrite : MTLArgumentAccessReadOnly;
    }
    return self;
}

- (void)dealloc {
    object_died(object_getClassName(self));
    [name_ release];
    [super dealloc];
}

- (BOOL)is:(MTLArgumentType)type asked:(const char *)property {
    return METAL_EXPECT(type_ == type, "%s of the argument %s, which is of another type", property,
                        utf8(name_).c_str());
}

- (NSString *)name {
    return name_;
}
- (MTLArgumentType)type {
    return type_;
}
- (MTLBindingAccess)access {
    return access_;
}
- (NSUInteger)index {
    return index_;
}
- (BOOL)isActive {
    return YES;
}
- (NSUInteger)bufferAlignment {
    return [self is:MTLArgumentTypeBuffer asked:"bufferAlignment"] ? alignment_ : 0;
}
- (NSUInteger)bufferDataSize {
    return [self is:MTLArgumentTypeBuffer asked:"bufferDataSize"] ? size_ : 0;
}
- (MTLDataType)bufferDataType {
    return [self is:MTLArgumentTypeBuffer asked:"bufferDataType"] ? dataType_ : MTLDataTypeNone;
}
- (NSUInteger)threadgroupMemoryAlignment {
    return [self is:MTLArgumentTypeThreadgroupMemory asked:"threadgroupMemoryAlignment"] ? alignment_ : 0;
}
- (NSUInteger)threadgroupMemoryDataSize {
    return [self is:MTLArgumentTypeThreadgroupMemory asked:"threadgroupMemoryDataSize"] ? size_ : 0;
}
- (MTLTextureType)textureType {
    return [self is:MTLArgumentTypeTexture asked:"textureType"] ? textureType_ : MTLTextureType2D;
}
- (MTLDataType)textureDataType {
    return [self is:MTLArgumentTypeTexture asked:"textureDataType"] ? dataType_ : MTLDataTypeNone;
}
- (NSUInteger)arrayLength {
    return 1;
}
@end

@implementation MTLComputePipelineReflection
METAL_EMULATION_COUNT_OBJECTS

- (instancetype)initWithKernel:(const msl::Kernel &)kernel {
    self = [super init];
    NSMutableArray *arguments = [[NSMutableArray alloc] init];
    for (int i = 0; i < kernel.argument_count; ++i) {
        if (kernel.arguments[i].kind == msl::ArgumentKind::builtin) continue;
        MTLArgument *argument = [[MTLArgument alloc] initWithArgument:kernel.arguments[i]
                                                                 name:kernel.argument_names[i]];
        [arguments addObject:argument];
        [argument release];
    }
    arguments_ = arguments;
    return self;
}

- (void)dealloc {
    object_died(object_getClassName(self));
    [arguments_ release];
    [super dealloc];
}

- (NSArray<MTLArgument *> *)arguments {
    return arguments_;
}
@end

@implementation MTLFunctionConstant
METAL_EMULATION_COUNT_OBJECTS

- (instancetype)initWithConstant:(const msl::FunctionConstant &)constant {
    self = [super init];
    name_ = [[NSString alloc] initWithUTF8String:constant.name];
    type_ = static_cast<MTLDataType>(constant.data_type);
    index_ = static_cast<NSUInteger>(constant.index);
    return self;
}

- (void)dealloc {
    object_died(object_getClassName(self));
    [name_ release];
    [super dealloc];
}

- (NSString *)name {
    return name_;
}
- (MTLDataType)type {
    return type_;
}
- (NSUInteger)index {
    return index_;
}
- (BOOL)required {
    return YES;
}
@end
