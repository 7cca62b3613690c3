// Usage: results_of PRECISION NETWORK INPUT... Runs a network on this processor or an emulated one. INPUT is
// a file of float32 numbers for an input of the network. Free extents other than the batch are 1. Writes the
// numbers of all outputs to stdout, as float32.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <mpscnn/mpscnn.hpp>

namespace {

std::vector<float> numbers_of(const char *path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    std::vector<float> numbers(static_cast<std::size_t>(file.tellg()) / sizeof(float));
    file.seekg(0);
    file.read(reinterpret_cast<char *>(numbers.data()),
              static_cast<std::streamsize>(numbers.size() * sizeof(float)));
    if (!file) throw std::runtime_error(std::string(path) + ": cannot be read");
    return numbers;
}

mpscnn::Shape shape_of(const mpscnn::Port &port, std::size_t numbers) {
    mpscnn::Shape shape = port.shape;
    std::int64_t image = 1;
    for (std::size_t axis = 1; axis < shape.size(); ++axis) {
        if (shape[axis] < 1) shape[axis] = 1;
        image *= shape[axis];
    }
    shape[0] = static_cast<std::int64_t>(numbers) / image;
    return shape;
}

std::size_t elements_of(const mpscnn::Shape &shape) {
    std::size_t elements = 1;
    for (const std::int64_t extent : shape) elements *= static_cast<std::size_t>(extent);
    return elements;
}

void run(const char *precision, const char *network, int count, char **files) {
    const auto program =
        mpscnn::ModelFile::load(network).graph().compile({.device = "cpu", .precision = precision});
    const std::vector<mpscnn::Port> ports = program.inputs();
    if (ports.size() != static_cast<std::size_t>(count))
        throw std::runtime_error("one file for each input is needed");
    std::vector<std::vector<float>> given, found;
    std::vector<mpscnn::Shape> shapes;
    std::vector<mpscnn_tensor> inputs, outputs;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        given.push_back(numbers_of(files[i]));
        shapes.push_back(shape_of(ports[i], given.back().size()));
        inputs.push_back(mpscnn::tensor(given.back().data(), shapes.back()));
    }
    for (const mpscnn::Shape &shape : program.plan(shapes).outputs) {
        found.emplace_back(elements_of(shape));
        outputs.push_back(mpscnn::tensor(found.back().data(), shape));
    }
    program.session().run(inputs, outputs);
    for (const std::vector<float> &numbers : found)
        std::fwrite(numbers.data(), sizeof(float), numbers.size(), stdout);
}

} // namespace

int main(int count, char **arguments) {
    if (count < 4) {
        std::fprintf(stderr, "usage: results_of PRECISION NETWORK INPUT...\n");
        return 2;
    }
    try {
        run(arguments[1], arguments[2], count - 3, arguments + 3);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "results_of: %s\n", error.what());
        return 1;
    }
}
