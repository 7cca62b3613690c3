// The C interface: allocations, custom allocators, and the log.

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <new>
#include <string>
#include <vector>

#include "tests/cpp/c_api.h"

using namespace c_api_test;

namespace {

std::atomic<int> allocations{0};

void *counted(std::size_t bytes, std::size_t alignment) {
    ++allocations;
    const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void *memory = std::aligned_alloc(alignment, rounded > 0 ? rounded : alignment);
    if (!memory) throw std::bad_alloc();
    return memory;
}

} // namespace

// Counts the allocations of this program and of the library, which is linked statically.
void *operator new(std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void *operator new(std::size_t bytes, const std::nothrow_t &) noexcept { return operator new(bytes); }
void *operator new[](std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void *operator new(std::size_t bytes, std::align_val_t alignment) {
    return counted(bytes, static_cast<std::size_t>(alignment));
}
void *operator new[](std::size_t bytes, std::align_val_t alignment) {
    return counted(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete[](void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void *memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void *memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void *memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void *memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

/// An allocator that records its blocks.
struct Books {
    std::map<void *, std::size_t> blocks;
    int taken = 0, mistakes = 0;
    bool exhausted = false;
    std::size_t offset = 0;

    static void *take(std::size_t bytes, std::size_t alignment, void *context) {
        auto *books = static_cast<Books *>(context);
        if (books->exhausted) return nullptr;
        auto *memory = static_cast<char *>(
            std::aligned_alloc(alignment, (bytes + books->offset + alignment - 1) / alignment * alignment));
        memory += books->offset;
        books->blocks[memory] = bytes;
        ++books->taken;
        return memory;
    }
    static void give_back(void *memory, std::size_t bytes, void *context) {
        auto *books = static_cast<Books *>(context);
        const auto found = books->blocks.find(memory);
        if (found == books->blocks.end() || found->second != bytes) {
            ++books->mistakes;
            return;
        }
        books->blocks.erase(found);
        std::free(static_cast<char *>(memory) - books->offset);
    }
};

struct Run {
    mpscnn_session *session;
    std::vector<float> image = std::vector<float>(static_cast<std::size_t>(side * side * 3), 1.0f);
    std::vector<float> result = std::vector<float>(classes);

    mpscnn_status operator()() {
        const std::int64_t image_shape[] = {1, side, side, 3}, result_shape[] = {1, classes};
        mpscnn_tensor input{}, output{};
        input.data = image.data();
        input.rank = 4;
        output.data = result.data();
        output.rank = 2;
        for (int axis = 0; axis < 4; ++axis) input.shape[axis] = image_shape[axis];
        for (int axis = 0; axis < 2; ++axis) output.shape[axis] = result_shape[axis];
        return mpscnn_session_run(session, &input, 1, &output, 1);
    }
};

} // namespace

TEST(run_allocates_nothing_after_warm_up) {
    Books books;
    CHECK(succeeded(mpscnn_set_allocator(Books::take, Books::give_back, &books)));
    mpscnn_program *program = classifier_program();
    mpscnn_session *session = session_of(program);
    Run run{session};
    CHECK(succeeded(run()));
    const int before = allocations, blocks_before = books.taken;
    bool all = true;
    for (int i = 0; i < 10; ++i) all = run() == MPSCNN_OK && all;
    const int after = allocations;
    CHECK(all);
    CHECK(after == before);
    CHECK(books.taken == blocks_before);
    mpscnn_session_release(session);
    mpscnn_program_release(program);
    CHECK(books.blocks.empty());
    CHECK(succeeded(mpscnn_set_allocator(nullptr, nullptr, nullptr)));
}

TEST(allocator_gets_weights_and_arenas) {
    Books books;
    CHECK(refused(mpscnn_set_allocator(Books::take, nullptr, &books), MPSCNN_ERROR_PARAMETER,
                  "both or neither"));
    CHECK(succeeded(mpscnn_set_allocator(Books::take, Books::give_back, &books)));
    mpscnn_program *program = classifier_program();
    CHECK(books.taken > 0);
    CHECK(refused(mpscnn_set_allocator(nullptr, nullptr, nullptr), MPSCNN_ERROR_STATE, "in use"));
    const int weights = books.taken;
    Run run{session_of(program)};
    CHECK(succeeded(run()));
    CHECK(books.taken > weights);
    mpscnn_session_release(run.session);
    mpscnn_program_release(program);
    CHECK(books.blocks.empty() && books.mistakes == 0);
    CHECK(succeeded(mpscnn_set_allocator(nullptr, nullptr, nullptr)));
}

TEST(allocator_without_memory_is_an_error) {
    Books books;
    CHECK(succeeded(mpscnn_set_allocator(Books::take, Books::give_back, &books)));
    mpscnn_graph *graph = classifier_graph();
    mpscnn_program *program = nullptr;
    books.exhausted = true;
    CHECK(refused(mpscnn_program_compile(graph, nullptr, &program), MPSCNN_ERROR_MEMORY,
                  "bytes cannot be allocated"));
    books.exhausted = false;
    books.offset = 16;
    CHECK(refused(mpscnn_program_compile(graph, nullptr, &program), MPSCNN_ERROR_PARAMETER, "not aligned"));
    CHECK(program == nullptr && books.blocks.empty() && books.mistakes == 0);
    mpscnn_graph_release(graph);
    CHECK(succeeded(mpscnn_set_allocator(nullptr, nullptr, nullptr)));
}

TEST(log_callback_hears_of_compilation) {
    std::string heard;
    mpscnn_set_log_callback(
        [](int level, const char *message, void *context) {
            if (level == 0) *static_cast<std::string *>(context) += message;
        },
        &heard);
    mpscnn_program_release(classifier_program());
    mpscnn_set_log_callback(nullptr, nullptr);
    CHECK(heard.find("tiny") != std::string::npos);
    const std::string before = heard;
    mpscnn_program_release(classifier_program());
    CHECK(heard == before);
}
