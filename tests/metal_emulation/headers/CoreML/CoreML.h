// Core ML's models, features and arrays. Written from general knowledge of Apple's public documentation,
// since apple_api.py has data about Metal and MPS only.
#pragma once

#import <Foundation/Foundation.h>

typedef NS_ENUM(NSInteger, MLComputeUnits) {
    MLComputeUnitsCPUOnly = 0,
    MLComputeUnitsCPUAndGPU = 1,
    MLComputeUnitsAll = 2,
    MLComputeUnitsCPUAndNeuralEngine = 3,
};

typedef NS_ENUM(NSInteger, MLMultiArrayDataType) {
    MLMultiArrayDataTypeDouble = 0x10000 | 64,
    MLMultiArrayDataTypeFloat32 = 0x10000 | 32,
    MLMultiArrayDataTypeFloat16 = 0x10000 | 16,
    MLMultiArrayDataTypeInt32 = 0x20000 | 32,
};

/// Numbers with a shape. Strides count elements, and rows of a result may have gaps.
@interface MLMultiArray : NSObject {
@private
    NSArray *shape_, *strides_;
    MLMultiArrayDataType type_;
    NSMutableData *memory_;
}
- (instancetype)initWithShape:(NSArray<NSNumber *> *)shape
                     dataType:(MLMultiArrayDataType)dataType
                        error:(NSError **)error;
@property(readonly, nonatomic) MLMultiArrayDataType dataType;
@property(readonly, nonatomic) NSArray<NSNumber *> *shape;
@property(readonly, nonatomic) NSArray<NSNumber *> *strides;
@property(readonly, nonatomic) NSInteger count;
@property(readonly, nonatomic) void *dataPointer;
- (void)getBytesWithHandler:(void (^)(const void *bytes, NSInteger size))handler;
- (void)getMutableBytesWithHandler:(void (^)(void *mutableBytes, NSInteger size,
                                             NSArray<NSNumber *> *strides))handler;
@end

@interface MLFeatureValue : NSObject {
@private
    MLMultiArray *array_;
}
+ (instancetype)featureValueWithMultiArray:(MLMultiArray *)value;
@property(readonly, nonatomic) MLMultiArray *multiArrayValue;
@end

@protocol MLFeatureProvider <NSObject>
@property(readonly, nonatomic) NSSet<NSString *> *featureNames;
- (MLFeatureValue *)featureValueForName:(NSString *)featureName;
@end

@interface MLDictionaryFeatureProvider : NSObject <MLFeatureProvider> {
@private
    NSDictionary *values_;
}
- (instancetype)initWithDictionary:(NSDictionary<NSString *, id> *)dictionary error:(NSError **)error;
@end

@protocol MLBatchProvider <NSObject>
@property(readonly, nonatomic) NSInteger count;
- (id<MLFeatureProvider>)featuresAtIndex:(NSInteger)index;
@end

@interface MLArrayBatchProvider : NSObject <MLBatchProvider> {
@private
    NSArray *features_;
}
- (instancetype)initWithFeatureProviderArray:(NSArray<id<MLFeatureProvider>> *)array;
@end

@interface MLPredictionOptions : NSObject
@end

@interface MLModelConfiguration : NSObject {
@private
    MLComputeUnits units_;
}
@property(readwrite) MLComputeUnits computeUnits;
@end

@interface MLModel : NSObject {
@private
    NSString *path_;
    MLComputeUnits units_;
    int busy_;
}
+ (instancetype)modelWithContentsOfURL:(NSURL *)url
                         configuration:(MLModelConfiguration *)configuration
                                 error:(NSError **)error;
- (id<MLFeatureProvider>)predictionFromFeatures:(id<MLFeatureProvider>)input
                                        options:(MLPredictionOptions *)options
                                          error:(NSError **)error;
- (id<MLBatchProvider>)predictionsFromBatch:(id<MLBatchProvider>)inputBatch
                                    options:(MLPredictionOptions *)options
                                      error:(NSError **)error;
@end

@interface MLModel (MLModelCompilation)
/// The compiled model is a folder for temporary files.
+ (NSURL *)compileModelAtURL:(NSURL *)modelURL error:(NSError **)error;
@end
