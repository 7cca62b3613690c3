// Textures. A read or write outside is a fault and does not return 0, because Metal does not define what a
// GPU does there.
#pragma once

#include "msl/abi.h"
#include "msl/math.h"

#include <cstring>
#include <string>

namespace metal {
enum class access { read, write };
}

namespace msl {

inline float load_channel(const unsigned char *pixel, ChannelType type, int channel) {
    auto get = [&]<class T>(T) {
        T value;
        std::memcpy(&value, pixel + sizeof(T) * static_cast<std::size_t>(channel), sizeof(T));
        return static_cast<float>(value);
    };
    switch (type) {
    case ChannelType::unorm8:
        return get(metal::uchar{}) / 255.0f;
    case ChannelType::unorm16:
        return get(metal::ushort{}) / 65535.0f;
    case ChannelType::float16:
        return get(metal::half{});
    case ChannelType::float32:
        return get(float{});
    default:
        throw Fault("a texture of integers is bound to a parameter of floating-point type");
    }
}

inline void store_channel(unsigned char *pixel, ChannelType type, int channel, float value) {
    auto put = [&](auto converted) {
        std::memcpy(pixel + sizeof(converted) * static_cast<std::size_t>(channel), &converted,
                    sizeof(converted));
    };
    auto unorm = [&](float scale) { return std::nearbyint(metal::saturate(value) * scale); };
    switch (type) {
    case ChannelType::unorm8:
        return put(static_cast<metal::uchar>(unorm(255.0f)));
    case ChannelType::unorm16:
        return put(static_cast<metal::ushort>(unorm(65535.0f)));
    case ChannelType::float16:
        return put(static_cast<metal::half>(value));
    case ChannelType::float32:
        return put(value);
    default:
        throw Fault("a texture of integers is bound to a parameter of floating-point type");
    }
}

/// Return the position of red, green, blue or alpha in a pixel.
inline int place_of(const TextureView &view, int channel) {
    return view.blue_first && channel < 3 ? 2 - channel : channel;
}

template <class T, metal::access Access, bool IsArray> class Texture {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, metal::half>,
                  "the emulation has textures of float and half only");

public:
    static constexpr metal::access access_mode = Access;
    static constexpr bool is_array = IsArray;

    explicit Texture(const TextureView *view) : view_(view) {}

    metal::uint get_width() const { return view_->width; }
    metal::uint get_height() const { return view_->height; }

protected:
    unsigned char *pixel(const char *action, metal::uint x, metal::uint y, metal::uint slice) const {
        if (x >= view_->width || y >= view_->height || slice >= view_->slices)
            throw Fault(std::string(action) + " at x " + std::to_string(x) + ", y " + std::to_string(y) +
                        ", slice " + std::to_string(slice) + " of a texture of width " +
                        std::to_string(view_->width) + ", height " + std::to_string(view_->height) +
                        ", slices " + std::to_string(view_->slices));
        return view_->pixels + slice * view_->slice_bytes + y * view_->row_bytes +
               x * bytes_of(view_->channel_type) * static_cast<std::size_t>(view_->components);
    }

    metal::vec<T, 4> load(metal::uint x, metal::uint y, metal::uint slice) const {
        const unsigned char *from = pixel("read", x, y, slice);
        // A missing channel reads as 0, a missing alpha as 1.
        metal::vec<T, 4> value = {0, 0, 0, 1};
        for (int c = 0; c < view_->components; ++c)
            value[c] = static_cast<T>(load_channel(from, view_->channel_type, place_of(*view_, c)));
        return value;
    }

    void store(metal::vec<T, 4> value, metal::uint x, metal::uint y, metal::uint slice) const {
        unsigned char *to = pixel("write", x, y, slice);
        for (int c = 0; c < view_->components; ++c)
            store_channel(to, view_->channel_type, place_of(*view_, c), static_cast<float>(value[c]));
    }

    const TextureView *view_;

private:
    static std::size_t bytes_of(ChannelType type) {
        switch (type) {
        case ChannelType::unorm8:
        case ChannelType::uint8:
            return 1;
        case ChannelType::unorm16:
        case ChannelType::uint16:
        case ChannelType::float16:
            return 2;
        default:
            return 4;
        }
    }
};

template <class U>
concept Coordinate = std::is_same_v<U, metal::uint> || std::is_same_v<U, metal::ushort>;

} // namespace msl

namespace metal {

template <class T, access Access = access::read> class texture2d : public msl::Texture<T, Access, false> {
public:
    using msl::Texture<T, Access, false>::Texture;

    template <msl::Coordinate U>
        requires(Access == access::read)
    vec<T, 4> read(vec<U, 2> position) const {
        return this->load(position.x, position.y, 0);
    }
    template <msl::Coordinate U>
        requires(Access == access::write)
    void write(vec<T, 4> value, vec<U, 2> position) const {
        this->store(value, position.x, position.y, 0);
    }
};

template <class T, access Access = access::read>
class texture2d_array : public msl::Texture<T, Access, true> {
public:
    using msl::Texture<T, Access, true>::Texture;

    uint get_array_size() const { return this->view_->slices; }

    template <msl::Coordinate U>
        requires(Access == access::read)
    vec<T, 4> read(vec<U, 2> position, uint slice) const {
        return this->load(position.x, position.y, slice);
    }
    template <msl::Coordinate U>
        requires(Access == access::write)
    void write(vec<T, 4> value, vec<U, 2> position, uint slice) const {
        this->store(value, position.x, position.y, slice);
    }
};

} // namespace metal
