// The threads of a threadgroup, as fibers in one thread. At a barrier a fiber waits until all others have
// reached the same barrier. If a fiber has returned or waits at another barrier, the kernel fails. Each
// simdgroup runs until all of its threads wait at a barrier. So an operation that its threads do together
// does not make other simdgroups wait.
#pragma once

#include "msl/abi.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <sys/mman.h>

#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace metal {
enum class mem_flags { mem_none, mem_device, mem_threadgroup, mem_texture };
}

namespace msl {
namespace {

constexpr std::size_t stack_bytes = 64 * 1024;
constexpr std::size_t guard_bytes = 4096;

// Push the registers that a function must preserve onto this stack, store the stack pointer in *save, and
// continue at `to`.
__attribute__((naked, noinline)) void switch_stack([[maybe_unused]] void **save, [[maybe_unused]] void *to) {
    asm("pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
        "movq %rsp, (%rdi)\n movq %rsi, %rsp\n"
        "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret\n");
}

/// The memory of a fiber's stack, with an inaccessible page below it.
class Stack {
public:
    Stack() {
        void *memory = mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) throw Fault("no memory for the threads of a threadgroup");
        mprotect(memory, guard_bytes, PROT_NONE);
        bottom_ = static_cast<unsigned char *>(memory);
    }
    Stack(Stack &&other) noexcept : bottom_(std::exchange(other.bottom_, nullptr)) {}
    Stack &operator=(Stack &&) = delete;
    ~Stack() {
        if (!bottom_) return;
#if __has_feature(address_sanitizer)
        // The sanitizer does not mark memory as usable when it is mapped again.
        __asan_unpoison_memory_region(low(), stack_bytes);
#endif
        munmap(bottom_, guard_bytes + stack_bytes);
    }
    unsigned char *low() const { return bottom_ + guard_bytes; }
    unsigned char *top() const { return low() + stack_bytes; }

private:
    unsigned char *bottom_;
};

class FiberGroup {
public:
    using Body = std::function<void(unsigned)>;

    static FiberGroup &of_this_thread() {
        static thread_local FiberGroup group;
        return group;
    }

    /// Call body(0) ... body(count - 1), each with its own stack.
    void run(unsigned count, const Grid &grid, const Body &body) {
        body_ = &body;
        grid_ = &grid;
        failure_ = nullptr;
        abandon_ = false;
        while (stacks_.size() < count) stacks_.emplace_back();
        fibers_.assign(count, Fiber{});
        for (unsigned i = 0; i < count; ++i) prepare(i);
        const unsigned width = grid.simd_width, simdgroups = (count + width - 1) / width;
        while (true) {
            for (unsigned i = 0; i < simdgroups; ++i) {
                const unsigned first = (grid.reverse ? simdgroups - 1 - i : i) * width;
                run_simdgroup(first, std::min(width, count - first));
                if (failure_) return give_up();
            }
            unsigned done = 0;
            for (const Fiber &fiber : fibers_) done += fiber.state == State::done;
            if (done == count) break;
            if (std::string text = disagreement(done); !text.empty()) {
                failure_ = std::make_exception_ptr(Fault(text));
                return give_up();
            }
            for (Fiber &fiber : fibers_) fiber.state = State::ready;
        }
        grid_ = nullptr;
    }

    void wait(int line) { wait_as(State::waiting, line); }

    /// Return the number of the current thread within its simdgroup. Throws if its simdgroup has no matrices.
    unsigned lane() const {
        if (!grid_) throw Fault("the emulation finds matrices of simdgroups in kernels with barriers only");
        if (!grid_->has_matrices) throw Fault("a matrix of a simdgroup on a GPU below the family Apple 7");
        if (grid_->simd_width != 32) throw Fault("a matrix of a simdgroup that has not 32 threads");
        return current_ % grid_->simd_width;
    }

    /// Wait until all threads of the simdgroup have come to this line. The last one calls `work` with what
    /// each of them has offered.
    void together(void *offer, int line, void (*work)(void *const *offers)) {
        const unsigned own = lane(), first = current_ - own, width = grid_->simd_width;
        if (first + width > fibers_.size()) throw Fault("a matrix of a simdgroup that has not 32 threads");
        Fiber &fiber = fibers_[current_];
        fiber.offer = offer;
        std::array<void *, 32> offers{};
        for (unsigned i = 0; i < width; ++i) {
            const Fiber &other = fibers_[first + i];
            if (i != own && other.state != State::together) return wait_as(State::together, line);
            if (i != own && other.line != line)
                throw Fault("threads of a simdgroup wait at different places, in lines " +
                            std::to_string(other.line) + " and " + std::to_string(line));
            offers[i] = other.offer;
        }
        work(offers.data());
        for (unsigned i = 0; i < width; ++i) fibers_[first + i].state = State::ready;
    }

private:
    enum class State { ready, together, waiting, done };
    struct Fiber {
        void *stack_pointer = nullptr;
        State state = State::ready;
        bool started = false;
        int line = 0;
        void *offer = nullptr;
        void *fake_stack = nullptr;
    };

    void prepare(unsigned i) {
        // The stack contents that switch_stack pops: six registers and then the address to continue at. The
        // zero above them gives the alignment that a function expects at its entry.
        auto *top = reinterpret_cast<void **>(stacks_[i].top());
        *--top = nullptr;
        *--top = reinterpret_cast<void *>(&entry);
        for (int i = 0; i < 6; ++i) *--top = nullptr;
        fibers_[i].stack_pointer = top;
    }

    void wait_as(State state, int line) {
        fibers_[current_].state = state;
        fibers_[current_].line = line;
        leave(false);
        if (abandon_) throw Fault("abandoned");
    }

    /// Run the fibers of a simdgroup until each waits at a barrier or is done.
    void run_simdgroup(unsigned first, unsigned lanes) {
        for (bool ran = true; ran;) {
            ran = false;
            for (unsigned i = 0; i < lanes; ++i) {
                const unsigned next = first + (grid_->reverse ? lanes - 1 - i : i);
                if (fibers_[next].state != State::ready) continue;
                resume(next);
                if (failure_) return;
                ran = true;
            }
        }
        for (unsigned i = first; i < first + lanes; ++i)
            if (fibers_[i].state == State::together)
                failure_ = std::make_exception_ptr(Fault("the operation of a simdgroup in line " +
                                                         std::to_string(fibers_[i].line) +
                                                         " is not reached by all of its threads"));
    }

    void resume(unsigned i) {
        current_ = i;
        fibers_[i].started = true;
#if __has_feature(address_sanitizer)
        __sanitizer_start_switch_fiber(&own_fake_stack_, stacks_[i].low(), stack_bytes);
#endif
        switch_stack(&own_stack_pointer_, fibers_[i].stack_pointer);
#if __has_feature(address_sanitizer)
        __sanitizer_finish_switch_fiber(own_fake_stack_, nullptr, nullptr);
#endif
    }

    // A sanitizer would count the calls of `entry` and of its last `leave`, which never return.
    __attribute__((disable_sanitizer_instrumentation)) void leave([[maybe_unused]] bool for_good) {
#if __has_feature(address_sanitizer)
        __sanitizer_start_switch_fiber(for_good ? nullptr : &fibers_[current_].fake_stack, own_bottom_,
                                       own_size_);
#endif
        switch_stack(&fibers_[current_].stack_pointer, own_stack_pointer_);
#if __has_feature(address_sanitizer)
        __sanitizer_finish_switch_fiber(fibers_[current_].fake_stack, &own_bottom_, &own_size_);
#endif
    }

    __attribute__((disable_sanitizer_instrumentation)) static void entry() {
        FiberGroup &group = of_this_thread();
#if __has_feature(address_sanitizer)
        __sanitizer_finish_switch_fiber(nullptr, &group.own_bottom_, &group.own_size_);
#endif
        try {
            (*group.body_)(group.current_);
        } catch (...) {
            if (!group.failure_) group.failure_ = std::current_exception();
        }
        group.fibers_[group.current_].state = State::done;
        group.leave(true);
        __builtin_unreachable();
    }

    std::string disagreement(unsigned done) const {
        int line = 0;
        for (const Fiber &fiber : fibers_) {
            if (fiber.state != State::waiting) continue;
            if (done > 0)
                return "the barrier in line " + std::to_string(fiber.line) + " is not reached by " +
                       std::to_string(done) + " of " + std::to_string(fibers_.size()) + " threads";
            if (line && fiber.line != line)
                return "threads of a threadgroup wait at different barriers, in lines " +
                       std::to_string(line) + " and " + std::to_string(fiber.line);
            line = fiber.line;
        }
        return {};
    }

    // Resume the waiting fibers with an exception, so that their stacks are unwound.
    void give_up() {
        abandon_ = true;
        const std::exception_ptr failure = failure_;
        grid_ = nullptr;
        for (unsigned i = 0; i < fibers_.size(); ++i)
            if (fibers_[i].started && fibers_[i].state != State::done) resume(i);
        std::rethrow_exception(failure);
    }

    const Body *body_ = nullptr;
    const Grid *grid_ = nullptr; ///< the grid of the running threadgroup
    std::vector<Stack> stacks_;
    std::vector<Fiber> fibers_;
    unsigned current_ = 0;
    void *own_stack_pointer_ = nullptr;
    bool abandon_ = false;
    std::exception_ptr failure_;
#if __has_feature(address_sanitizer)
    void *own_fake_stack_ = nullptr;
    const void *own_bottom_ = nullptr;
    std::size_t own_size_ = 0;
#endif
};

} // namespace
} // namespace msl

namespace metal {
namespace {
[[maybe_unused]] void threadgroup_barrier(mem_flags, int line = __builtin_LINE()) {
    msl::FiberGroup::of_this_thread().wait(line);
}
} // namespace
} // namespace metal
