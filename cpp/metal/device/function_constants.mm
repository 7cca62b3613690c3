#include "metal/device/function_constants.h"

#include <array>
#include <cstring>
#include <limits>
#include <set>

#include "core/half.h"
#include "core/text.h"
#include "metal/device/data_type.h"
#include "metal/device/text.h"

namespace mpscnn::metal {

namespace {

using Scalar = DataType::Scalar;

/// The bytes of a constant; the largest type is a vector of four.
using Bytes = std::array<std::byte, 16>;

template <class T> void put(T value, Bytes &bytes, int component) {
    std::memcpy(bytes.data() + static_cast<std::size_t>(component) * sizeof(T), &value, sizeof(T));
}

void put_integer(std::int64_t value, int bits, Bytes &bytes, int component) {
    if (bits == 8) put(static_cast<std::uint8_t>(value), bytes, component);
    if (bits == 16) put(static_cast<std::uint16_t>(value), bytes, component);
    if (bits == 32) put(static_cast<std::uint32_t>(value), bytes, component);
}

/// A function constant: its declaration and its value.
class Constant {
public:
    Constant(std::string what, const DataType &type) : what_(std::move(what)), type_(type) {}

    Bytes bytes_of(const Json &given) const {
        const Json *type = given.find("type");
        if (!type) return untyped(given);
        const std::string name = JsonView(*type, what_).get<std::string>();
        if (name != type_.name()) refuse("is given as " + name);
        return untyped(given.at("value"));
    }

private:
    [[noreturn]] void refuse(const std::string &problem) const {
        fail(ErrorKind::parameter, {what_, " is declared as ", type_.name(), ", but ", problem});
    }

    Bytes untyped(const Json &value) const {
        Bytes bytes{};
        if (type_.components == 1) {
            put_component(value, bytes, 0);
            return bytes;
        }
        const auto *values = value.get_if<Json::Array>();
        const auto count = static_cast<std::size_t>(type_.components);
        if (!values || values->size() != count)
            refuse("is given as " +
                   (values ? std::to_string(values->size()) + " values" : std::string(value.type_name())));
        for (std::size_t i = 0; i < count; ++i) put_component((*values)[i], bytes, static_cast<int>(i));
        return bytes;
    }

    void put_component(const Json &value, Bytes &bytes, int component) const {
        switch (type_.scalar) {
        case Scalar::boolean:
            put(boolean(value), bytes, component);
            break;
        case Scalar::signed_integer:
        case Scalar::unsigned_integer:
            put_integer(integer(value), type_.bits, bytes, component);
            break;
        case Scalar::floating:
            if (type_.bits == 16)
                put(half_from_float(floating(value)), bytes, component);
            else
                put(floating(value), bytes, component);
            break;
        }
    }

    bool boolean(const Json &value) const {
        if (const bool *given = value.get_if<bool>()) return *given;
        refuse("is given as " + std::string(value.type_name()));
    }

    std::int64_t integer(const Json &value) const {
        const auto *given = value.get_if<std::int64_t>();
        if (!given) refuse("is given as " + std::string(value.type_name()));
        const bool is_signed = type_.scalar == Scalar::signed_integer;
        const std::int64_t values = std::int64_t{1} << type_.bits;
        const std::int64_t lowest = is_signed ? -values / 2 : 0;
        if (*given < lowest || *given >= lowest + values)
            refuse(concat({"is given as ", *given, ", beyond ", lowest, " to ", lowest + values - 1}));
        return *given;
    }

    float floating(const Json &value) const {
        const auto *whole = value.get_if<std::int64_t>();
        const auto *number = value.get_if<double>();
        if (!whole && !number) refuse("is given as " + std::string(value.type_name()));
        const double given = whole ? static_cast<double>(*whole) : *number;
        constexpr double largest_half = 65504;
        const double largest = type_.bits == 16 ? largest_half : double{std::numeric_limits<float>::max()};
        if (given < -largest || given > largest) refuse("is given a number beyond its largest");
        return static_cast<float>(given);
    }

    std::string what_;
    const DataType &type_;
};

std::string names_of(NSDictionary<NSString *, MTLFunctionConstant *> *constants) {
    std::set<std::string> sorted;
    for (NSString *name in constants) sorted.insert(text_of(name));
    std::string names;
    for (const std::string &name : sorted) names += (names.empty() ? "" : ", ") + name;
    return names.empty() ? "none" : names;
}

} // namespace

objc_ptr<MTLFunctionConstantValues *> constant_values(const std::string &what, id<MTLFunction> function,
                                                      const Json &given) {
    NSDictionary<NSString *, MTLFunctionConstant *> *declared = [function functionConstantsDictionary];
    for (const auto &[name, value] : JsonView(given, what + ": constants").object())
        if (![declared objectForKey:string_of(name)])
            fail(ErrorKind::parameter,
                 {what, ": no function constant ", quoted(name), "; it has ", names_of(declared)});
    auto values = adopt([[MTLFunctionConstantValues alloc] init]);
    for (NSString *key in declared) {
        MTLFunctionConstant *constant = [declared objectForKey:key];
        const std::string name = text_of(key);
        const Json *value = given.find(name);
        if (!value && [constant required])
            fail(ErrorKind::parameter, {what, ": the function constant ", quoted(name), " is missing"});
        if (!value) continue;
        const DataType *type = find_data_type([constant type]);
        if (!type)
            fail(ErrorKind::unsupported, {what, ": the function constant ", quoted(name),
                                          " has a type that cannot be given; bool, half, float, integers of "
                                          "8 to 32 bits, and vectors of "
                                          "these can"});
        const Bytes bytes =
            Constant(concat({what, ": the function constant ", quoted(name)}), *type).bytes_of(*value);
        [values.get() setConstantValue:bytes.data() type:[constant type] withName:key];
    }
    return values;
}

} // namespace mpscnn::metal
