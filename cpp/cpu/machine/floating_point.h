#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace mpscnn::cpu {

/// While this object exists, the calling thread computes with the defaults of IEEE 754: round to nearest
/// even, subnormals kept, exceptions masked. The destructor restores the caller's settings and sticky
/// exception flags.
class DefaultFloatingPoint {
public:
#if defined(__x86_64__)
    DefaultFloatingPoint() : previous_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
    ~DefaultFloatingPoint() { _mm_setcsr(previous_); }

private:
    unsigned previous_;
#else
    DefaultFloatingPoint() : control_(read_control()), status_(read_status()) { write_control(0); }
    ~DefaultFloatingPoint() {
        write_control(control_);
        write_status(status_);
    }

private:
    static std::uint64_t read_control() {
        std::uint64_t value;
        __asm__ volatile("mrs %0, fpcr" : "=r"(value));
        return value;
    }
    static std::uint64_t read_status() {
        std::uint64_t value;
        __asm__ volatile("mrs %0, fpsr" : "=r"(value));
        return value;
    }
    static void write_control(std::uint64_t value) { __asm__ volatile("msr fpcr, %0" : : "r"(value)); }
    static void write_status(std::uint64_t value) { __asm__ volatile("msr fpsr, %0" : : "r"(value)); }

    std::uint64_t control_, status_;
#endif

public:
    DefaultFloatingPoint(const DefaultFloatingPoint &) = delete;
    DefaultFloatingPoint &operator=(const DefaultFloatingPoint &) = delete;
};

} // namespace mpscnn::cpu
