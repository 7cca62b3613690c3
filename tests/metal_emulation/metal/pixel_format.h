// The memory layouts of pixel formats.
#pragma once

#import <Metal/Metal.h>

#include "msl/abi.h"

#include <optional>

namespace metal_emulation {

struct PixelLayout {
    msl::ChannelType type;
    int components;
    int channel_bytes;
    bool is_integer;
    bool blue_first = false; ///< blue, green, red, alpha in memory

    int bytes() const { return components * channel_bytes; }
};

/// Return nothing for formats that the emulation lacks.
std::optional<PixelLayout> pixel_layout(MTLPixelFormat format);

} // namespace metal_emulation
