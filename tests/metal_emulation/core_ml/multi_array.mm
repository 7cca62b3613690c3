#import "core_ml/multi_array.h"

#include <cmath>
#include <functional>
#include <numeric>

#import "metal/object.h"

using namespace metal_emulation;
using core_ml_emulation::extents_of;

namespace {

NSArray *array_of(const std::vector<std::int64_t> &numbers) {
    NSMutableArray *made = [NSMutableArray array];
    for (const std::int64_t number : numbers) [made addObject:[NSNumber numberWithLongLong:number]];
    return made;
}

std::vector<std::int64_t> strides_for(const std::vector<std::int64_t> &shape, std::int64_t row) {
    std::vector<std::int64_t> strides(shape.size(), 1);
    std::int64_t next = row;
    for (std::size_t axis = shape.size(); axis-- > 1;) {
        strides[axis - 1] = next;
        next *= shape[axis - 1];
    }
    return strides;
}

std::size_t bytes_of(MLMultiArrayDataType type) { return static_cast<std::size_t>(type & 0xff) / 8; }

} // namespace

@interface MLMultiArray (Emulation)
- (instancetype)initWithShape:(NSArray *)shape
                      strides:(NSArray *)strides
                         type:(MLMultiArrayDataType)type
                     elements:(std::size_t)elements;
@end

@implementation MLMultiArray
METAL_EMULATION_COUNT_OBJECTS

- (instancetype)initWithShape:(NSArray *)shape
                      strides:(NSArray *)strides
                         type:(MLMultiArrayDataType)type
                     elements:(std::size_t)elements {
    self = [super init];
    shape_ = [shape copy];
    strides_ = [strides copy];
    type_ = type;
    memory_ = [[NSMutableData alloc] initWithLength:elements * bytes_of(type)];
    // All bits set is NaN for each type of floating point numbers.
    auto *bytes = static_cast<unsigned char *>([memory_ mutableBytes]);
    std::fill(bytes, bytes + [memory_ length], 0xff);
    return self;
}

- (instancetype)initWithShape:(NSArray<NSNumber *> *)shape
                     dataType:(MLMultiArrayDataType)dataType
                        error:(NSError **)error {
    const std::vector<std::int64_t> extents = extents_of(shape);
    if (take_one_silently(switches().fail_multi_arrays)) {
        [self release];
        raise_if_told();
        report_error(error, @"com.apple.CoreML", 3, "there is no memory for an array");
        return nil;
    }
    const std::vector<std::int64_t> strides = strides_for(extents, extents.empty() ? 1 : extents.back());
    const std::int64_t elements =
        std::accumulate(extents.begin(), extents.end(), std::int64_t{1}, std::multiplies<>());
    return [self initWithShape:shape
                       strides:array_of(strides)
                          type:dataType
                      elements:static_cast<std::size_t>(elements)];
}

- (void)dealloc {
    [shape_ release];
    [strides_ release];
    [memory_ release];
    object_died(object_getClassName(self));
    [super dealloc];
}

- (MLMultiArrayDataType)dataType {
    return type_;
}
- (NSArray<NSNumber *> *)shape {
    return shape_;
}
- (NSArray<NSNumber *> *)strides {
    return strides_;
}
- (NSInteger)count {
    const std::vector<std::int64_t> extents = extents_of(shape_);
    return std::accumulate(extents.begin(), extents.end(), std::int64_t{1}, std::multiplies<>());
}
- (void *)dataPointer {
    return [memory_ mutableBytes];
}
- (void)getBytesWithHandler:(void (^)(const void *bytes, NSInteger size))handler {
    handler([memory_ bytes], static_cast<NSInteger>([memory_ length]));
}
- (void)getMutableBytesWithHandler:(void (^)(void *mutableBytes, NSInteger size,
                                             NSArray<NSNumber *> *strides))handler {
    handler([memory_ mutableBytes], static_cast<NSInteger>([memory_ length]), strides_);
}
@end

namespace core_ml_emulation {

std::vector<std::int64_t> extents_of(NSArray<NSNumber *> *numbers) {
    std::vector<std::int64_t> extents;
    for (NSNumber *number in numbers) extents.push_back([number longLongValue]);
    return extents;
}

/// Call `visit` with the place of each element in memory, in the order of the elements.
static void for_each_place(const std::vector<std::int64_t> &shape, const std::vector<std::int64_t> &strides,
                           const std::function<void(std::size_t)> &visit) {
    std::vector<std::int64_t> index(shape.size(), 0);
    const std::int64_t all =
        std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
    for (std::int64_t element = 0; element < all; ++element) {
        visit(static_cast<std::size_t>(
            std::inner_product(index.begin(), index.end(), strides.begin(), std::int64_t{0})));
        for (std::size_t axis = shape.size(); axis-- > 0 && ++index[axis] == shape[axis];) index[axis] = 0;
    }
}

std::vector<float> numbers_of(MLMultiArray *array) {
    std::vector<float> numbers;
    const auto *memory = static_cast<const float *>([array dataPointer]);
    for_each_place(extents_of([array shape]), extents_of([array strides]),
                   [&](std::size_t place) { numbers.push_back(memory[place]); });
    return numbers;
}

MLMultiArray *array_with_gaps(const std::vector<std::int64_t> &shape, const std::vector<float> &numbers) {
    constexpr std::int64_t alignment = 16;
    const std::int64_t row = (shape.back() + alignment) / alignment * alignment;
    const std::vector<std::int64_t> strides = strides_for(shape, row);
    const auto elements = static_cast<std::size_t>(shape.size() > 1 ? strides[0] * shape[0] : row);
    auto *array = [[[MLMultiArray alloc] initWithShape:array_of(shape)
                                               strides:array_of(strides)
                                                  type:MLMultiArrayDataTypeFloat32
                                              elements:elements] autorelease];
    auto *memory = static_cast<float *>([array dataPointer]);
    std::size_t next = 0;
    for_each_place(shape, strides, [&](std::size_t place) { memory[place] = numbers[next++]; });
    return array;
}

} // namespace core_ml_emulation
