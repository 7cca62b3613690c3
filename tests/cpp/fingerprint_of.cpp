// Usage: fingerprint_of PRECISION FILE... Prints the fingerprints of model files, one per line, on this
// processor or an emulated one.
#include <cinttypes>
#include <cstdio>
#include <exception>
#include <vector>

#include <mpscnn/mpscnn.hpp>

int main(int count, char **arguments) {
    if (count < 3) {
        std::fprintf(stderr, "usage: fingerprint_of PRECISION FILE...\n");
        return 2;
    }
    try {
        for (int i = 2; i < count; ++i) {
            const auto program = mpscnn::ModelFile::load(arguments[i])
                                     .graph()
                                     .compile({.device = "cpu", .precision = arguments[1]});
            std::vector<mpscnn::Shape> shapes;
            for (const mpscnn::Port &input : program.inputs()) {
                mpscnn::Shape shape = input.shape;
                shape[0] = 1;
                shapes.push_back(shape);
            }
            std::printf("%016" PRIx64 " %s\n", program.fingerprint(shapes), arguments[i]);
        }
    } catch (const std::exception &error) {
        std::fprintf(stderr, "fingerprint_of: %s\n", error.what());
        return 1;
    }
}
