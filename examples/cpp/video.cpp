// Prints the class that a model finds most probable for each frame of a video, several frames at a time, in
// order.
//
//     ffmpeg -i clip.mp4 -pix_fmt yuv420p -f yuv4mpegpipe - | video mobilenet_v2.safetensors [in flight]
//
// The program reads frames from standard input (YUV4MPEG2, 4:2:0). It gives their planes to the model without
// a conversion to RGB.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <future>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <mpscnn/mpscnn.hpp>

namespace {

struct Format {
    int width = 0, height = 0;
    double rate = 25.0; // frames per second
    mpscnn::YuvOptions options;
};

/// The first line: "YUV4MPEG2 W640 H480 F25:1 C420mpeg2 XCOLORRANGE=FULL".
Format read_format(std::istream &stream) {
    std::string line, word;
    if (!std::getline(stream, line) || line.rfind("YUV4MPEG2 ", 0) != 0)
        throw std::runtime_error("standard input is not YUV4MPEG2");
    Format format;
    std::istringstream words(line);
    words >> word;
    while (words >> word) {
        const std::string value = word.substr(1);
        if (word[0] == 'W') format.width = std::stoi(value);
        if (word[0] == 'H') format.height = std::stoi(value);
        if (word[0] == 'F') {
            const std::size_t colon = value.find(':');
            const double parts = colon == std::string::npos ? 1.0 : std::stod(value.substr(colon + 1));
            format.rate = std::stod(value) / parts;
        }
        if (word[0] == 'C' && value != "420" && value != "420jpeg" && value != "420mpeg2" &&
            value != "420paldv")
            throw std::runtime_error("expected 8-bit 4:2:0, got " + value);
        if (word == "C420jpeg") format.options.siting = MPSCNN_CHROMA_CENTER;
        if (word == "XCOLORRANGE=FULL") format.options.range = MPSCNN_FULL_RANGE;
    }
    constexpr int limit = 1 << 14;
    if (format.width < 1 || format.height < 1 || format.width > limit || format.height > limit)
        throw std::runtime_error("expected a width and height of 1 to 16384");
    if (!(format.rate > 0.0)) throw std::runtime_error("expected frames per second above 0");
    if (format.height >= 720) format.options.matrix = MPSCNN_BT709; // as usual
    return format;
}

/// Read the planes of the next frame, one after the other. Return false at the end of the stream.
bool read_frame(std::istream &stream, std::vector<std::uint8_t> &planes) {
    std::string line;
    if (!std::getline(stream, line)) return false;
    if (line.rfind("FRAME", 0) != 0) throw std::runtime_error("expected FRAME");
    if (!stream.read(reinterpret_cast<char *>(planes.data()), static_cast<std::streamsize>(planes.size())))
        throw std::runtime_error("the stream ends within a frame");
    return true;
}

/// A frame in flight. Its planes must stay at their address until the result is ready.
struct Frame {
    std::vector<std::uint8_t> planes;
    std::future<mpscnn::Predictions> result;
};

} // namespace

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        std::cerr << "usage: video MODEL.safetensors [IN FLIGHT] < CLIP.y4m\n";
        return 2;
    }
    try {
        const int inflight = argc == 3 ? std::stoi(argv[2]) : 3;
        if (inflight < 1) throw std::runtime_error("expected 1 or more in flight");
        const Format format = read_format(std::cin);
        const auto model = mpscnn::Model::load(argv[1], {.device = "cpu"});
        const std::size_t width = static_cast<std::size_t>(format.width),
                          height = static_cast<std::size_t>(format.height), luma = width * height,
                          chroma = (width + 1) / 2 * ((height + 1) / 2);
        std::deque<Frame> under_way; // before the runner, so that it outlives the runner
        mpscnn::Runner runner(model.program(), {.inflight = inflight});
        int number = 0;
        const auto print_oldest = [&] {
            const auto best = under_way.front().result.get()[0];
            std::printf("%.3f s  %6.2f %%  %s\n", number++ / format.rate,
                        100.0 * static_cast<double>(best.probability), best.label.c_str());
            under_way.pop_front();
        };
        for (std::vector<std::uint8_t> planes(luma + 2 * chroma); read_frame(std::cin, planes);) {
            Frame &frame = under_way.emplace_back(Frame{planes, {}});
            const std::uint8_t *y = frame.planes.data();
            frame.result =
                runner.classify(model.file(),
                                mpscnn::ImageView::i420(y, y + luma, y + luma + chroma, format.width,
                                                        format.height, format.options),
                                1);
            if (under_way.size() == static_cast<std::size_t>(inflight)) print_oldest();
        }
        while (!under_way.empty()) print_oldest();
    } catch (const std::exception &error) {
        std::cerr << "video: " << error.what() << '\n';
        return 1;
    }
}
