// Tests that the vectors of every instruction set give the bits of the plain sum.

#include "vision/row_kernels.h"

#include <cstring>
#include <random>
#include <vector>

#include "core/processor.h"
#include "tests/cpp/check.h"
#include "vision/weighted_rows.h"

using namespace mpscnn::vision;

namespace {

template <class Sample> struct Rows {
    std::vector<std::vector<Sample>> samples;
    std::vector<const std::byte *> pointers;
    std::vector<float> weights;

    Rows(std::size_t count, std::size_t length) {
        std::mt19937 random(1);
        samples.resize(count);
        for (auto &row : samples) {
            for (std::size_t i = 0; i < length; ++i) row.push_back(static_cast<Sample>(random() % 256));
            pointers.push_back(reinterpret_cast<const std::byte *>(row.data()));
            weights.push_back(static_cast<float>(random() % 1000) / 997.0f - 0.3f);
        }
    }

    std::vector<float> plain(bool start, std::vector<float> sums) const {
        for (std::size_t i = 0; i < sums.size(); ++i) {
            if (start) sums[i] = 0.0f;
            for (std::size_t row = 0; row < samples.size(); ++row)
                sums[i] += weights[row] * static_cast<float>(samples[row][i]);
        }
        return sums;
    }
};

bool same_bits(const std::vector<float> &a, const std::vector<float> &b, std::size_t count) {
    return std::memcmp(a.data(), b.data(), count * sizeof(float)) == 0;
}

/// Lengths around whole vectors, groups of vectors, and blocks; numbers of rows around those that are added
/// at once.
constexpr std::size_t lengths[]{0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 200, 2047, 2048, 2049, 2113};
constexpr std::size_t counts[]{1, 2, 3, 4, 5, 7, 15, 16, 17, 33};

template <class Sample, class Test> void for_rows(Test test) {
    for (const std::size_t length : lengths)
        for (const std::size_t count : counts) {
            const Rows<Sample> rows(count, length);
            for (const bool start : {true, false}) {
                const std::vector<float> before(length, 0.7f);
                test(rows, start, before, rows.plain(start, before));
            }
        }
}

template <class Sample> void check_kernel(RowKernels::AddRows<Sample> *add) {
    for_rows<Sample>([&](const Rows<Sample> &rows, bool start, std::vector<float> sums,
                         const auto &expected) {
        add(rows.pointers.data(), rows.weights.data(), rows.weights.size(), start, sums.size(), sums.data());
        CHECK(same_bits(sums, expected, sums.size()));
    });
}

template <class Sample, class Add> void check_vectors(std::size_t lanes, Add add) {
    for_rows<Sample>(
        [&](const Rows<Sample> &rows, bool start, std::vector<float> sums, const auto &expected) {
            const std::vector<float> before = sums;
            const std::size_t done = add(rows.pointers.data(), rows.weights.data(), rows.weights.size(),
                                         start, sums.size(), sums.data());
            CHECK(done == sums.size() / lanes * lanes);
            CHECK(same_bits(sums, expected, done));
            for (std::size_t i = done; i < sums.size(); ++i) CHECK(sums[i] == before[i]);
        });
}

} // namespace

TEST(sums_of_rows_have_the_bits_of_the_plain_sum) {
    check_kernel<std::uint8_t>(row_kernels().add_rows_uint8);
    check_kernel<std::uint16_t>(row_kernels().add_rows_uint16);
    check_kernel<float>(row_kernels().add_rows_float32);
}

#if defined(__x86_64__)
TEST(vectors_of_each_instruction_set_add_whole_vectors) {
    if (mpscnn::has_avx2()) {
        check_vectors<std::uint8_t>(8, add_rows_avx2<std::uint8_t>);
        check_vectors<std::uint16_t>(8, add_rows_avx2<std::uint16_t>);
        check_vectors<float>(8, add_rows_avx2<float>);
    }
    if (mpscnn::has_avx512()) {
        check_vectors<std::uint8_t>(16, add_rows_avx512<std::uint8_t>);
        check_vectors<std::uint16_t>(16, add_rows_avx512<std::uint16_t>);
        check_vectors<float>(16, add_rows_avx512<float>);
    }
}
#endif
