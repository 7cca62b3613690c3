// Test that layers have the same bits on all processors for which docs/precision.md promises it. After a
// change of the table of cases, MPSCNN_RECORD_FINGERPRINTS=1 writes tests/engine/fingerprints.txt.

#include "engine/run/fingerprint.h"

#include <cinttypes>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "core/text.h"
#include "cpu/isa/kernels.h"
#include "engine/trust/self_check.h"
#include "tests/cpp/check.h"

using namespace mpscnn;

namespace {

using Fingerprints = std::map<std::string, std::string>;

/// Read the expected fingerprints from lines of the form "fingerprint precision: layer".
Fingerprints expected() {
    std::ifstream file(MPSCNN_FINGERPRINTS);
    Fingerprints result;
    for (std::string line; std::getline(file, line);)
        if (const std::size_t end = line.find(' '); end != std::string::npos)
            result[line.substr(end + 1)] = line.substr(0, end);
    return result;
}

std::vector<Shape> input_shapes(const engine::Graph &network) {
    std::vector<Shape> shapes;
    for (const engine::Input &input : network.inputs()) shapes.push_back(input.shape.with_batch(2));
    return shapes;
}

std::string text_of(std::uint64_t fingerprint) {
    char text[17];
    std::snprintf(text, sizeof text, "%016" PRIx64, fingerprint);
    return text;
}

} // namespace

TEST(layers_have_the_same_bits_on_every_processor) {
    if (!cpu::kernels().has_fma) SKIP("the same bits are promised for processors with FMA");
    const Fingerprints known = expected();
    Fingerprints found;
    for (const engine::Graph &network : engine::self_check_networks()) {
        // On the CPU, the networks for mpscnn's own Metal kernels have the same layers as others. Layers at
        // real sizes are parts of the networks whose fingerprints tests/models compares.
        if (is_of_training(network) || network.name().starts_with(engine::self_check_own) || is_real(network))
            continue;
        for (const char *precision : {"float32", "float16"}) {
            std::shared_ptr<engine::Program> program;
            try {
                program = engine::Program::compile(network, {.device = "cpu", .precision = precision});
            } catch (const Error &error) {
                if (error.kind() != ErrorKind::unsupported) throw;
                continue;
            }
            found[concat({precision, ": ", network.name()})] =
                text_of(engine::fingerprint(program, input_shapes(network), 1));
        }
    }
    if (std::getenv("MPSCNN_RECORD_FINGERPRINTS")) {
        std::ofstream file(MPSCNN_FINGERPRINTS);
        for (const auto &[layer, fingerprint] : found) file << fingerprint << ' ' << layer << '\n';
        CHECK(static_cast<bool>(file.flush()));
        return;
    }
    for (const auto &[layer, fingerprint] : found) {
        const auto wanted = known.find(layer);
        const bool same = wanted != known.end() && wanted->second == fingerprint;
        if (!same) std::printf("found: %s %s\n", fingerprint.c_str(), layer.c_str());
        CHECK(same);
    }
    CHECK(found.size() == known.size());
}
