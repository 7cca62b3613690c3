// Test that a chain does not reuse rows in scratch memory that another session has left there.

#include <cstdlib>

#include "cpu/plan/lowering.h"
#include "cpu/runtime/cpu_executor.h"
#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;

namespace {

/// The first worker computes the items before this number, and the second worker computes the others.
constexpr std::int64_t second_worker = 3;

const cpu::Kernel<cpu::ChainTask> &chain_kernel() { return cpu::kernels().kernel<cpu::ChainTask>(); }

AlignedBuffer<std::byte> left_memory; ///< scratch memory that the first session frees and the second one gets
int session = 0;

/// Run the first session's first worker and the second session's second worker in the same memory, because an
/// allocator may return memory again. The latter worker begins with the item after the former worker's last.
void run_in_left_memory(const cpu::ChainTask &task, const cpu::Prepared &prepared, std::int64_t begin,
                        std::int64_t end, cpu::Worker &worker) {
    cpu::Worker in_left{left_memory.data()};
    for (std::int64_t item = begin; item < end; ++item) {
        const bool left = (session == 1) == (item < second_worker);
        chain_kernel().run(task, prepared, item, item + 1, left ? in_left : worker);
    }
}

Arrays run_session(const cpu::CpuPlan &plan, const engine::Graph &graph, Arrays &inputs) {
    ++session;
    Arrays outputs = arrays_for_outputs(graph, plan.input_shapes());
    cpu::CpuExecutor executor(std::make_shared<cpu::ThreadPool>(1), false);
    executor.run(plan, views_of(inputs), views_of(outputs));
    return outputs;
}

} // namespace

TEST(a_session_does_not_go_on_with_rows_that_another_one_left) {
    setenv("MPSCNN_FUSION", "rows=2", 1);
    Network network;
    ValueId x = network.input({Shape::any, 16, 12, 8});
    x = network.add(convolution(24, window(1)), {x}, relu6);
    network.output(network.add(convolution(24, window(3), 24), {x}, relu6));
    const std::vector<Shape> shapes{{1, 16, 12, 8}};
    Arrays first = random_inputs(shapes), second{random_array(shapes[0], 5)};
    const Arrays expected = run(*cpu::make_cpu_backend(), network.graph, second);

    cpu::KernelTable table = cpu::kernels();
    static_cast<cpu::Kernel<cpu::ChainTask> &>(table).run = run_in_left_memory;
    const cpu::CpuPlan plan(cpu::lower_network(network.graph, {}, table), shapes, {.threads = 1},
                            std::uint64_t{1} << 30);
    unsetenv("MPSCNN_FUSION");
    left_memory = AlignedBuffer<std::byte>(1 << 20);
    run_session(plan, network.graph, first);
    CHECK(same_bits(run_session(plan, network.graph, second)[0].values, expected[0].values));
    CHECK(session == 2);
}
