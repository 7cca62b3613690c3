// one_run MODEL BATCH PRECISION: runs the network of a model file once, on one thread, with this many random
// inputs. instructions.py counts only the instructions of run_once().

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mpscnn/mpscnn.hpp>
#include <numeric>
#include <random>
#include <vector>

static std::size_t elements(const mpscnn::Shape &shape) {
    return static_cast<std::size_t>(
        std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
}

struct Run {
    mpscnn::Session session;
    std::vector<mpscnn_tensor> inputs, outputs;
};

/// instructions.py finds this function by its plain name.
extern "C" __attribute__((noinline)) void run_once(Run &run) { run.session.run(run.inputs, run.outputs); }

int main(int count, char **arguments) try {
    const std::int64_t batch = count == 4 ? std::atoll(arguments[2]) : 0;
    if (batch <= 0) {
        std::fprintf(stderr, "usage: one_run MODEL BATCH PRECISION\n");
        return 2;
    }
    const mpscnn::ModelFile model = mpscnn::ModelFile::load(arguments[1]);
    const mpscnn::Program program = model.graph().compile({.device = "cpu", .precision = arguments[3]});

    std::mt19937 generator(0);
    std::normal_distribution<float> normal;
    std::vector<mpscnn::Shape> input_shapes;
    std::vector<std::vector<float>> memory;
    Run run{mpscnn::Session(program, {.threads = 1}), {}, {}};
    for (const mpscnn::Port &port : program.inputs()) {
        mpscnn::Shape shape = port.shape;
        shape[0] = batch;
        memory.emplace_back(elements(shape));
        std::generate(memory.back().begin(), memory.back().end(), [&] { return normal(generator); });
        run.inputs.push_back(mpscnn::tensor(memory.back().data(), shape));
        input_shapes.push_back(std::move(shape));
    }
    for (const mpscnn::Shape &shape : program.plan(input_shapes).outputs) {
        memory.emplace_back(elements(shape));
        run.outputs.push_back(mpscnn::tensor(memory.back().data(), shape));
    }
    run_once(run);
} catch (const std::exception &error) {
    std::fprintf(stderr, "one_run: %s\n", error.what());
    return 1;
}
