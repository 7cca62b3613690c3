#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>
#include <variant>

namespace mpscnn {

/// std::visit for variants of many alternatives, as a switch: the C++ library makes each of them a function,
/// with tables for exceptions and a pointer to relocate.
template <std::size_t Index = 0, class Visitor, class Variant>
[[gnu::always_inline]] inline decltype(auto) visit_alternative(Visitor &&visitor, Variant &&variant) {
    constexpr bool last = Index + 1 == std::variant_size_v<std::remove_cvref_t<Variant>>;
    if constexpr (!last)
        if (variant.index() != Index)
            return visit_alternative<Index + 1>(std::forward<Visitor>(visitor),
                                                std::forward<Variant>(variant));
    return std::forward<Visitor>(visitor)(std::get<Index>(std::forward<Variant>(variant)));
}

} // namespace mpscnn
