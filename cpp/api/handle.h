#pragma once

// Notice handles that were released, and pointers to other objects. A released handle is an error of the
// caller that no library can always notice: another object may have its memory by then.

#include <cstdint>

#include "api/guard.h"

namespace mpscnn::c_api {

/// The first member of each object of the C interface. The destructor clears it.
template <class Object> class Mark {
public:
    Mark() noexcept = default;
    Mark(const Mark & /*other*/) noexcept {}
    Mark &operator=(const Mark & /*other*/) noexcept { return *this; }
    ~Mark() { value_ = 0; }

    bool is_set() const noexcept { return value_ == expected(); }

private:
    static std::uintptr_t expected() noexcept { return reinterpret_cast<std::uintptr_t>(&kind_); }

    inline static char kind_ = 0; ///< its address is different for each type of objects
    // Without volatile, compilers leave out the last write to an object.
    volatile std::uintptr_t value_ = expected();
};

template <class Object>
concept Marked = requires(const Object &object) { object.mark.is_set(); };

/// Return true for a handle of this type that was not released.
template <Marked Object> bool is_live(const Object *handle) noexcept {
    return handle && handle->mark.is_set();
}

[[noreturn]] void fail_unknown_handle(const char *name);

/// Throws a ParameterError that names the handle if it is NULL, was released or belongs to another type.
template <Marked Object> void require(const Object *handle, const char *name) {
    require(static_cast<const void *>(handle), name);
    if (!handle->mark.is_set()) fail_unknown_handle(name);
}

/// Delete the object of a handle. Do nothing for NULL and for handles that `require` refuses.
template <Marked Object> void release(Object *handle) noexcept {
    if (is_live(handle)) delete handle;
}

} // namespace mpscnn::c_api
