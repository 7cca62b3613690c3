#pragma once

#include <exception>
#include <string>

#include "core/error.h"

namespace mpscnn::metal {

/// Return the name and the reason of the NSException that `catch (...)` handles now. Return a text without
/// them if it handles something else.
std::string text_of_framework_exception();

/// Call work(), and throw a framework's exception (NSException) as a DeviceError with its name and reason.
template <class Work> auto with_framework_errors(Work work) -> decltype(work()) {
    std::string text;
    try {
        return work();
    } catch (const std::exception &) {
        throw;
    } catch (...) {
        text = text_of_framework_exception();
    }
    fail(ErrorKind::device, text);
}

} // namespace mpscnn::metal
