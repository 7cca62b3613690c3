#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <type_traits>
#include <vector>

#include "api/guard.h"
#include "api/tensors.h"
#include "engine/backend/backend.h"

namespace mpscnn::c_api {

/// Views of the caller's tensors during a call. The object has room for the usual number of tensors, since a
/// run must not allocate memory.
class TensorViews {
public:
    TensorViews(const mpscnn_tensor *tensors, int count, const char *what) {
        require_array(tensors, count, what);
        const auto size = static_cast<std::size_t>(count);
        if (size > few) {
            many_.reserve(size);
            for (std::size_t i = 0; i < size; ++i) many_.push_back(view_of(tensors[i], what));
            views_ = many_;
            return;
        }
        auto *first = reinterpret_cast<engine::TensorView *>(memory_);
        for (std::size_t i = 0; i < size; ++i) new (first + i) engine::TensorView(view_of(tensors[i], what));
        views_ = {first, size};
    }
    TensorViews(const TensorViews &) = delete;
    TensorViews &operator=(const TensorViews &) = delete;

    operator std::span<const engine::TensorView>() const { return views_; }

private:
    static constexpr std::size_t few = 8;
    static_assert(std::is_trivially_destructible_v<engine::TensorView>);

    alignas(engine::TensorView) std::byte memory_[few * sizeof(engine::TensorView)]; // not initialised
    std::vector<engine::TensorView> many_;
    std::span<const engine::TensorView> views_;
};

} // namespace mpscnn::c_api
