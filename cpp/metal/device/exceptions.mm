#include "metal/device/exceptions.h"

#include <cstddef>

#include "core/text.h"
#include "metal/device/objc_ptr.h"
#include "metal/device/text.h"

#import <Foundation/Foundation.h>

#if !defined(__APPLE__)
#include <unwind.h>

namespace __cxxabiv1 {
struct __cxa_eh_globals;
extern "C" __cxa_eh_globals *__cxa_get_globals() noexcept;
} // namespace __cxxabiv1
#endif

namespace mpscnn::metal {

namespace {

#if defined(__APPLE__)
NSException *handled_exception() {
    // Apple's runtime throws NSExceptions as C++ exceptions, so that a handler can throw them again.
    @try {
        throw;
    } @catch (NSException *exception) {
        return [[exception retain] autorelease];
    } @catch (...) {
        return nil;
    }
}
#else
/// GNU's runtime throws NSExceptions as foreign exceptions, which have this layout. C++ has the address of
/// the handled exception as if the header were the end of a C++ exception of 112 bytes.
struct ThrownObject {
    _Unwind_Exception header;
    id object;
};

NSException *handled_exception() {
    constexpr std::ptrdiff_t header_in_exception = 80;
    auto *handled = *reinterpret_cast<char **>(__cxxabiv1::__cxa_get_globals());
    if (!handled) return nil;
    const auto *thrown = reinterpret_cast<const ThrownObject *>(handled + header_in_exception);
    constexpr _Unwind_Exception_Class of_objective_c = 0x474e55434f424a43; // "GNUCOBJC"
    return thrown->header.exception_class == of_objective_c ? static_cast<NSException *>(thrown->object)
                                                            : nil;
}
#endif

} // namespace

std::string text_of_framework_exception() {
    const autorelease_scope pool;
    NSException *exception = handled_exception();
    if (![exception isKindOfClass:[NSException class]]) return "a framework threw an unknown exception";
    return concat({"a framework threw ", text_of([exception name]), ": ", text_of([exception reason])});
}

} // namespace mpscnn::metal
