#include "api/guard.h"

#include <algorithm>

#include "api/handle.h"
#include "api/handles.h"

namespace mpscnn::c_api {

namespace {

static_assert(static_cast<int>(ErrorKind::shape) == MPSCNN_ERROR_SHAPE);
static_assert(static_cast<int>(ErrorKind::parameter) == MPSCNN_ERROR_PARAMETER);
static_assert(static_cast<int>(ErrorKind::weights) == MPSCNN_ERROR_WEIGHTS);
static_assert(static_cast<int>(ErrorKind::device) == MPSCNN_ERROR_DEVICE);
static_assert(static_cast<int>(ErrorKind::unsupported) == MPSCNN_ERROR_UNSUPPORTED);
static_assert(static_cast<int>(ErrorKind::state) == MPSCNN_ERROR_STATE);

} // namespace

mpscnn_status status_of(const Failure &failure) noexcept {
    switch (failure.kind()) {
    case Failure::Kind::none:
        return MPSCNN_OK;
    case Failure::Kind::error:
        return static_cast<mpscnn_status>(failure.error_kind());
    case Failure::Kind::cancelled:
        return MPSCNN_ERROR_CANCELLED;
    case Failure::Kind::out_of_memory:
        return MPSCNN_ERROR_MEMORY;
    case Failure::Kind::other:
        break;
    }
    return MPSCNN_ERROR_INTERNAL;
}

mpscnn_status record_current_exception() noexcept {
    const Failure failure = Failure::current();
    set_last_error(failure.message());
    return status_of(failure);
}

void require(const void *argument, const char *name) {
    if (!argument) fail(ErrorKind::parameter, {name, " must not be NULL"});
}

void fail_unknown_handle(const char *name) {
    fail(ErrorKind::parameter, {name, " was released, or is a handle of another type"});
}

std::string_view text(const char *argument, const char *name) {
    require(argument, name);
    return argument;
}

void require_array(const void *array, std::int64_t count, const char *name) {
    if (count < 0) fail(ErrorKind::parameter, {name, ": the count must not be negative, got ", count});
    if (count > 0) require(array, name);
}

void check_options(const void *options, std::size_t size, std::size_t known_size, std::size_t alignment,
                   const char *type) {
    // A larger difference cannot be the size of a newer caller's struct.
    constexpr std::size_t max_unknown = 1024;
    if (size < sizeof size || size % alignment != 0 || size > known_size + max_unknown)
        fail(ErrorKind::parameter, {"options.size must be sizeof(", type, "), got ", size});
    if (size <= known_size) return;
    const auto *bytes = static_cast<const unsigned char *>(options);
    if (std::any_of(bytes + known_size, bytes + size, [](unsigned char byte) { return byte != 0; }))
        fail(ErrorKind::unsupported,
             {type, " sets options that this version of mpscnn, ", mpscnn_version(), ", does not know"});
}

void give(std::string value, mpscnn_text **text) {
    *text = std::make_unique<mpscnn_text>(mpscnn_text{.value = std::move(value)}).release();
}

} // namespace mpscnn::c_api

const char *mpscnn_last_error(void) { return mpscnn::c_api::last_error(); }

const char *mpscnn_text_data(const mpscnn_text *text) {
    return mpscnn::c_api::is_live(text) ? text->value.c_str() : "";
}

size_t mpscnn_text_size(const mpscnn_text *text) {
    return mpscnn::c_api::is_live(text) ? text->value.size() : 0;
}

void mpscnn_text_release(mpscnn_text *text) { mpscnn::c_api::release(text); }
