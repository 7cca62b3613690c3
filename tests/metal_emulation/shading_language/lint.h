// Metal's vocabulary in C++ for OpenCL, for lint_metal.py. It has declarations only, since nothing is
// compiled from it.
#pragma OPENCL EXTENSION cl_khr_fp16 : enable

#define kernel
#define device __global
#define constant __constant
#define threadgroup __local
#define thread __private

enum class access { read, write };

template <class T> struct FourOf;
template <> struct FourOf<float> {
    using type = float4;
};
template <> struct FourOf<half> {
    using type = half4;
};

template <class T, access Access = access::read> struct texture2d {
    uint get_width() const;
    uint get_height() const;
    typename FourOf<T>::type read(uint2 position) const;
    typename FourOf<T>::type read(ushort2 position) const;
    void write(typename FourOf<T>::type value, uint2 position) const;
    void write(typename FourOf<T>::type value, ushort2 position) const;
};

template <class T, access Access = access::read> struct texture2d_array {
    uint get_width() const;
    uint get_height() const;
    uint get_array_size() const;
    typename FourOf<T>::type read(uint2 position, uint slice) const;
    typename FourOf<T>::type read(ushort2 position, uint slice) const;
    void write(typename FourOf<T>::type value, uint2 position, uint slice) const;
    void write(typename FourOf<T>::type value, ushort2 position, uint slice) const;
};

enum class mem_flags { mem_none, mem_device, mem_threadgroup, mem_texture };
void threadgroup_barrier(mem_flags);

template <class T, int Columns, int Rows> struct simdgroup_matrix {
    T elements[2];
    T *thread_elements();
};
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
template <class T, int Columns, int Rows>
simdgroup_matrix<T, Columns, Rows> make_filled_simdgroup_matrix(T value);
template <class T>
void simdgroup_load(simdgroup_matrix<T, 8, 8> &, const threadgroup T *, ulong = 8, ulong2 = 0, bool = false);
template <class T>
void simdgroup_load(simdgroup_matrix<T, 8, 8> &, const device T *, ulong = 8, ulong2 = 0, bool = false);
template <class T>
void simdgroup_store(simdgroup_matrix<T, 8, 8>, threadgroup T *, ulong = 8, ulong2 = 0, bool = false);
template <class T>
void simdgroup_store(simdgroup_matrix<T, 8, 8>, device T *, ulong = 8, ulong2 = 0, bool = false);
template <class Result, class Left, class Right, class Addend>
void simdgroup_multiply_accumulate(simdgroup_matrix<Result, 8, 8> &, simdgroup_matrix<Left, 8, 8> &,
                                   simdgroup_matrix<Right, 8, 8> &, simdgroup_matrix<Addend, 8, 8> &);

template <class To, class From> To as_type(From);
uint mulhi(uint, uint);
template <class V> V saturate(V);
template <class V> V powr(V, V);
template <class V> bool isnan(V);
template <class V> bool isinf(V);
template <class V> bool isfinite(V);
namespace precise {
template <class V> V cos(V);
template <class V> V exp(V);
template <class V> V exp2(V);
template <class V> V log(V);
template <class V> V log2(V);
template <class V> V pow(V, V);
template <class V> V rsqrt(V);
template <class V> V sin(V);
template <class V> V sqrt(V);
template <class V> V tanh(V);
} // namespace precise
namespace fast = precise;

// The types of the parts are checked when the shader is compiled.
template <class V, class... Parts> V make(Parts...);
#define char2(...) make<char2>(__VA_ARGS__)
#define char3(...) make<char3>(__VA_ARGS__)
#define char4(...) make<char4>(__VA_ARGS__)
#define uchar2(...) make<uchar2>(__VA_ARGS__)
#define uchar3(...) make<uchar3>(__VA_ARGS__)
#define uchar4(...) make<uchar4>(__VA_ARGS__)
#define short2(...) make<short2>(__VA_ARGS__)
#define short3(...) make<short3>(__VA_ARGS__)
#define short4(...) make<short4>(__VA_ARGS__)
#define ushort2(...) make<ushort2>(__VA_ARGS__)
#define ushort3(...) make<ushort3>(__VA_ARGS__)
#define ushort4(...) make<ushort4>(__VA_ARGS__)
#define int2(...) make<int2>(__VA_ARGS__)
#define int3(...) make<int3>(__VA_ARGS__)
#define int4(...) make<int4>(__VA_ARGS__)
#define uint2(...) make<uint2>(__VA_ARGS__)
#define uint3(...) make<uint3>(__VA_ARGS__)
#define uint4(...) make<uint4>(__VA_ARGS__)
#define ulong2(...) make<ulong2>(__VA_ARGS__)
#define half2(...) make<half2>(__VA_ARGS__)
#define half3(...) make<half3>(__VA_ARGS__)
#define half4(...) make<half4>(__VA_ARGS__)
#define float2(...) make<float2>(__VA_ARGS__)
#define float3(...) make<float3>(__VA_ARGS__)
#define float4(...) make<float4>(__VA_ARGS__)
