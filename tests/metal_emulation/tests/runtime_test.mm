// Tests of the blocks runtime and of exceptions, which GNUstep alone gets wrong.
#include "emulation_check.h"

#include <future>
#include <memory>

TEST(block_copies_captured_cpp_objects) {
    auto value = std::make_shared<int>(3);
    int (^block)() = nil;
    {
        auto captured = value;
        block = Block_copy(^{
          return *captured;
        });
    }
    CHECK(value.use_count() == 2);
    CHECK(block() == 3);
    auto second = Block_copy(block);
    Block_release(block);
    CHECK(value.use_count() == 2);
    Block_release(second);
    CHECK(value.use_count() == 1);
}

TEST(block_retains_captured_objects) {
    Pool pool;
    NSObject *object = [[NSObject alloc] init];
    NSUInteger (^block)() = Block_copy(^{
      return [object hash];
    });
    CHECK([object retainCount] == 2);
    CHECK(block() == [object hash]);
    Block_release(block);
    CHECK([object retainCount] == 1);
    [object release];
}

TEST(block_variable_is_shared_with_its_scope) {
    __block int count = 0;
    __block auto owner = std::make_shared<int>(1);
    const std::weak_ptr<int> watched = owner;
    void (^block)() = Block_copy(^{
      ++count;
      owner.reset();
    });
    block();
    block();
    CHECK(count == 2);
    CHECK(watched.expired());
    Block_release(block);
    ++count;
    CHECK(count == 3);
}

TEST(block_within_a_block_is_copied) {
    auto promise = std::make_shared<std::promise<int>>();
    auto future = promise->get_future();
    void (^inner)() = ^{
      promise->set_value(7);
    };
    void (^outer)() = Block_copy(^{
      inner();
    });
    promise.reset();
    outer();
    Block_release(outer);
    CHECK(future.get() == 7);
}

TEST(global_block_is_its_own_copy) {
    int (^block)() = ^{
      return 5;
    };
    int (^copy)() = Block_copy(block);
    CHECK(copy == block);
    CHECK(copy() == 5);
    Block_release(copy);
}

namespace {
struct Counter {
    int &count;
    ~Counter() { ++count; }
};
} // namespace

TEST(cpp_exception_passes_objective_c_code) {
    int destroyed = 0;
    bool caught = false;
    try {
        const Counter counter{destroyed};
        const Pool pool;
        NSObject *lock = owned([[NSObject alloc] init]);
        @synchronized(lock) {
            throw std::runtime_error("thrown");
        }
    } catch (const std::runtime_error &error) {
        caught = std::string(error.what()) == "thrown";
    }
    CHECK(caught);
    CHECK(destroyed == 1);
}

TEST(objective_c_exception_is_caught_by_ellipsis) {
    const Pool pool;
    int destroyed = 0;
    bool caught = false;
    try {
        const Counter counter{destroyed};
        [NSException raise:NSInvalidArgumentException format:@"raised"];
    } catch (...) {
        caught = true;
    }
    CHECK(caught);
    CHECK(destroyed == 1);
}
