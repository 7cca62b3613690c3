#import "metal/pixel_format.h"

namespace metal_emulation {

std::optional<PixelLayout> pixel_layout(MTLPixelFormat format) {
    using enum msl::ChannelType;
    switch (format) {
    case MTLPixelFormatR8Unorm:
        return PixelLayout{unorm8, 1, 1, false};
    case MTLPixelFormatRG8Unorm:
        return PixelLayout{unorm8, 2, 1, false};
    case MTLPixelFormatRGBA8Unorm:
        return PixelLayout{unorm8, 4, 1, false};
    case MTLPixelFormatBGRA8Unorm:
        return PixelLayout{unorm8, 4, 1, false, true};
    case MTLPixelFormatR16Unorm:
        return PixelLayout{unorm16, 1, 2, false};
    case MTLPixelFormatRG16Unorm:
        return PixelLayout{unorm16, 2, 2, false};
    case MTLPixelFormatRGBA16Unorm:
        return PixelLayout{unorm16, 4, 2, false};
    case MTLPixelFormatR16Float:
        return PixelLayout{float16, 1, 2, false};
    case MTLPixelFormatRG16Float:
        return PixelLayout{float16, 2, 2, false};
    case MTLPixelFormatRGBA16Float:
        return PixelLayout{float16, 4, 2, false};
    case MTLPixelFormatR32Float:
        return PixelLayout{float32, 1, 4, false};
    case MTLPixelFormatRG32Float:
        return PixelLayout{float32, 2, 4, false};
    case MTLPixelFormatRGBA32Float:
        return PixelLayout{float32, 4, 4, false};
    case MTLPixelFormatR8Uint:
        return PixelLayout{uint8, 1, 1, true};
    case MTLPixelFormatRG8Uint:
        return PixelLayout{uint8, 2, 1, true};
    case MTLPixelFormatRGBA8Uint:
        return PixelLayout{uint8, 4, 1, true};
    case MTLPixelFormatR16Uint:
        return PixelLayout{uint16, 1, 2, true};
    case MTLPixelFormatRG16Uint:
        return PixelLayout{uint16, 2, 2, true};
    case MTLPixelFormatRGBA16Uint:
        return PixelLayout{uint16, 4, 2, true};
    case MTLPixelFormatR32Uint:
        return PixelLayout{uint32, 1, 4, true};
    case MTLPixelFormatRG32Uint:
        return PixelLayout{uint32, 2, 4, true};
    case MTLPixelFormatRGBA32Uint:
        return PixelLayout{uint32, 4, 4, true};
    case MTLPixelFormatR32Sint:
        return PixelLayout{sint32, 1, 4, true};
    case MTLPixelFormatRG32Sint:
        return PixelLayout{sint32, 2, 4, true};
    case MTLPixelFormatRGBA32Sint:
        return PixelLayout{sint32, 4, 4, true};
    default:
        return std::nullopt;
    }
}

} // namespace metal_emulation
