#include "arrow.h"

#include <cstdint>
#include <cstring>
#include <memory>

namespace mpscnn::bindings {

namespace {

// The structures of Arrow's C data interface, whose layout is fixed:
// https://arrow.apache.org/docs/format/CDataInterface.html

struct ArrowSchema {
    const char *format, *name, *metadata;
    std::int64_t flags, n_children;
    ArrowSchema **children;
    ArrowSchema *dictionary;
    void (*release)(ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    std::int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    ArrowArray **children;
    ArrowArray *dictionary;
    void (*release)(ArrowArray *);
    void *private_data;
};

template <class T> const T *capsule_content(const py::capsule &capsule, const char *name) {
    const auto *found = static_cast<const T *>(PyCapsule_GetPointer(capsule.ptr(), name));
    if (found == nullptr) throw py::error_already_set();
    return found;
}

bool is(const ArrowSchema &schema, const char *format) { return std::strcmp(schema.format, format) == 0; }

/// Return the memory of `count` bytes, or null if the array has another number of them.
const void *bytes_of(const ArrowArray &array, std::int64_t count) {
    return array.length == count && array.offset == 0 && array.n_buffers == 2 ? array.buffers[1] : nullptr;
}

// The format and the name of bytes; the C interface's pointers are not const.
constexpr const char *byte_format = "C";

void release_schema(ArrowSchema *schema) { schema->release = nullptr; }

/// The elements of an ArrowArray, and the Python array that owns them.
struct OwnedBytes {
    const void *buffers[2];
    PyObject *owner;
};

/// Release bytes. Pillow does it when it deletes an image, with the GIL.
void release_bytes(ArrowArray *array) {
    auto *const bytes = static_cast<OwnedBytes *>(array->private_data);
    if (PyGILState_Check() != 0) Py_DECREF(bytes->owner);
    delete bytes;
    array->release = nullptr;
}

/// Make a capsule of a structure. Its content is released with it, unless somebody has taken it over.
template <class T> py::capsule capsule_of(T *content, const char *name) {
    return py::capsule(content, name, [](PyObject *capsule) {
        auto *const released = static_cast<T *>(PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule)));
        if (released->release != nullptr) released->release(released);
        delete released;
    });
}

} // namespace

py::tuple arrow_bytes(const py::array &bytes) {
    auto schema = std::make_unique<ArrowSchema>();
    schema->format = byte_format;
    schema->release = release_schema;
    auto owned = std::make_unique<OwnedBytes>(OwnedBytes{{nullptr, bytes.data()}, bytes.ptr()});
    auto array = std::make_unique<ArrowArray>();
    array->length = bytes.nbytes();
    array->n_buffers = 2;
    array->buffers = owned->buffers;
    array->release = release_bytes;
    array->private_data = owned.release();
    Py_INCREF(bytes.ptr());
    return py::make_tuple(capsule_of(schema.release(), "arrow_schema"),
                          capsule_of(array.release(), "arrow_array"));
}

py::object arrow_pixels(const py::capsule &schema, const py::capsule &array, py::ssize_t height,
                        py::ssize_t width) {
    constexpr py::ssize_t samples = 4;
    const auto &type = *capsule_content<ArrowSchema>(schema, "arrow_schema");
    const auto &elements = *capsule_content<ArrowArray>(array, "arrow_array");
    const py::dtype byte = py::dtype::of<std::uint8_t>();
    if (is(type, byte_format)) {
        if (const void *const bytes = bytes_of(elements, height * width))
            return py::array(byte, {height, width}, {width, py::ssize_t{1}}, bytes, array);
        return py::none();
    }
    const bool lists = is(type, "+w:4") && type.n_children == 1 && elements.n_children == 1 &&
                       elements.length == height * width && elements.offset == 0;
    if (!lists || !is(*type.children[0], byte_format)) return py::none();
    if (const void *const bytes = bytes_of(*elements.children[0], samples * height * width))
        return py::array(byte, {height, width, samples}, {samples * width, samples, py::ssize_t{1}}, bytes,
                         array);
    return py::none();
}

} // namespace mpscnn::bindings
