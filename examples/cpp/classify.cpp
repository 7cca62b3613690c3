// Prints the five classes that a model finds most probable for a photo.
//
//     classify mobilenet_v2.safetensors photo.ppm [threads]
//
// The photo is a binary PPM (P6, 8 bits), which most image programs write:
//     python3 -c "from PIL import Image; Image.open('photo.jpg').convert('RGB').save('photo.ppm')"

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <mpscnn/mpscnn.hpp>

namespace {

struct Photo {
    int width = 0, height = 0;
    std::vector<std::uint8_t> pixels; // red, green, blue
};

/// Read a number of the header, or return 0. Comments extend from '#' to the end of the line.
int read_number(std::istream &file) {
    while ((file >> std::ws).peek() == '#') file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    int number = 0;
    return file >> number ? number : 0;
}

Photo read_ppm(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot open it");
    if (file.get() != 'P' || file.get() != '6') throw std::runtime_error("not a binary PPM (P6) file");
    Photo photo;
    photo.width = read_number(file);
    photo.height = read_number(file);
    const int maximum = read_number(file);
    constexpr int limit = 1 << 15;
    if (photo.width < 1 || photo.height < 1 || photo.width > limit || photo.height > limit || maximum != 255)
        throw std::runtime_error("expected a width and height of 1 to 32768 and 8 bits per sample");
    file.get(); // the one white space after the header
    photo.pixels.resize(std::size_t{3} * static_cast<std::size_t>(photo.width) *
                        static_cast<std::size_t>(photo.height));
    const auto size = static_cast<std::streamsize>(photo.pixels.size());
    if (!file.read(reinterpret_cast<char *>(photo.pixels.data()), size))
        throw std::runtime_error("the file ends within the pixels");
    return photo;
}

int read_threads(std::string_view text) {
    int threads = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), threads);
    if (error != std::errc() || end != text.data() + text.size())
        throw std::runtime_error("THREADS must be a whole number, got " + std::string(text));
    return threads;
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 3 || argc > 4) {
        std::cerr << "usage: classify MODEL.safetensors PHOTO.ppm [THREADS]\n";
        return 2;
    }
    try {
        Photo photo;
        try {
            photo = read_ppm(argv[2]);
        } catch (const std::exception &error) {
            throw std::runtime_error(std::string(argv[2]) + ": " + error.what());
        }
        const int threads = argc == 4 ? read_threads(argv[3]) : 0;
        auto model = mpscnn::Model::load(argv[1], {.device = "cpu"}, {.threads = threads});
        const auto result =
            model.classify(mpscnn::ImageView::rgb8(photo.pixels.data(), photo.width, photo.height));
        const bool is_probability = result.scores() != "as is";
        for (const auto &[label, probability] : result.top(5))
            std::printf(is_probability ? "%6.2f %%  %s\n" : "%8.5g  %s\n",
                        (is_probability ? 100.0 : 1.0) * static_cast<double>(probability), label.c_str());
    } catch (const std::exception &error) {
        std::cerr << "classify: " << error.what() << '\n';
        return 1;
    }
}
