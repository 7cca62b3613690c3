// The objects that hand arrays to a model.
#import <CoreML/CoreML.h>

#import "metal/object.h"

using namespace metal_emulation;

@implementation MLFeatureValue
METAL_EMULATION_COUNT_OBJECTS

+ (instancetype)featureValueWithMultiArray:(MLMultiArray *)value {
    MLFeatureValue *made = [[[self alloc] init] autorelease];
    made->array_ = [value retain];
    return made;
}
- (void)dealloc {
    [array_ release];
    object_died(object_getClassName(self));
    [super dealloc];
}
- (MLMultiArray *)multiArrayValue {
    return array_;
}
@end

@implementation MLDictionaryFeatureProvider
METAL_EMULATION_COUNT_OBJECTS

- (instancetype)initWithDictionary:(NSDictionary<NSString *, id> *)dictionary error:(NSError **)error {
    self = [super init];
    for (id value in [dictionary allValues])
        if (![value isKindOfClass:[MLFeatureValue class]]) {
            report_error(error, @"com.apple.CoreML", 0, "a value is no MLFeatureValue");
            [self release];
            return nil;
        }
    values_ = [dictionary copy];
    return self;
}
- (void)dealloc {
    [values_ release];
    object_died(object_getClassName(self));
    [super dealloc];
}
- (NSSet<NSString *> *)featureNames {
    return [NSSet setWithArray:[values_ allKeys]];
}
- (MLFeatureValue *)featureValueForName:(NSString *)featureName {
    return [values_ objectForKey:featureName];
}
@end

@implementation MLArrayBatchProvider
METAL_EMULATION_COUNT_OBJECTS

- (instancetype)initWithFeatureProviderArray:(NSArray<id<MLFeatureProvider>> *)array {
    self = [super init];
    features_ = [array copy];
    return self;
}
- (void)dealloc {
    [features_ release];
    object_died(object_getClassName(self));
    [super dealloc];
}
- (NSInteger)count {
    return static_cast<NSInteger>([features_ count]);
}
- (id<MLFeatureProvider>)featuresAtIndex:(NSInteger)index {
    return [features_ objectAtIndex:static_cast<NSUInteger>(index)];
}
@end

@implementation MLPredictionOptions
METAL_EMULATION_COUNT_OBJECTS

- (void)dealloc {
    object_died(object_getClassName(self));
    [super dealloc];
}
@end

@implementation MLModelConfiguration
METAL_EMULATION_COUNT_OBJECTS

- (instancetype)init {
    self = [super init];
    units_ = MLComputeUnitsAll;
    return self;
}
- (void)dealloc {
    object_died(object_getClassName(self));
    [super dealloc];
}
- (MLComputeUnits)computeUnits {
    return units_;
}
- (void)setComputeUnits:(MLComputeUnits)units {
    units_ = units;
}
@end
