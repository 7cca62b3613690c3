#pragma once

// Helpers of the tests of bfloat16 kernels: tensors of either element type, and all tables with such kernels.

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "core/bfloat16.h"
#include "core/processor.h"
#include "tests/cpp/check.h"
#include "tests/cpp/kernel_memory.h"

#if defined(MPSCNN_WITH_AMX_MODEL) // the software model of AMX also needs the kernels for AVX-512
namespace mpscnn::cpu::amx_model_bf16 {
void get(Bfloat16Kernels &);
}
namespace mpscnn::cpu::avx512_fma_bf16 {
void get(Bfloat16Kernels &);
}
#endif

namespace kernel_test {

/// A tensor of either element type, whose pixels, rows and images may have gaps between them. The gaps, and
/// all of a destination at first, hold a pattern that no result has.
struct Tensor {
    static constexpr std::uint32_t guard_bits = 0x7fc07fc1; // a NaN of either element type
    std::vector<std::uint32_t> words;
    View view;

    Tensor(Random &random, const Size &size, Element element) {
        view.element = element;
        view.batch = size.batch, view.height = size.height;
        view.width = size.width, view.channels = size.channels;
        view.pixel_stride = (size.channels + 1) / 2 * 2 + (random() % 2 ? 2 * pick(random, 0, 9) : 0);
        view.row_stride = size.width * view.pixel_stride + (random() % 3 ? 0 : 2 * pick(random, 1, 9));
        view.image_stride = size.height * view.row_stride + (random() % 3 ? 0 : 2 * pick(random, 1, 9));
        view.writable_channels = random() % 2 ? view.pixel_stride : size.channels;
        words.assign(static_cast<std::size_t>(size.batch * view.image_stride), guard_bits);
        view.data = reinterpret_cast<float *>(words.data());
    }
    Tensor(const Tensor &other) : words(other.words), view(other.view) {
        view.data = reinterpret_cast<float *>(words.data());
    }
    Tensor &operator=(const Tensor &) = delete;

    std::int64_t offset(std::int64_t n, std::int64_t y, std::int64_t x) const {
        return n * view.image_stride + y * view.row_stride + x * view.pixel_stride;
    }
    float get(std::int64_t at) const {
        const auto *bytes = reinterpret_cast<const char *>(words.data());
        if (view.element == Element::float32) {
            float value;
            std::memcpy(&value, bytes + 4 * at, 4);
            return value;
        }
        std::uint16_t bits;
        std::memcpy(&bits, bytes + 2 * at, 2);
        return float_from_bfloat16(bits);
    }
    void set(std::int64_t at, float value) {
        auto *bytes = reinterpret_cast<char *>(words.data());
        const std::uint16_t bits = bfloat16_from_float(value);
        if (view.element == Element::float32)
            std::memcpy(bytes + 4 * at, &value, 4);
        else
            std::memcpy(bytes + 2 * at, &bits, 2);
    }
    /// Call action(n, y, x, channel, index of the element).
    template <class Action> void each(Action action) const {
        for (std::int64_t n = 0; n < view.batch; ++n)
            for (std::int64_t y = 0; y < view.height; ++y)
                for (std::int64_t x = 0; x < view.width; ++x)
                    for (std::int64_t c = 0; c < view.channels; ++c) action(n, y, x, c, offset(n, y, x) + c);
    }
    void randomise(Random &random) {
        each([&](auto, auto, auto, auto, std::int64_t at) { set(at, uniform(random)); });
    }
    /// True if only elements and memory that may be overwritten have changed.
    bool guarded() const {
        std::vector<char> allowed(words.size() * 4, 0);
        const std::int64_t size = size_of(view.element);
        each([&](auto, auto, auto, std::int64_t c, std::int64_t at) {
            if (c == 0) std::fill_n(allowed.begin() + at * size, view.writable_channels * size, 1);
        });
        const std::vector<std::uint32_t> fresh(words.size(), guard_bits);
        const auto *now = reinterpret_cast<const char *>(words.data());
        const auto *before = reinterpret_cast<const char *>(fresh.data());
        for (std::size_t i = 0; i < allowed.size(); ++i)
            if (!allowed[i] && now[i] != before[i]) return false;
        return true;
    }
    bool same(const Tensor &other) const {
        bool same = true;
        each([&](auto, auto, auto, auto, std::int64_t at) {
            same =
                same && std::bit_cast<std::uint32_t>(get(at)) == std::bit_cast<std::uint32_t>(other.get(at));
        });
        return same;
    }
};

/// Run a task that writes to `destination`. Return true if several threads write the same as one.
template <class Task> bool runs(Random &random, Task task, Tensor &destination, const Kernel<Task> &kernel) {
    const Tensor fresh = destination;
    task.destination = destination.view;
    if (!run_items(random, task, kernel, 1) || !destination.guarded()) return false;
    for (const int threads : {2, 7}) {
        Tensor other = fresh;
        task.destination = other.view;
        if (!run_items(random, task, kernel, threads) || !other.guarded() || !other.same(destination))
            return false;
    }
    return true;
}

/// Return all kernel tables with bfloat16 kernels that this processor can run, also with software models.
inline std::vector<KernelTable> tables_with_bfloat16() {
    std::vector<KernelTable> tables;
    for (const KernelTable *table : available_kernels()) {
        if (table->multiplies_bfloat16())
            tables.push_back(*table);
        else
            CHECK(table->why_no_bfloat16 != nullptr);
    }
    [[maybe_unused]] const auto add = [&](const char *name, Bfloat16Products products, auto get) {
        KernelTable table = kernels("avx512");
        table.name = name;
        get(table.bfloat16);
        table.bfloat16.products = products;
        static_cast<Kernel<ConversionTask> &>(table) = table.bfloat16.conversion;
        tables.push_back(table);
    };
#if defined(MPSCNN_WITH_AMX_MODEL)
    if (has_avx512()) {
        add("avx512, FMAs", Bfloat16Products::blocks, avx512_fma_bf16::get);
        add("avx512, model of AMX", Bfloat16Products::blocks_in_tiles, amx_model_bf16::get);
    }
#endif
    return tables;
}

template <class Body> void for_each_bfloat16_table(int repetitions, Body body) {
    const std::vector<KernelTable> tables = tables_with_bfloat16();
    if (tables.empty()) SKIP("no kernels here multiply bfloat16 numbers");
    for (const KernelTable &table : tables) {
        Random random(11);
        for (int i = 0; i < repetitions; ++i) body(random, table);
    }
}

inline WindowAxis random_axis(Random &random, std::int64_t kernel) {
    if (kernel == 1 && random() % 2) return {};
    return {.kernel = kernel,
            .stride = pick(random, 1, 2),
            .dilation = pick(random, 1, random() % 2 ? 1 : 3),
            .before = pick(random, 0, kernel / 2)};
}

inline std::int64_t output_extent(const WindowAxis &axis, std::int64_t extent) {
    const std::int64_t span = (axis.kernel - 1) * axis.dilation + 1;
    return std::max<std::int64_t>(1, (extent + 2 * axis.before - span) / axis.stride + 1);
}

} // namespace kernel_test
