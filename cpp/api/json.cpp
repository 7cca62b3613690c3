#include "core/json.h"

#include <memory>
#include <string>

#include "api/handle.h"
#include "api/tensors.h"
#include "core/json_numbers.h"
#include "core/json_parts.h"
#include "core/text.h"
#include "mpscnn/json.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

struct mpscnn_json {
    mpscnn::c_api::Mark<mpscnn_json> mark = {};
    Json root;
};

namespace {

// Return the C handle of a value, which is the Json object itself.
const mpscnn_json_value *handle_of(const Json &value) {
    return reinterpret_cast<const mpscnn_json_value *>(&value);
}

const Json &json_behind(const mpscnn_json_value *value) {
    require(value, "value");
    return *reinterpret_cast<const Json *>(value);
}

mpscnn_json_kind kind_behind(const Json &value) {
    if (value.get_if<bool>()) return MPSCNN_JSON_BOOLEAN;
    if (value.get_if<std::int64_t>()) return MPSCNN_JSON_INTEGER;
    if (value.get_if<double>()) return MPSCNN_JSON_NUMBER;
    if (value.get_if<std::string>()) return MPSCNN_JSON_STRING;
    if (value.get_if<Json::Array>()) return MPSCNN_JSON_ARRAY;
    if (value.get_if<Json::Object>()) return MPSCNN_JSON_OBJECT;
    return MPSCNN_JSON_NULL;
}

/// Return the number of elements; throws for a value without elements.
std::size_t element_count(const Json &value) {
    if (!value.get_if<Json::Array>() && !value.get_if<Json::Object>())
        fail(ErrorKind::parameter, {"JSON: expected an array or an object, got ", value.type_name()});
    return JsonView(value, "JSON").size();
}

} // namespace

mpscnn_status mpscnn_json_parse(const char *text, size_t size, mpscnn_json **json) {
    return guarded([&] {
        require(text, "text");
        require(json, "json");
        *json = new mpscnn_json{.root = parse_json({text, size})};
    });
}

void mpscnn_json_release(mpscnn_json *json) { mpscnn::c_api::release(json); }

mpscnn_status mpscnn_json_root(const mpscnn_json *json, const mpscnn_json_value **value) {
    return guarded([&] {
        require(json, "json");
        require(value, "value");
        *value = handle_of(json->root);
    });
}

mpscnn_status mpscnn_json_kind_of(const mpscnn_json_value *value, mpscnn_json_kind *kind) {
    return guarded([&] {
        require(kind, "kind");
        *kind = kind_behind(json_behind(value));
    });
}

mpscnn_status mpscnn_json_count(const mpscnn_json_value *value, size_t *count) {
    return guarded([&] {
        require(count, "count");
        *count = element_count(json_behind(value));
    });
}

mpscnn_status mpscnn_json_element(const mpscnn_json_value *value, size_t index, const char **name,
                                  const mpscnn_json_value **element) {
    return guarded([&] {
        require(element, "element");
        const Json &json = json_behind(value);
        const std::size_t count = element_count(json);
        if (index >= count) fail(ErrorKind::parameter, {"JSON: no element ", index, "; there are ", count});
        const Json::Object *object = json.get_if<Json::Object>();
        *element = handle_of(object ? (*object)[index].second : (*json.get_if<Json::Array>())[index]);
        if (name) *name = object ? (*object)[index].first.c_str() : nullptr;
    });
}

mpscnn_status mpscnn_json_member(const mpscnn_json_value *value, const char *name,
                                 const mpscnn_json_value **member) {
    return guarded([&] {
        require(member, "member");
        const Json &json = json_behind(value);
        *member = handle_of(JsonView(json, "JSON").at(c_api::text(name, "name")).value());
    });
}

mpscnn_status mpscnn_json_boolean(const mpscnn_json_value *value, int *boolean) {
    return guarded([&] {
        require(boolean, "boolean");
        *boolean = JsonView(json_behind(value), "JSON").get<bool>() ? 1 : 0;
    });
}

mpscnn_status mpscnn_json_integer(const mpscnn_json_value *value, int64_t *integer) {
    return guarded([&] {
        require(integer, "integer");
        *integer = JsonView(json_behind(value), "JSON").get<std::int64_t>();
    });
}

mpscnn_status mpscnn_json_number(const mpscnn_json_value *value, double *number) {
    return guarded([&] {
        require(number, "number");
        *number = JsonView(json_behind(value), "JSON").get<double>();
    });
}

mpscnn_status mpscnn_json_string(const mpscnn_json_value *value, const char **data, size_t *size) {
    return guarded([&] {
        require(data, "data");
        require(size, "size");
        const Json &json = json_behind(value);
        const std::string *text = json.get_if<std::string>();
        if (!text) fail(ErrorKind::parameter, {"JSON: expected a string, got ", json.type_name()});
        *data = text->c_str();
        *size = text->size();
    });
}

mpscnn_status mpscnn_json_next_part(const char *text, size_t size, mpscnn_json_part *part, int *found) {
    return guarded([&] {
        require(text, "text");
        require(part, "part");
        require(found, "found");
        const bool known = part->closing == 0 || part->closing == ']' || part->closing == '}';
        if (!known || part->end > size)
            fail(ErrorKind::parameter, "part: expected zeros, or the result of the previous call");
        JsonPart next{.name = {part->name_begin, part->name_end},
                      .value = {part->begin, part->end},
                      .closing = static_cast<char>(part->closing)};
        *found = next_json_part({text, size}, next) ? 1 : 0;
        *part = {next.name.begin, next.name.end, next.value.begin, next.value.end, next.closing};
    });
}

mpscnn_status mpscnn_json_read_numbers(const char *text, size_t size, const int64_t *shape, int rank,
                                       int32_t dtype, void *numbers) {
    return guarded([&] {
        constexpr int most_axes = 32; // as in NumPy
        require(text, "text");
        require(numbers, "numbers");
        c_api::require_array(shape, rank, "shape");
        if (rank > most_axes)
            fail(ErrorKind::shape, {"shape: the rank must be 0 to ", most_axes, ", got ", rank});
        read_json_numbers({text, size}, {shape, static_cast<std::size_t>(rank)},
                          c_api::dtype_of(dtype, "dtype"), numbers);
    });
}
