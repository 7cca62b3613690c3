/* mpscnn: a reader for the JSON texts that the library writes, and for large JSON texts of numbers. Part of
 * mpscnn.h, which includes this file and states general rules.
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

/* The functions below read large texts of other programs. They decode as little as possible, and their memory
 * does not depend on the size of the text. */

/* A member of an object, or an element of an array: the text's bytes from `begin` to before `end`. */
typedef struct mpscnn_json_part {
    size_t name_begin; /* a member's name, with its quotation marks */
    size_t name_end;   /* equal to name_begin for an element */
    size_t begin;      /* the value, without white space around it */
    size_t end;
    int closing; /* the character that ends the object or array; 0 before the first call */
} mpscnn_json_part;

/* Find the next part of the object or array that is the whole text. Set all fields of `part` to zero before
 * the first call, and do not change them between the calls. `found` receives 0 after the last part,
 * otherwise 1.
 *
 * The syntax of each part is checked, but strings are not decoded: their escapes and UTF-8 are not checked,
 * and names may be repeated. At most 1,000 arrays and objects may be inside each other. */
MPSCNN_API mpscnn_status mpscnn_json_next_part(const char *text, size_t size, mpscnn_json_part *part,
                                               int *found);

/* Read the array of numbers that is the whole text into memory in row-major order. The array of the text is
 * flat, or nested like the shape; `rank` may be up to 32. `dtype` is an mpscnn_dtype. Numbers become the
 * nearest double, and then the nearest number of the type.
 *
 * Returns MPSCNN_ERROR_SHAPE for another number of elements or another nesting, and MPSCNN_ERROR_PARAMETER
 * for other values, for numbers that the type does not have, and for numbers of more than 1,000 characters.
 */
MPSCNN_API mpscnn_status mpscnn_json_read_numbers(const char *text, size_t size, const int64_t *shape,
                                                  int rank, int32_t dtype, void *numbers);

#ifdef __cplusplus
}
#endif

#endif
