#include "metal/coreml/multi_array.h"

#include <array>
#include <cstring>
#include <type_traits>
#include <vector>

#include "core/half.h"
#include "core/text.h"
#include "metal/device/text.h"

namespace mpscnn::coreml {

namespace {

/// MLMultiArrayDataTypeFloat16, which headers before those of macOS 12 lack.
constexpr auto type_float16 = static_cast<MLMultiArrayDataType>(0x10000 | 16);

using Extents = std::vector<std::int64_t>;

Extents extents_of(NSArray<NSNumber *> *numbers) {
    Extents extents;
    for (NSNumber *number in numbers) extents.push_back([number longLongValue]);
    return extents;
}

/// Return which axis of a tensor each axis of its array is.
std::vector<int> axes_of(int rank) {
    if (rank == 4) return {0, 3, 1, 2};
    std::vector<int> axes;
    for (int axis = 0; axis < rank; ++axis) axes.push_back(axis);
    return axes;
}

/// One image and its array: the extents, and the strides of both in bytes, in the order of the array's axes.
struct Pairing {
    Extents extents, image, array;

    explicit Pairing(const engine::TensorView &view) {
        for (const int axis : axes_of(view.shape.rank())) {
            extents.push_back(view.shape[axis]);
            image.push_back(view.strides[static_cast<std::size_t>(axis)]);
        }
    }

    void set_array_strides(const Extents &elements, std::size_t element_bytes) {
        array.clear();
        for (const std::int64_t stride : elements)
            array.push_back(stride * static_cast<std::int64_t>(element_bytes));
    }

    /// Return the number of bytes from the array's beginning to the end of its last element.
    std::int64_t array_bytes(std::size_t element_bytes) const {
        auto bytes = static_cast<std::int64_t>(element_bytes);
        for (std::size_t axis = 0; axis < extents.size(); ++axis) bytes += (extents[axis] - 1) * array[axis];
        return bytes;
    }
};

/// Call row(image, array) for the first element of each row.
template <class Row>
void for_each_row(const Pairing &pairing, std::size_t axis, std::byte *image, std::byte *array,
                  const Row &row) {
    if (axis + 1 >= pairing.extents.size()) return row(image, array);
    for (std::int64_t i = 0; i < pairing.extents[axis]; ++i)
        for_each_row(pairing, axis + 1, image + i * pairing.image[axis], array + i * pairing.array[axis],
                     row);
}

template <class Number> Number load(const std::byte *address) {
    Number number;
    std::memcpy(&number, address, sizeof number);
    return number;
}
template <class Number> void store(std::byte *address, Number number) {
    std::memcpy(address, &number, sizeof number);
}

/// The 16 bits of a half.
struct Half {
    std::uint16_t bits;
};
template <class Number> float to_float(Number number) {
    if constexpr (std::is_same_v<Number, Half>)
        return float_from_half(number.bits);
    else
        return static_cast<float>(number);
}
template <class Number> Number from_float(float value) {
    if constexpr (std::is_same_v<Number, Half>)
        return Half{half_from_float(value)};
    else
        return value;
}

/// Call work(number) with a number of the tensor's type.
template <class Work> void with_type(DType type, const Work &work) {
    if (type == DType::float16)
        work(Half{});
    else
        work(float{});
}

void write_array(const Pairing &pairing, const engine::TensorView &image, void *memory) {
    const std::int64_t count = pairing.extents.back(), step = pairing.image.back(),
                       stride = pairing.array.back();
    with_type(image.type, [&](auto number) {
        for_each_row(pairing, 0, static_cast<std::byte *>(image.data), static_cast<std::byte *>(memory),
                     [&](const std::byte *from, std::byte *to) {
                         for (std::int64_t i = 0; i < count; ++i)
                             store(to + i * stride, to_float(load<decltype(number)>(from + i * step)));
                     });
    });
}

template <class Number>
void write_image(const Pairing &pairing, const engine::TensorView &image, const void *memory) {
    const std::int64_t count = pairing.extents.back(), step = pairing.image.back(),
                       stride = pairing.array.back();
    auto *array = static_cast<std::byte *>(const_cast<void *>(memory)); // it is only read
    with_type(image.type, [&](auto number) {
        for_each_row(pairing, 0, static_cast<std::byte *>(image.data), array,
                     [&](std::byte *to, const std::byte *from) {
                         for (std::int64_t i = 0; i < count; ++i)
                             store(to + i * step,
                                   from_float<decltype(number)>(to_float(load<Number>(from + i * stride))));
                     });
    });
}

/// A type of numbers in arrays: their size, and the function that writes them to an image.
struct NumberType {
    MLMultiArrayDataType type;
    std::size_t bytes;
    void (*write)(const Pairing &, const engine::TensorView &, const void *);
};
constexpr std::array<NumberType, 4> number_types{{
    {MLMultiArrayDataTypeFloat32, sizeof(float), &write_image<float>},
    {type_float16, sizeof(Half), &write_image<Half>},
    {MLMultiArrayDataTypeDouble, sizeof(double), &write_image<double>},
    {MLMultiArrayDataTypeInt32, sizeof(std::int32_t), &write_image<std::int32_t>},
}};

const NumberType &number_type_of(MLMultiArray *array, const std::string &name) {
    for (const NumberType &type : number_types)
        if (type.type == [array dataType]) return type;
    fail(ErrorKind::device, {"output ", quoted(name), ": Core ML returned numbers of an unknown type, ",
                             static_cast<long>([array dataType])});
}

std::string text_of(const Extents &extents) {
    std::string text;
    for (const std::int64_t extent : extents) text += (text.empty() ? "" : ", ") + std::to_string(extent);
    return "(" + text + ")";
}

NSArray<NSNumber *> *numbers_of(const Extents &extents) {
    NSMutableArray<NSNumber *> *numbers = [NSMutableArray array];
    for (const std::int64_t extent : extents) [numbers addObject:[NSNumber numberWithLongLong:extent]];
    return numbers;
}

/// Return the address and the size of memory that a block was given. It is only valid within the block.
struct Memory {
    const void *bytes;
    std::int64_t size; ///< -1 if it is not known
};

/// Call read(memory) while the array's memory can be read.
template <class Read> void with_memory(MLMultiArray *array, const Read &read) {
    if (@available(macOS 12.3, iOS 15.4, *)) {
        const Read *reader = &read;
        [array getBytesWithHandler:^(const void *bytes, NSInteger size) {
          (*reader)(Memory{bytes, static_cast<std::int64_t>(size)});
        }];
    } else {
        read(Memory{[array dataPointer], -1});
    }
}

} // namespace

metal::objc_ptr<MLMultiArray *> array_of(const engine::TensorView &image, const std::string &name) {
    Pairing pairing(image);
    NSError *error = nil;
    auto array = metal::adopt([[MLMultiArray alloc] initWithShape:numbers_of(pairing.extents)
                                                         dataType:MLMultiArrayDataTypeFloat32
                                                            error:&error]);
    if (!array)
        fail(ErrorKind::device, {"input ", quoted(name), ": Core ML makes no array of the shape ",
                                 text_of(pairing.extents), ": ", metal::text_of(error, "no reason given")});
    pairing.set_array_strides(extents_of([array.get() strides]), sizeof(float));
    write_array(pairing, image, [array.get() dataPointer]);
    return array;
}

void read_array(MLMultiArray *array, const engine::TensorView &image, const std::string &name) {
    Pairing pairing(image);
    const Extents shape = extents_of([array shape]), strides = extents_of([array strides]);
    if (shape != pairing.extents || strides.size() != shape.size())
        fail(ErrorKind::device, {"output ", quoted(name), ": Core ML returned an array of the shape ",
                                 text_of(shape), ", expected ", text_of(pairing.extents)});
    const NumberType &type = number_type_of(array, name);
    pairing.set_array_strides(strides, type.bytes);
    bool fits = true; // an exception must not leave a block
    with_memory(array, [&](const Memory &memory) {
        fits = memory.bytes && (memory.size < 0 || pairing.array_bytes(type.bytes) <= memory.size);
        if (fits) type.write(pairing, image, memory.bytes);
    });
    if (!fits)
        fail(ErrorKind::device, {"output ", quoted(name),
                                 ": Core ML returned less memory than an array of "
                                 "the shape ",
                                 text_of(shape), " takes"});
}

} // namespace mpscnn::coreml
