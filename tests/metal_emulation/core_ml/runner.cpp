#include "core_ml/runner.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>

namespace core_ml_emulation {

namespace {

namespace fs = std::filesystem;

std::atomic<core_ml_emulation_runner> the_runner{nullptr};

std::size_t elements_of(const std::int64_t *shape, int rank) {
    return static_cast<std::size_t>(
        std::accumulate(shape, shape + rank, std::int64_t{1}, std::multiplies<>()));
}

void take(const core_ml_emulation_tensor *tensor, void *results) {
    static_cast<std::vector<Output> *>(results)->push_back(
        {tensor->name,
         {tensor->shape, tensor->shape + tensor->rank},
         {tensor->data, tensor->data + elements_of(tensor->shape, tensor->rank)}});
}

void write(const std::vector<core_ml_emulation_tensor> &inputs, const fs::path &folder) {
    std::ofstream names(folder / "inputs.txt"), numbers(folder / "inputs.bin", std::ios::binary);
    for (const core_ml_emulation_tensor &input : inputs) {
        names << input.name;
        for (int axis = 0; axis < input.rank; ++axis) names << ' ' << input.shape[axis];
        names << '\n';
        const std::size_t bytes = sizeof(float) * elements_of(input.shape, input.rank);
        numbers.write(reinterpret_cast<const char *>(input.data), static_cast<std::streamsize>(bytes));
    }
}

void read(const fs::path &folder, std::vector<Output> &outputs) {
    std::ifstream names(folder / "outputs.txt"), numbers(folder / "outputs.bin", std::ios::binary);
    for (std::string line; std::getline(names, line);) {
        std::istringstream words(line);
        Output output;
        words >> output.name;
        for (std::int64_t extent = 0; words >> extent;) output.shape.push_back(extent);
        output.numbers.resize(elements_of(output.shape.data(), static_cast<int>(output.shape.size())));
        numbers.read(reinterpret_cast<char *>(output.numbers.data()),
                     static_cast<std::streamsize>(sizeof(float) * output.numbers.size()));
        outputs.push_back(std::move(output));
    }
}

std::string run_program(const std::string &program, const std::string &model,
                        const std::vector<core_ml_emulation_tensor> &inputs, std::vector<Output> &outputs) {
    std::string name = (fs::temp_directory_path() / "core_ml_emulation_XXXXXX").string();
    if (!mkdtemp(name.data())) return "the emulation makes no folder for a program";
    write(inputs, name);
    const std::string command = program + " '" + model + "' '" + name + "'";
    const bool failed = std::system(command.c_str()) != 0;
    if (!failed) read(name, outputs);
    fs::remove_all(name);
    return failed ? "the program of CORE_ML_EMULATION_RUNNER failed" : "";
}

} // namespace

std::string run(const std::string &model, const std::vector<core_ml_emulation_tensor> &inputs,
                std::vector<Output> &outputs) {
    if (const core_ml_emulation_runner runner = the_runner) {
        const char *error =
            runner(model.c_str(), inputs.data(), static_cast<int>(inputs.size()), take, &outputs);
        return error ? error : "";
    }
    if (const char *program = std::getenv("CORE_ML_EMULATION_RUNNER"))
        return run_program(program, model, inputs, outputs);
    return "the emulation of Core ML has no function that computes";
}

} // namespace core_ml_emulation

void core_ml_emulation_set_runner(core_ml_emulation_runner runner) { core_ml_emulation::the_runner = runner; }
