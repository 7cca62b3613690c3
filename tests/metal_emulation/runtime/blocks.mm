// The blocks runtime, as defined in clang's "Block Implementation Specification". It replaces two others that
// differ from a Mac: GNUstep's _Block_copy does not run C++ copy constructors, and Debian's libBlocksRuntime
// does not retain captured objects. All symbols are hidden. Each shared object with blocks links its own
// copy, and GNUstep keeps using its own.
#import <Foundation/Foundation.h>

#include <cstdlib>
#include <cstring>

#define HIDDEN __attribute__((visibility("hidden")))

namespace {

constexpr int refcount_mask = 0xffff;
constexpr int needs_free = 1 << 24;
constexpr int has_copy_dispose = 1 << 25;
constexpr int is_global = 1 << 28;

constexpr int field_is_object = 3;
constexpr int field_is_block = 7;
constexpr int field_is_byref = 8;
constexpr int kind_mask = field_is_object | field_is_block | field_is_byref;
constexpr int called_by_byref = 128;

struct Descriptor {
    unsigned long reserved;
    unsigned long size;
    void (*copy)(void *destination, const void *source);
    void (*dispose)(const void *block);
};

struct Block {
    void *isa;
    int flags;
    int reserved;
    void (*invoke)(void *, ...);
    Descriptor *descriptor;
};

// A __block variable. It is on the stack at first, and moves to the heap when a block that uses it is copied.
struct ByReference {
    void *isa;
    ByReference *forwarding;
    int flags;
    int size;
    void (*keep)(void *destination, void *source);
    void (*destroy)(void *variable);
};

int add(int &flags, int amount) { return __atomic_add_fetch(&flags, amount, __ATOMIC_ACQ_REL); }

ByReference *copy_variable(ByReference *source) {
    ByReference *variable = source->forwarding;
    if (variable->flags & needs_free) {
        add(variable->flags, 1);
        return variable;
    }
    auto *copy = static_cast<ByReference *>(std::malloc(static_cast<size_t>(variable->size)));
    std::memcpy(copy, variable, static_cast<size_t>(variable->size));
    copy->forwarding = copy;
    // One reference is for the copied block. The other is for the stack frame, which releases it when it
    // ends.
    copy->flags = (variable->flags & ~refcount_mask) | needs_free | 2;
    variable->forwarding = copy;
    if (variable->flags & has_copy_dispose) variable->keep(copy, variable);
    return copy;
}

void release_variable(ByReference *variable) {
    variable = variable->forwarding;
    if (!(variable->flags & needs_free)) return;
    if (add(variable->flags, -1) & refcount_mask) return;
    if (variable->flags & has_copy_dispose) variable->destroy(variable);
    std::free(variable);
}

} // namespace

extern "C" {

HIDDEN void *_NSConcreteStackBlock[32];
HIDDEN void *_NSConcreteMallocBlock[32];
HIDDEN void *_NSConcreteGlobalBlock[32];

HIDDEN void *_Block_copy(const void *argument) {
    auto *block = static_cast<Block *>(const_cast<void *>(argument));
    if (!block || (block->flags & is_global)) return block;
    if (block->flags & needs_free) {
        add(block->flags, 1);
        return block;
    }
    auto *copy = static_cast<Block *>(std::malloc(block->descriptor->size));
    std::memcpy(copy, block, block->descriptor->size);
    copy->isa = _NSConcreteMallocBlock;
    copy->flags = (block->flags & ~refcount_mask) | needs_free | 1;
    if (copy->flags & has_copy_dispose) copy->descriptor->copy(copy, block);
    return copy;
}

HIDDEN void _Block_release(const void *argument) {
    auto *block = static_cast<Block *>(const_cast<void *>(argument));
    if (!block || !(block->flags & needs_free)) return;
    if (add(block->flags, -1) & refcount_mask) return;
    if (block->flags & has_copy_dispose) block->descriptor->dispose(block);
    std::free(block);
}

HIDDEN void _Block_object_assign(void *destination, const void *object, int flags) {
    void *value = const_cast<void *>(object);
    if (!(flags & called_by_byref)) {
        switch (flags & kind_mask) {
        case field_is_object:
            value = [static_cast<id>(value) retain];
            break;
        case field_is_block:
            value = _Block_copy(value);
            break;
        case field_is_byref:
            value = copy_variable(static_cast<ByReference *>(value));
            break;
        }
    }
    *static_cast<void **>(destination) = value;
}

HIDDEN void _Block_object_dispose(const void *object, int flags) {
    if (flags & called_by_byref) return;
    void *value = const_cast<void *>(object);
    switch (flags & kind_mask) {
    case field_is_object:
        [static_cast<id>(value) release];
        break;
    case field_is_block:
        _Block_release(value);
        break;
    case field_is_byref:
        release_variable(static_cast<ByReference *>(value));
        break;
    }
}

} // extern "C"
