// Usage: classes_of PRECISION MODEL WIDTH HEIGHT PHOTO. Classifies a photo on this processor or an emulated
// one. PHOTO is a file of red, green and blue bytes. Prints the five best classes, each with its probability.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <vector>

#include <mpscnn/mpscnn.hpp>

int main(int count, char **arguments) {
    if (count != 6) {
        std::fprintf(stderr, "usage: classes_of PRECISION MODEL WIDTH HEIGHT PHOTO\n");
        return 2;
    }
    try {
        std::ifstream file(arguments[5], std::ios::binary);
        const std::vector<char> pixels{std::istreambuf_iterator<char>(file), {}};
        const int width = std::atoi(arguments[3]), height = std::atoi(arguments[4]);
        const auto *bytes = reinterpret_cast<const std::uint8_t *>(pixels.data());
        const auto model = mpscnn::Model::load(arguments[2], {.device = "cpu", .precision = arguments[1]});
        for (const auto &[label, probability] :
             model.classify(mpscnn::ImageView::rgb8(bytes, width, height)).top(5))
            std::printf("%s %.9g\n", label.c_str(), static_cast<double>(probability));
    } catch (const std::exception &error) {
        std::fprintf(stderr, "classes_of: %s\n", error.what());
        return 1;
    }
}
