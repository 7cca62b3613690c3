// The part of Metal's shading language that the engine's shaders use, in CUDA C++. translate_cuda.py includes
// it before each translated shader. It is used for tests only.
#pragma once

#include <cuda_fp16.h>

#include <cmath>
#include <cstdint>

#include "gpu_texture.h"

#define MSL_FUNCTION __device__ __forceinline__

namespace metal {

using uint = unsigned int;
using ushort = unsigned short;
using uchar = unsigned char;
using half = __half;

/// Prevents the deduction of T from an argument, so that in `vector * 2.0f` only the vector determines T.
template <class T> struct same {
    using type = T;
};
template <class T> using same_t = typename same<T>::type;

/// An integer of the size of a vector. It lets one instruction load or store the vector.
template <int bytes> struct Word;
template <> struct Word<2> {
    using type = unsigned short;
};
template <> struct Word<4> {
    using type = unsigned int;
};
template <> struct Word<8> {
    using type = ::uint2;
};
template <> struct Word<16> {
    using type = ::uint4;
};

/// Vectors have the size and alignment of Metal's: a vector of three components takes as much as one of four.
#define MSL_VECTOR_MEMBERS(N, PLACES)                                                                        \
    vec() = default;                                                                                         \
    MSL_FUNCTION vec(const vec &other) { word = other.word; }                                                \
    MSL_FUNCTION vec &operator=(const vec &other) {                                                          \
        word = other.word;                                                                                   \
        return *this;                                                                                        \
    }                                                                                                        \
    template <class U> MSL_FUNCTION explicit vec(const vec<U, N> &other) {                                   \
        for (int i = 0; i < N; ++i) (*this)[i] = T(other[i]);                                                \
    }                                                                                                        \
    MSL_FUNCTION T &operator[](unsigned i) { return (&x)[i]; }                                               \
    MSL_FUNCTION const T &operator[](unsigned i) const { return (&x)[i]; }

template <class T, int N> struct vec;
template <class T> struct alignas(2 * sizeof(T)) vec<T, 2> {
    union {
        struct {
            T x, y;
        };
        typename Word<2 * sizeof(T)>::type word;
    };
    MSL_VECTOR_MEMBERS(2, 2)
    MSL_FUNCTION explicit vec(T a) {
        x = a;
        y = a;
    }
    MSL_FUNCTION vec(T a, T b) {
        x = a;
        y = b;
    }
};
template <class T> struct alignas(4 * sizeof(T)) vec<T, 3> {
    union {
        struct {
            T x, y, z;
        };
        typename Word<4 * sizeof(T)>::type word;
    };
    MSL_VECTOR_MEMBERS(3, 4)
    MSL_FUNCTION explicit vec(T a) : vec(a, a, a) {}
    MSL_FUNCTION vec(T a, T b, T c) {
        x = a;
        y = b;
        z = c;
    }
    MSL_FUNCTION vec<T, 2> first_two() const { return {x, y}; }
};
template <class T> struct alignas(4 * sizeof(T)) vec<T, 4> {
    union {
        struct {
            T x, y, z, w;
        };
        typename Word<4 * sizeof(T)>::type word;
    };
    MSL_VECTOR_MEMBERS(4, 4)
    MSL_FUNCTION explicit vec(T a) : vec(a, a, a, a) {}
    MSL_FUNCTION vec(T a, T b, T c, T d) {
        x = a;
        y = b;
        z = c;
        w = d;
    }
    MSL_FUNCTION vec<T, 2> first_two() const { return {x, y}; }
};
#undef MSL_VECTOR_MEMBERS

// Vectors of bool are results of comparisons and conditions. They are never stored in memory.
#define MSL_BOOL_VECTOR(N)                                                                                   \
    template <> struct vec<bool, N> {                                                                        \
        bool lanes[N];                                                                                       \
        MSL_FUNCTION bool &operator[](unsigned i) { return lanes[i]; }                                       \
        MSL_FUNCTION const bool &operator[](unsigned i) const { return lanes[i]; }                           \
    };
MSL_BOOL_VECTOR(2)
MSL_BOOL_VECTOR(3)
MSL_BOOL_VECTOR(4)
#undef MSL_BOOL_VECTOR

template <class Result, class T, int N, class Function>
MSL_FUNCTION vec<Result, N> each_lane(vec<T, N> a, Function function) {
    vec<Result, N> result;
#pragma unroll
    for (int i = 0; i < N; ++i) result[i] = function(a[i]);
    return result;
}
template <class Result, class T, int N, class Function>
MSL_FUNCTION vec<Result, N> each_pair(vec<T, N> a, vec<T, N> b, Function function) {
    vec<Result, N> result;
#pragma unroll
    for (int i = 0; i < N; ++i) result[i] = function(a[i], b[i]);
    return result;
}

#define MSL_OPERATOR(OP)                                                                                     \
    template <class T, int N> MSL_FUNCTION vec<T, N> operator OP(vec<T, N> a, vec<T, N> b) {                 \
        return each_pair<T>(a, b, [](T x, T y) { return T(x OP y); });                                       \
    }                                                                                                        \
    template <class T, int N> MSL_FUNCTION vec<T, N> operator OP(vec<T, N> a, same_t<T> b) {                 \
        return a OP vec<T, N>(b);                                                                            \
    }                                                                                                        \
    template <class T, int N> MSL_FUNCTION vec<T, N> operator OP(same_t<T> a, vec<T, N> b) {                 \
        return vec<T, N>(a) OP b;                                                                            \
    }                                                                                                        \
    template <class T, int N> MSL_FUNCTION vec<T, N> &operator OP##=(vec<T, N> &a, vec<T, N> b) {            \
        return a = a OP b;                                                                                   \
    }                                                                                                        \
    template <class T, int N> MSL_FUNCTION vec<T, N> &operator OP##=(vec<T, N> &a, same_t<T> b) {            \
        return a = a OP vec<T, N>(b);                                                                        \
    }
MSL_OPERATOR(+)
MSL_OPERATOR(-)
MSL_OPERATOR(*)
MSL_OPERATOR(/)
MSL_OPERATOR(%)
MSL_OPERATOR(&)
MSL_OPERATOR(|)
MSL_OPERATOR(^)
MSL_OPERATOR(<<)
MSL_OPERATOR(>>)
#undef MSL_OPERATOR
#define MSL_COMPARISON(OP)                                                                                   \
    template <class T, int N> MSL_FUNCTION vec<bool, N> operator OP(vec<T, N> a, vec<T, N> b) {              \
        return each_pair<bool>(a, b, [](T x, T y) { return x OP y; });                                       \
    }                                                                                                        \
    template <class T, int N> MSL_FUNCTION vec<bool, N> operator OP(vec<T, N> a, same_t<T> b) {              \
        return a OP vec<T, N>(b);                                                                            \
    }
MSL_COMPARISON(<)
MSL_COMPARISON(>)
MSL_COMPARISON(<=)
MSL_COMPARISON(>=)
MSL_COMPARISON(==)
MSL_COMPARISON(!=)
#undef MSL_COMPARISON
template <int N> MSL_FUNCTION vec<bool, N> operator&&(vec<bool, N> a, vec<bool, N> b) {
    return each_pair<bool>(a, b, [](bool x, bool y) { return x && y; });
}
template <int N> MSL_FUNCTION vec<bool, N> operator||(vec<bool, N> a, vec<bool, N> b) {
    return each_pair<bool>(a, b, [](bool x, bool y) { return x || y; });
}
template <class T, int N> MSL_FUNCTION vec<T, N> operator-(vec<T, N> a) {
    return each_lane<T>(a, [](T x) { return -x; });
}

#define MSL_UNARY(NAME, CALL)                                                                                \
    template <int N> MSL_FUNCTION vec<float, N> NAME(vec<float, N> a) {                                      \
        return each_lane<float>(a, [](float x) { return CALL(x); });                                         \
    }
MSL_UNARY(fabs, ::fabsf)
MSL_UNARY(exp, ::expf)
MSL_UNARY(exp2, ::exp2f)
MSL_UNARY(log, ::logf)
MSL_UNARY(log2, ::log2f)
MSL_UNARY(tanh, ::tanhf)
MSL_UNARY(floor, ::floorf)
MSL_UNARY(ceil, ::ceilf)
MSL_UNARY(rint, ::rintf)
MSL_UNARY(trunc, ::truncf)
MSL_UNARY(sqrt, ::sqrtf)
#undef MSL_UNARY
#define MSL_BINARY(NAME, CALL)                                                                               \
    template <int N> MSL_FUNCTION vec<float, N> NAME(vec<float, N> a, vec<float, N> b) {                     \
        return each_pair<float>(a, b, [](float x, float y) { return CALL(x, y); });                          \
    }
MSL_BINARY(copysign, ::copysignf)
MSL_BINARY(pow, ::powf)
MSL_BINARY(min, ::fminf)
MSL_BINARY(max, ::fmaxf)
#undef MSL_BINARY
template <int N> MSL_FUNCTION vec<float, N> clamp(vec<float, N> a, vec<float, N> low, vec<float, N> high) {
    return min(max(a, low), high);
}
MSL_FUNCTION float clamp(float a, float low, float high) { return ::fminf(::fmaxf(a, low), high); }
MSL_FUNCTION int clamp(int a, int low, int high) { return ::min(::max(a, low), high); }
template <int N> MSL_FUNCTION vec<float, N> fma(vec<float, N> a, vec<float, N> b, vec<float, N> c) {
    vec<float, N> result;
#pragma unroll
    for (int i = 0; i < N; ++i) result[i] = ::fmaf(a[i], b[i], c[i]);
    return result;
}
template <class T, int N> MSL_FUNCTION vec<T, N> select(vec<T, N> no, vec<T, N> yes, vec<bool, N> condition) {
    vec<T, N> result;
#pragma unroll
    for (int i = 0; i < N; ++i) result[i] = condition[i] ? yes[i] : no[i];
    return result;
}
template <class T> MSL_FUNCTION T select(T no, T yes, bool condition) { return condition ? yes : no; }
MSL_FUNCTION float sign(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x == 0.0f ? x : 0.0f; }
MSL_FUNCTION uint mulhi(uint a, uint b) { return __umulhi(a, b); }
template <int N> MSL_FUNCTION vec<uint, N> popcount(vec<uint, N> a) {
    return each_lane<uint>(a, [](uint x) { return uint(__popc(x)); });
}

enum class access { read, write };

/// A texture in GPU memory. An access outside of it is recorded as a fault, as in the emulation, because
/// Metal does not define the result.
template <class T> class Texture {
public:
    MSL_FUNCTION explicit Texture(const msl::GpuTexture &texture) : texture_(texture) {}
    MSL_FUNCTION uint get_width() const { return texture_.width; }
    MSL_FUNCTION uint get_height() const { return texture_.height; }

protected:
    MSL_FUNCTION vec<T, 4> load(uint x, uint y, uint slice) const {
        if (outside(x, y, slice, 1)) return vec<T, 4>(T(NAN));
        const unsigned char *pixel = place(x, y, slice);
        if (texture_.channel_bytes == 2 && texture_.components == 4 && !texture_.normalized)
            return vec<T, 4>(*reinterpret_cast<const vec<half, 4> *>(pixel));
        if (texture_.channel_bytes == 4 && texture_.components == 4)
            return vec<T, 4>(*reinterpret_cast<const vec<float, 4> *>(pixel));
        // A missing channel reads as 0, a missing alpha as 1.
        vec<T, 4> value(T(0.0f), T(0.0f), T(0.0f), T(1.0f));
        for (uint c = 0; c < texture_.components; ++c) value[c] = T(channel(pixel, place_of(c)));
        return value;
    }

    MSL_FUNCTION void save(vec<T, 4> value, uint x, uint y, uint slice) const {
        if (outside(x, y, slice, 2)) return;
        unsigned char *pixel = place(x, y, slice);
        if (texture_.channel_bytes == 2 && texture_.components == 4 && !texture_.normalized)
            *reinterpret_cast<vec<half, 4> *>(pixel) = vec<half, 4>(value);
        else if (texture_.channel_bytes == 4 && texture_.components == 4)
            *reinterpret_cast<vec<float, 4> *>(pixel) = vec<float, 4>(value);
        else
            for (uint c = 0; c < texture_.components; ++c) set_channel(pixel, place_of(c), float(value[c]));
    }

private:
    MSL_FUNCTION bool outside(uint x, uint y, uint slice, uint action) const {
        if (x < texture_.width && y < texture_.height && slice < texture_.slices) return false;
        if (atomicExch(&texture_.fault->action, action) == 0) {
            texture_.fault->x = x;
            texture_.fault->y = y;
            texture_.fault->slice = slice;
        }
        return true;
    }
    MSL_FUNCTION unsigned char *place(uint x, uint y, uint slice) const {
        return texture_.pixels + slice * texture_.slice_bytes + y * texture_.row_bytes +
               x * texture_.channel_bytes * texture_.components;
    }
    /// Return the position of red, green, blue or alpha in a pixel.
    MSL_FUNCTION uint place_of(uint c) const { return texture_.blue_first && c < 3 ? 2 - c : c; }
    MSL_FUNCTION float channel(const unsigned char *pixel, uint c) const {
        if (texture_.channel_bytes == 1) return pixel[c] / 255.0f;
        if (texture_.channel_bytes == 4) return reinterpret_cast<const float *>(pixel)[c];
        if (texture_.normalized) return reinterpret_cast<const ushort *>(pixel)[c] / 65535.0f;
        return reinterpret_cast<const half *>(pixel)[c];
    }
    MSL_FUNCTION void set_channel(unsigned char *pixel, uint c, float value) const {
        const float whole =
            ::rintf(clamp(value, 0.0f, 1.0f) * (texture_.channel_bytes == 1 ? 255.0f : 65535.0f));
        if (texture_.channel_bytes == 1)
            pixel[c] = uchar(whole);
        else if (texture_.channel_bytes == 4)
            reinterpret_cast<float *>(pixel)[c] = value;
        else if (texture_.normalized)
            reinterpret_cast<ushort *>(pixel)[c] = ushort(whole);
        else
            reinterpret_cast<half *>(pixel)[c] = value;
    }

    msl::GpuTexture texture_;
};

template <class T, access Access = access::read> struct texture2d : Texture<T> {
    using Texture<T>::Texture;
    MSL_FUNCTION vec<T, 4> read(vec<uint, 2> position) const { return this->load(position.x, position.y, 0); }
    MSL_FUNCTION void write(vec<T, 4> value, vec<uint, 2> position) const {
        this->save(value, position.x, position.y, 0);
    }
};
template <class T, access Access = access::read> struct texture2d_array : Texture<T> {
    using Texture<T>::Texture;
    MSL_FUNCTION vec<T, 4> read(vec<uint, 2> position, uint slice) const {
        return this->load(position.x, position.y, slice);
    }
    MSL_FUNCTION void write(vec<T, 4> value, vec<uint, 2> position, uint slice) const {
        this->save(value, position.x, position.y, slice);
    }
};

/// The position of a thread, which converts to the type of the kernel's parameter.
struct ThreadPosition {
    uint x, y, z;
    MSL_FUNCTION operator uint() const { return x; }
    MSL_FUNCTION operator vec<uint, 2>() const { return {x, y}; }
    MSL_FUNCTION operator vec<uint, 3>() const { return {x, y, z}; }
};

/// The memory of a threadgroup. The launcher determines its size.
extern __shared__ __align__(16) unsigned char threadgroup_memory[];

MSL_FUNCTION ThreadPosition threadgroup_position() { return {blockIdx.x, blockIdx.y, blockIdx.z}; }
MSL_FUNCTION uint thread_index() {
    return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}

enum class mem_flags { mem_none, mem_device, mem_threadgroup, mem_texture };
MSL_FUNCTION void threadgroup_barrier(mem_flags) { __syncthreads(); }

/// Set the position of this thread. Return false if it is outside of the grid, which CUDA's last blocks
/// exceed.
MSL_FUNCTION bool thread_position(uint width, uint height, uint depth, ThreadPosition &position) {
    position = {blockIdx.x * blockDim.x + threadIdx.x, blockIdx.y * blockDim.y + threadIdx.y,
                blockIdx.z * blockDim.z + threadIdx.z};
    return position.x < width && position.y < height && position.z < depth;
}

} // namespace metal

#include "msl_simdgroup.h"

// Macros replace these names, because CUDA has vectors with the same names. `xy` is the only swizzle that the
// shaders use.
#define uint2 ::metal::vec<unsigned, 2>
#define uint3 ::metal::vec<unsigned, 3>
#define uint4 ::metal::vec<unsigned, 4>
#define ulong2 ::metal::vec<unsigned long, 2>
#define int2 ::metal::vec<int, 2>
#define int3 ::metal::vec<int, 3>
#define int4 ::metal::vec<int, 4>
#define uchar4 ::metal::vec<unsigned char, 4>
#define float2 ::metal::vec<float, 2>
#define float3 ::metal::vec<float, 3>
#define float4 ::metal::vec<float, 4>
#define half4 ::metal::vec<__half, 4>
#define half2 ::metal::vec<__half, 2>
#define xy first_two()
