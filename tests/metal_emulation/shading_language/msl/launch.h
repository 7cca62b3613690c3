// Derives from a kernel's parameter types and the attributes that the translator found: the required
// arguments, how they are passed, and the loops over a grid.
#pragma once

#include "msl/abi.h"
#include "msl/fiber.h"
#include "msl/texture.h"
#include "msl/vector.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

namespace msl {

/// The position of a thread.
struct Position {
    metal::uint3 in_grid;
    metal::uint3 in_group;
    metal::uint3 group;
    metal::uint3 group_size; // smaller than requested at the end of a grid that the groups do not fill
    const Grid *grid;
};

inline metal::uint3 three(const unsigned (&of)[3]) { return metal::uint3{of[0], of[1], of[2]}; }

// ---- Attributes -------------------------------------------------------------------------------------------

template <int I> struct buffer {};
template <int I> struct texture {};
template <int I> struct threadgroup_memory {};

#define MSL_BUILTIN(NAME, EXPRESSION)                                                                        \
    struct NAME {                                                                                            \
        static metal::uint3 get([[maybe_unused]] const Position &p) { return EXPRESSION; }                   \
    };
MSL_BUILTIN(thread_position_in_grid, p.in_grid)
MSL_BUILTIN(thread_position_in_threadgroup, p.in_group)
MSL_BUILTIN(threadgroup_position_in_grid, p.group)
MSL_BUILTIN(threads_per_grid, three(p.grid->threads))
MSL_BUILTIN(threads_per_threadgroup, p.group_size)
MSL_BUILTIN(dispatch_threads_per_threadgroup, three(p.grid->group_size))
MSL_BUILTIN(threadgroups_per_grid, three(p.grid->groups))
MSL_BUILTIN(thread_index_in_threadgroup,
            (metal::uint3{p.in_group.x + p.group_size.x * (p.in_group.y + p.group_size.y * p.in_group.z), 0,
                          0}))
MSL_BUILTIN(threads_per_simdgroup, (metal::uint3{p.grid->simd_width, 0, 0}))
MSL_BUILTIN(simdgroup_index_in_threadgroup,
            (metal::uint3{thread_index_in_threadgroup::get(p).x / p.grid->simd_width, 0, 0}))
#undef MSL_BUILTIN

// ---- Data types -------------------------------------------------------------------------------------------

constexpr int data_type_struct = 1;

template <class T> constexpr int scalar_data_type() {
    if constexpr (std::is_same_v<T, float>)
        return 3;
    else if constexpr (std::is_same_v<T, metal::half>)
        return 16;
    else if constexpr (std::is_same_v<T, int>)
        return 29;
    else if constexpr (std::is_same_v<T, unsigned>)
        return 33;
    else if constexpr (std::is_same_v<T, short>)
        return 37;
    else if constexpr (std::is_same_v<T, unsigned short>)
        return 41;
    else if constexpr (std::is_same_v<T, char>)
        return 45;
    else if constexpr (std::is_same_v<T, unsigned char>)
        return 49;
    else if constexpr (std::is_same_v<T, bool>)
        return 53;
    else
        return data_type_struct;
}

/// Return the MTLDataType of a scalar or vector; numbers of consecutive types are consecutive. All other
/// types are structs.
template <class T> constexpr int data_type() {
    if constexpr (is_vector<T>)
        return scalar_data_type<Element<T>>() + Shape<T>::size - 1;
    else
        return scalar_data_type<T>();
}

template <class T> constexpr int constant_data_type() {
    static_assert(data_type<T>() != data_type_struct, "function constants are scalars and vectors");
    return data_type<T>();
}

// ---- Arguments --------------------------------------------------------------------------------------------

template <class Parameter, class Attribute> struct Bind {
    static_assert(is_vector<Parameter> || std::is_integral_v<Parameter>,
                  "a position is a uint or ushort, or a vector of two or three of them");
    static_assert(std::is_same_v<Element<Parameter>, unsigned> ||
                  std::is_same_v<Element<Parameter>, unsigned short>);
    static constexpr Argument argument{
        ArgumentKind::builtin, 0, sizeof(Element<Parameter>), 0, false, false, 0};
    static Parameter get(const Bindings &, const Position &position) {
        const metal::uint3 value = Attribute::get(position);
        return each<Parameter>([&](int i) { return static_cast<Element<Parameter>>(value[i]); });
    }
};

template <class T, int I> struct Bind<T &, buffer<I>> {
    static constexpr Argument argument{ArgumentKind::buffer,
                                       I,
                                       sizeof(T),
                                       alignof(T),
                                       !std::is_const_v<T>,
                                       false,
                                       data_type<std::remove_const_t<T>>()};
    static T &get(const Bindings &bindings, const Position &) {
        return *static_cast<T *>(bindings.buffers[I]);
    }
};

template <class T, int I> struct Bind<T *, buffer<I>> {
    static constexpr Argument argument = Bind<T &, buffer<I>>::argument;
    static T *get(const Bindings &bindings, const Position &) {
        return static_cast<T *>(bindings.buffers[I]);
    }
};

template <class T, int I> struct Bind<T *, threadgroup_memory<I>> {
    static constexpr Argument argument{ArgumentKind::threadgroup, I, sizeof(T), alignof(T), true, false, 0};
    static T *get(const Bindings &bindings, const Position &) {
        return static_cast<T *>(bindings.threadgroup[I]);
    }
};

template <class T, class Channel, bool IsArray, metal::access Access, int I> struct BindTexture {
    static constexpr Argument argument{
        ArgumentKind::texture, I, 0, 0, Access == metal::access::write, IsArray, data_type<Channel>()};
    static auto get(const Bindings &bindings, const Position &) { return T(bindings.textures[I]); }
};
template <class T, metal::access A, int I>
struct Bind<metal::texture2d<T, A>, texture<I>> : BindTexture<metal::texture2d<T, A>, T, false, A, I> {};
template <class T, metal::access A, int I>
struct Bind<metal::texture2d_array<T, A>, texture<I>>
    : BindTexture<metal::texture2d_array<T, A>, T, true, A, I> {};

// ---- Kernels ----------------------------------------------------------------------------------------------

template <class Function, class... Attributes> struct Signature;
template <class... Parameters, class... Attributes> struct Signature<void (*)(Parameters...), Attributes...> {
    static_assert(sizeof...(Parameters) == sizeof...(Attributes));
    static constexpr std::array<Argument, sizeof...(Parameters)> arguments{
        Bind<Parameters, Attributes>::argument...};

    static void call(void (*function)(Parameters...), const Bindings &bindings, const Position &position) {
        function(Bind<Parameters, Attributes>::get(bindings, position)...);
    }
};

/// Call `visit` for 0 ... count - 1, or in reverse order.
template <class Visit> void in_order(unsigned count, bool reverse, Visit visit) {
    for (unsigned i = 0; i < count; ++i) visit(reverse ? count - 1 - i : i);
}

template <auto function, bool cooperative, class... Attributes> struct Entry {
    using Type = Signature<decltype(function), Attributes...>;

    static void run(const Bindings &bindings, const Grid &grid) {
        in_order(grid.groups[2], grid.reverse, [&](unsigned z) {
            in_order(grid.groups[1], grid.reverse, [&](unsigned y) {
                in_order(grid.groups[0], grid.reverse, [&](unsigned x) {
                    run_group(bindings, grid, metal::uint3{x, y, z});
                });
            });
        });
    }

private:
    static void run_group(const Bindings &bindings, const Grid &grid, metal::uint3 group) {
        // Threadgroup memory is undefined at first. It is filled with NaN to reveal kernels that read it.
        for (int i = 0; i < max_threadgroup_arguments; ++i)
            if (bindings.threadgroup[i])
                std::memset(bindings.threadgroup[i], 0xff, bindings.threadgroup_length[i]);
        const metal::uint3 nominal = three(grid.group_size);
        const metal::uint3 first = group * nominal;
        metal::uint3 size;
        for (int i = 0; i < 3; ++i) size[i] = std::min(nominal[i], grid.threads[i] - first[i]);
        auto thread = [&](unsigned index) {
            const metal::uint3 in_group = {index % size.x, index / size.x % size.y,
                                           index / (size.x * size.y)};
            Type::call(function, bindings, Position{first + in_group, in_group, group, size, &grid});
        };
        const unsigned count = size.x * size.y * size.z;
        if constexpr (cooperative)
            FiberGroup::of_this_thread().run(count, grid, thread);
        else
            in_order(count, grid.reverse, thread);
    }
};

} // namespace msl
