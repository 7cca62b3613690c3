#pragma once

#include <string>

#include <pybind11/pybind11.h>

#include <mpscnn/mpscnn.hpp>

/// Text as UTF-8. The error for text that is not Unicode, such as a file name in another encoding, names the
/// text; pybind11 would only say that the arguments fit no signature. Every file that includes pybind11
/// includes this.
template <> struct pybind11::detail::type_caster<std::string> : string_caster<std::string> {
    bool load(handle source, bool convert) {
        if (string_caster<std::string>::load(source, convert)) return true;
        if (source && PyUnicode_Check(source.ptr())) {
            throw mpscnn::ParameterError(static_cast<std::string>(repr(source)) + " is not Unicode text");
        }
        return false;
    }
};
