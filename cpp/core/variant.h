#pragma once

// A value of one of many types, such as one of all operations. std::variant is not used for that, because the
// time to compile it grows with the square of the number of types.

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <type_traits>
#include <utility>

namespace mpscnn {

constexpr std::size_t largest_of(std::initializer_list<std::size_t> numbers) {
    std::size_t largest = 0;
    for (const std::size_t number : numbers) largest = number > largest ? number : largest;
    return largest;
}

/// A list of types. A struct that derives from it gives the list a short name. Otherwise the names of all
/// functions of a variant would contain the names of all types.
template <class First, class... Others> struct TypeList {
    using first = First;
    static constexpr std::size_t size = largest_of({sizeof(First), sizeof(Others)...});
    static constexpr std::size_t alignment = largest_of({alignof(First), alignof(Others)...});
    static constexpr bool is_trivial =
        (std::is_trivially_copyable_v<First> && ... && std::is_trivially_copyable_v<Others>);
    static constexpr bool moves_safely =
        (std::is_nothrow_move_constructible_v<First> && ... && std::is_nothrow_move_constructible_v<Others>);

    template <class T>
    static constexpr bool has = (std::is_same_v<T, First> || ... || std::is_same_v<T, Others>);
    template <class T>
        requires has<T>
    static constexpr std::size_t index_of = [] {
        constexpr bool is_same[] = {std::is_same_v<T, First>, std::is_same_v<T, Others>...};
        std::size_t index = 0;
        while (!is_same[index]) ++index;
        return index;
    }();

    template <template <class...> class Template> using apply = Template<First, Others...>;
    /// Call function.template operator()<T>() for each type T.
    template <class Function> static constexpr void for_each(Function function) {
        (function.template operator()<First>(), ..., function.template operator()<Others>());
    }
    /// Return an array with make.template operator()<T>() for each type T.
    template <class Make> static constexpr auto map(Make make) {
        return std::array{make.template operator()<First>(), make.template operator()<Others>()...};
    }
};

/// A value of one of the types of a list, which is a struct that derives from TypeList.
template <class List> class Variant {
public:
    Variant() : Variant(typename List::first{}) {}
    template <class T>
        requires(List::template has<T>)
    Variant(T value) : index_(List::template index_of<T>) {
        ::new (bytes_) T(std::move(value));
    }
    Variant(const Variant &other) : index_(other.index_) { copy(other); }
    Variant(Variant &&other) noexcept : index_(other.index_) { move(other); }
    Variant &operator=(const Variant &other) {
        if (this != &other) *this = Variant(other);
        return *this;
    }
    Variant &operator=(Variant &&other) noexcept {
        if (this == &other) return *this;
        destroy();
        index_ = other.index_;
        move(other);
        return *this;
    }
    ~Variant() { destroy(); }

    /// Return the index of the value's type in the list.
    std::size_t index() const { return index_; }
    template <class T> bool is() const { return index_ == List::template index_of<T>; }
    /// Return the value, which must have this type.
    template <class T> const T &as() const {
        assert(is<T>());
        return *std::launder(reinterpret_cast<const T *>(bytes_));
    }
    template <class T> T &as() {
        assert(is<T>());
        return *std::launder(reinterpret_cast<T *>(bytes_));
    }
    /// Return the value, or null if it has another type.
    template <class T> const T *get_if() const { return is<T>() ? &as<T>() : nullptr; }
    template <class T> T *get_if() { return is<T>() ? &as<T>() : nullptr; }

    /// Return function(value). The type of the result is the same for all types of the list.
    template <class Function> decltype(auto) visit(Function &&function) const {
        using Result = decltype(function(std::declval<const typename List::first &>()));
        static constexpr auto calls =
            List::map([]<class T>() { return &call<Result, Function, const T, const void>; });
        return calls[index_](function, bytes_);
    }
    template <class Function> decltype(auto) visit(Function &&function) {
        using Result = decltype(function(std::declval<typename List::first &>()));
        static constexpr auto calls = List::map([]<class T>() { return &call<Result, Function, T, void>; });
        return calls[index_](function, bytes_);
    }

private:
    /// The functions that a type has in place of copies of its bytes.
    struct Lifetime {
        void (*copy)(void *to, const void *from);
        void (*move)(void *to, void *from);
        void (*destroy)(void *value);
    };
    template <class T>
    static constexpr Lifetime lifetime_of{
        [](void *to, const void *from) { ::new (to) T(*static_cast<const T *>(from)); },
        [](void *to, void *from) { ::new (to) T(std::move(*static_cast<T *>(from))); },
        [](void *value) { static_cast<T *>(value)->~T(); }};

    const Lifetime &lifetime() const {
        static constexpr auto lifetimes = List::map([]<class T>() { return lifetime_of<T>; });
        return lifetimes[index_];
    }
    void copy(const Variant &other) {
        if constexpr (List::is_trivial)
            std::memcpy(bytes_, other.bytes_, sizeof(bytes_));
        else
            lifetime().copy(bytes_, other.bytes_);
    }
    void move(Variant &other) noexcept {
        static_assert(List::moves_safely);
        if constexpr (List::is_trivial)
            copy(other);
        else
            lifetime().move(bytes_, other.bytes_);
    }
    void destroy() {
        if constexpr (!List::is_trivial) lifetime().destroy(bytes_);
    }

    template <class Result, class Function, class T, class Void>
    static Result call(std::remove_reference_t<Function> &function, Void *value) {
        return function(*static_cast<T *>(value));
    }

    alignas(List::alignment) std::byte bytes_[List::size];
    std::uint8_t index_;
};

} // namespace mpscnn
