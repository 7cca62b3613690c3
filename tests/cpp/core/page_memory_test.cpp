// Tests memory that consists of whole pages, and finding the pages of an address.

#include "core/page_memory.h"

#include <cstdint>
#include <thread>
#include <vector>

#include "core/memory.h"

#include "tests/cpp/check.h"

using mpscnn::PageMemory;

namespace {

bool is_page_aligned(const void *memory) {
    return reinterpret_cast<std::uintptr_t>(memory) % PageMemory::page_bytes == 0;
}

} // namespace

TEST(pages_are_whole_aligned_and_zero) {
    for (const std::size_t bytes : {0, 1, 16383, 16384, 16385, 1000000}) {
        const auto pages = PageMemory::allocate(bytes);
        CHECK(is_page_aligned(pages->data()) && pages->bytes() % PageMemory::page_bytes == 0);
        CHECK(pages->bytes() >= bytes && pages->bytes() > 0 &&
              pages->bytes() < bytes + 2 * PageMemory::page_bytes);
        bool zero = true;
        for (std::size_t i = 0; i < pages->bytes(); ++i) zero = zero && pages->data()[i] == std::byte{0};
        CHECK(zero);
        pages->data()[pages->bytes() - 1] = std::byte{1};
    }
}

TEST(pages_are_found_by_all_memory_in_them_and_no_other) {
    const auto pages = PageMemory::allocate(40000);
    const std::byte *first = pages->data();
    const std::size_t bytes = pages->bytes();
    CHECK(PageMemory::containing(first, bytes) == pages);
    CHECK(PageMemory::containing(first + 5, 7) == pages);
    CHECK(PageMemory::containing(first + bytes - 1, 1) == pages);
    CHECK(PageMemory::containing(first, 0) == pages);
    CHECK(!PageMemory::containing(first, bytes + 1));
    CHECK(!PageMemory::containing(first + bytes - 1, 2));
    CHECK(!PageMemory::containing(first + 1, SIZE_MAX));
    const std::vector<std::byte> elsewhere(100);
    CHECK(!PageMemory::containing(elsewhere.data(), 10));
    CHECK(!PageMemory::containing(nullptr, 0));
}

TEST(whoever_finds_pages_keeps_them) {
    auto pages = PageMemory::allocate(1);
    const std::byte *first = pages->data();
    auto found = PageMemory::containing(first, 1);
    pages.reset();
    found->data()[0] = std::byte{3};
    CHECK(PageMemory::containing(first, 1) == found);
    found.reset();
    CHECK(!PageMemory::containing(first, 1));
}

TEST(more_than_there_is_is_refused) {
    for (const std::size_t bytes : {SIZE_MAX, SIZE_MAX - 1000, SIZE_MAX / 4}) {
        bool refused = false;
        try {
            static_cast<void>(PageMemory::allocate(bytes));
        } catch (const mpscnn::OutOfMemory &) {
            refused = true;
        }
        CHECK(refused);
    }
}

TEST(threads_may_make_find_and_drop_pages_at_once) {
    const auto shared = PageMemory::allocate(1);
    std::vector<std::thread> threads;
    std::vector<int> wrong(4, 0);
    for (int &faults : wrong)
        threads.emplace_back([&faults, &shared] {
            for (int turn = 0; turn < 500; ++turn) {
                const auto own = PageMemory::allocate(1);
                if (PageMemory::containing(own->data(), 1) != own) ++faults;
                if (PageMemory::containing(shared->data(), 1) != shared) ++faults;
            }
        });
    for (std::thread &thread : threads) thread.join();
    for (const int faults : wrong) CHECK(faults == 0);
}
