// Take the place of functions of GCC's C++ library where that is linked in (MPSCNN_STATIC_RUNTIME). They
// would bring along what reads mangled names, as large as all else that is needed of that library.

#include <cstdlib>

namespace __gnu_cxx {

/// What std::terminate calls; the library's own prints the exception.
[[noreturn]] void __verbose_terminate_handler() { std::abort(); }

} // namespace __gnu_cxx

/// For pybind11, which names types of C++ in messages about types that Python does not know: none is read.
extern "C" char *__cxa_demangle(const char *, char *, std::size_t *, int *status) {
    constexpr int no_mangled_name = -2;
    if (status) *status = no_mangled_name;
    return nullptr;
}
