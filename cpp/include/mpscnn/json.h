/* mpscnn: a reader for the JSON texts that the library writes. Part of mpscnn.h, which includes this file
 * and states general rules.
 *
 * A value is valid until the mpscnn_json of its text is released. Any number of threads may read.
 */
#ifndef MPSCNN_JSON_H
#define MPSCNN_JSON_H

#include "mpscnn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A parsed JSON text. */
typedef struct mpscnn_json mpscnn_json;
/* A value of a parsed text. */
typedef struct mpscnn_json_value mpscnn_json_value;

typedef enum mpscnn_json_kind {
    MPSCNN_JSON_NULL = 0,
    MPSCNN_JSON_BOOLEAN = 1,
    MPSCNN_JSON_INTEGER = 2, /* a number without decimal point and exponent that fits 64 bits */
    MPSCNN_JSON_NUMBER = 3,
    MPSCNN_JSON_STRING = 4,
    MPSCNN_JSON_ARRAY = 5,
    MPSCNN_JSON_OBJECT = 6
} mpscnn_json_kind;

/* Parse `size` bytes of JSON (RFC 8259). */
MPSCNN_API mpscnn_status mpscnn_json_parse(const char *text, size_t size, mpscnn_json **json);
MPSCNN_API void mpscnn_json_release(mpscnn_json *json);
MPSCNN_API mpscnn_status mpscnn_json_root(const mpscnn_json *json, const mpscnn_json_value **value);

MPSCNN_API mpscnn_status mpscnn_json_kind_of(const mpscnn_json_value *value, mpscnn_json_kind *kind);
/* Return the number of elements of an array, or of members of an object. */
MPSCNN_API mpscnn_status mpscnn_json_count(const mpscnn_json_value *value, size_t *count);
/* Return an element of an array, or a member of an object, in the order of the text. `name` receives the
 * member's zero-terminated name, or NULL for an element of an array; it may be NULL. */
MPSCNN_API mpscnn_status mpscnn_json_element(const mpscnn_json_value *value, size_t index, const char **name,
                                             const mpscnn_json_value **element);
/* Return a member of an object. The time is proportional to the number of members. */
MPSCNN_API mpscnn_status mpscnn_json_member(const mpscnn_json_value *value, const char *name,
                                            const mpscnn_json_value **member);

/* Read a value of one kind. These functions return MPSCNN_ERROR_PARAMETER for a value of another kind. An
 * integer is a number as well. */
MPSCNN_API mpscnn_status mpscnn_json_boolean(const mpscnn_json_value *value, int *boolean);
MPSCNN_API mpscnn_status mpscnn_json_integer(const mpscnn_json_value *value, int64_t *integer);
MPSCNN_API mpscnn_status mpscnn_json_number(const mpscnn_json_value *value, double *number);
/* Read a string. The text is UTF-8 and zero-terminated; it may contain zeros. */
MPSCNN_API mpscnn_status mpscnn_json_string(const mpscnn_json_value *value, const char **data, size_t *size);

#ifdef __cplusplus
}
#endif

#endif
