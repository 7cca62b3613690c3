#pragma once

// Helpers for fuzzers that call the C interface: a check of a call's status, and a photo.

#include <cstdint>
#include <cstdlib>
#include <vector>

#include <mpscnn/mpscnn.h>

inline void require(bool holds) {
    if (!holds) std::abort();
}

/// Return true if the call succeeded. Stop the fuzzer if it failed without a documented status or a message.
inline bool succeeded(mpscnn_status status) {
    require(status != MPSCNN_ERROR_INTERNAL);
    require(status == MPSCNN_OK || *mpscnn_last_error() != 0);
    return status == MPSCNN_OK;
}

/// A small RGB photo of one color.
struct PlainPhoto {
    static constexpr int width = 9, height = 7;

    PlainPhoto() : pixels(width * height * 3, 77) {
        image.pixels = pixels.data();
        image.width = width;
        image.height = height;
        image.format = MPSCNN_RGB8;
    }
    PlainPhoto(const PlainPhoto &) = delete;
    PlainPhoto &operator=(const PlainPhoto &) = delete;

    std::vector<std::uint8_t> pixels;
    mpscnn_image image{};
};
