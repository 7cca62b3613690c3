// Words that C++ lacks. This file is included last, because the standard library uses names like `thread`.
#pragma once

#define kernel [[maybe_unused]] static
#define device
#define thread
#define threadgroup

// Construction of vectors. These are macros with arguments, so `float4 v` and `vec<float, 4>` are not
// affected.
#define char2(...) ::msl::make<::metal::char2>(__VA_ARGS__)
#define char3(...) ::msl::make<::metal::char3>(__VA_ARGS__)
#define char4(...) ::msl::make<::metal::char4>(__VA_ARGS__)
#define uchar2(...) ::msl::make<::metal::uchar2>(__VA_ARGS__)
#define uchar3(...) ::msl::make<::metal::uchar3>(__VA_ARGS__)
#define uchar4(...) ::msl::make<::metal::uchar4>(__VA_ARGS__)
#define short2(...) ::msl::make<::metal::short2>(__VA_ARGS__)
#define short3(...) ::msl::make<::metal::short3>(__VA_ARGS__)
#define short4(...) ::msl::make<::metal::short4>(__VA_ARGS__)
#define ushort2(...) ::msl::make<::metal::ushort2>(__VA_ARGS__)
#define ushort3(...) ::msl::make<::metal::ushort3>(__VA_ARGS__)
#define ushort4(...) ::msl::make<::metal::ushort4>(__VA_ARGS__)
#define int2(...) ::msl::make<::metal::int2>(__VA_ARGS__)
#define int3(...) ::msl::make<::metal::int3>(__VA_ARGS__)
#define int4(...) ::msl::make<::metal::int4>(__VA_ARGS__)
#define uint2(...) ::msl::make<::metal::uint2>(__VA_ARGS__)
#define uint3(...) ::msl::make<::metal::uint3>(__VA_ARGS__)
#define uint4(...) ::msl::make<::metal::uint4>(__VA_ARGS__)
#define ulong2(...) ::msl::make<::metal::ulong2>(__VA_ARGS__)
#define half2(...) ::msl::make<::metal::half2>(__VA_ARGS__)
#define half3(...) ::msl::make<::metal::half3>(__VA_ARGS__)
#define half4(...) ::msl::make<::metal::half4>(__VA_ARGS__)
#define float2(...) ::msl::make<::metal::float2>(__VA_ARGS__)
#define float3(...) ::msl::make<::metal::float3>(__VA_ARGS__)
#define float4(...) ::msl::make<::metal::float4>(__VA_ARGS__)
