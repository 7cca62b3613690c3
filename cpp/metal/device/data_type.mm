#include "metal/device/data_type.h"

#include <algorithm>
#include <array>
#include <utility>

namespace mpscnn::metal {

namespace {

using Scalar = DataType::Scalar;
using Entry = std::pair<MTLDataType, DataType>;

constexpr std::array<Entry, 36> types{{
    {MTLDataTypeBool, {"bool", Scalar::boolean, 8, 1}},
    {MTLDataTypeBool2, {"bool", Scalar::boolean, 8, 2}},
    {MTLDataTypeBool3, {"bool", Scalar::boolean, 8, 3}},
    {MTLDataTypeBool4, {"bool", Scalar::boolean, 8, 4}},
    {MTLDataTypeChar, {"char", Scalar::signed_integer, 8, 1}},
    {MTLDataTypeChar2, {"char", Scalar::signed_integer, 8, 2}},
    {MTLDataTypeChar3, {"char", Scalar::signed_integer, 8, 3}},
    {MTLDataTypeChar4, {"char", Scalar::signed_integer, 8, 4}},
    {MTLDataTypeUChar, {"uchar", Scalar::unsigned_integer, 8, 1}},
    {MTLDataTypeUChar2, {"uchar", Scalar::unsigned_integer, 8, 2}},
    {MTLDataTypeUChar3, {"uchar", Scalar::unsigned_integer, 8, 3}},
    {MTLDataTypeUChar4, {"uchar", Scalar::unsigned_integer, 8, 4}},
    {MTLDataTypeShort, {"short", Scalar::signed_integer, 16, 1}},
    {MTLDataTypeShort2, {"short", Scalar::signed_integer, 16, 2}},
    {MTLDataTypeShort3, {"short", Scalar::signed_integer, 16, 3}},
    {MTLDataTypeShort4, {"short", Scalar::signed_integer, 16, 4}},
    {MTLDataTypeUShort, {"ushort", Scalar::unsigned_integer, 16, 1}},
    {MTLDataTypeUShort2, {"ushort", Scalar::unsigned_integer, 16, 2}},
    {MTLDataTypeUShort3, {"ushort", Scalar::unsigned_integer, 16, 3}},
    {MTLDataTypeUShort4, {"ushort", Scalar::unsigned_integer, 16, 4}},
    {MTLDataTypeInt, {"int", Scalar::signed_integer, 32, 1}},
    {MTLDataTypeInt2, {"int", Scalar::signed_integer, 32, 2}},
    {MTLDataTypeInt3, {"int", Scalar::signed_integer, 32, 3}},
    {MTLDataTypeInt4, {"int", Scalar::signed_integer, 32, 4}},
    {MTLDataTypeUInt, {"uint", Scalar::unsigned_integer, 32, 1}},
    {MTLDataTypeUInt2, {"uint", Scalar::unsigned_integer, 32, 2}},
    {MTLDataTypeUInt3, {"uint", Scalar::unsigned_integer, 32, 3}},
    {MTLDataTypeUInt4, {"uint", Scalar::unsigned_integer, 32, 4}},
    {MTLDataTypeHalf, {"half", Scalar::floating, 16, 1}},
    {MTLDataTypeHalf2, {"half", Scalar::floating, 16, 2}},
    {MTLDataTypeHalf3, {"half", Scalar::floating, 16, 3}},
    {MTLDataTypeHalf4, {"half", Scalar::floating, 16, 4}},
    {MTLDataTypeFloat, {"float", Scalar::floating, 32, 1}},
    {MTLDataTypeFloat2, {"float", Scalar::floating, 32, 2}},
    {MTLDataTypeFloat3, {"float", Scalar::floating, 32, 3}},
    {MTLDataTypeFloat4, {"float", Scalar::floating, 32, 4}},
}};

} // namespace

std::string DataType::name() const {
    return scalar_name + (components > 1 ? std::to_string(components) : std::string());
}

std::size_t DataType::bytes() const {
    return static_cast<std::size_t>(bits / 8) * static_cast<std::size_t>(components == 3 ? 4 : components);
}

const DataType *find_data_type(MTLDataType type) {
    const auto found =
        std::find_if(types.begin(), types.end(), [&](const Entry &entry) { return entry.first == type; });
    return found == types.end() ? nullptr : &found->second;
}

} // namespace mpscnn::metal
