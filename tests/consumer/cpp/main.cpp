// A C++ program that uses mpscnn.hpp: it builds and runs networks, and checks errors.

#include <cstdint>
#include <cstdio>
#include <exception>
#include <future>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <mpscnn/mpscnn.hpp>

namespace {

int failures = 0;

void expect(bool holds, const char *what) {
    if (holds) return;
    ++failures;
    std::printf("failed: %s\n", what);
}

template <class Expected, class Action> void expect_thrown(Action action, const char *part) {
    try {
        action();
        expect(false, part);
    } catch (const Expected &error) {
        expect(std::string(error.what()).find(part) != std::string::npos, error.what());
    }
}

/// Return a network with an image of two channels as its input. A dense layer computes the sum of all pixels
/// of both channels, and the difference of the channels' sums.
mpscnn::Graph sums() {
    auto graph = mpscnn::Graph::create("sums");
    const mpscnn::Shape image{-1, 4, 4, 2}, weight_shape{2, 4, 4, 2};
    const std::vector<mpscnn::Value> input{graph.add_input("image", image)};
    graph.mark_output(graph.add_node("fully_connected", "dense", input, R"({"outputs": 2})"));
    std::vector<float> weight(64, 1.0f);
    for (std::size_t i = 33; i < weight.size(); i += 2) weight[i] = -1.0f;
    graph.set_weight("dense", "weight", mpscnn::tensor(weight.data(), weight_shape));
    return graph;
}

/// Check streams of frames: futures, handlers, and the exceptions of both.
void run_frames() {
    const mpscnn::Program program = sums().compile({.device = "cpu"});
    mpscnn::Runner runner(program, {.inflight = 2, .max_batch = 4, .check_finite = true, .max_wait = 1000});
    expect(runner.describe().find("\"permits\":8") != std::string::npos, "permits");
    const mpscnn::Shape image{1, 4, 4, 2}, result{1, 2};
    const std::vector<float> fine(32, 1.0f), broken(32, std::numeric_limits<float>::quiet_NaN());
    std::vector<float> output(2), ignored(2), never(2);
    const mpscnn_tensor first = mpscnn::tensor(fine.data(), image),
                        second = mpscnn::tensor(broken.data(), image),
                        to_first = mpscnn::tensor(output.data(), result),
                        to_second = mpscnn::tensor(ignored.data(), result),
                        to_third = mpscnn::tensor(never.data(), result);
    std::future<void> good = runner.submit({&first, 1}, {&to_first, 1});
    std::future<void> bad = runner.submit({&second, 1}, {&to_second, 1});
    std::exception_ptr cancelled;
    bool marked = false;
    const auto number = runner.submit({&first, 1}, {&to_third, 1},
                                      [&](std::exception_ptr failure) { cancelled = std::move(failure); });
    runner.mark([&](std::exception_ptr failure) { marked = !failure; });
    expect(runner.cancel(number), "a waiting frame is cancelled");
    runner.close();
    good.get();
    expect(output == std::vector<float>{32, 0}, "the frame's result");
    expect_thrown<mpscnn::Error>([&] { bad.get(); }, "image");
    runner.wait();
    expect_thrown<mpscnn::CancelledError>([&] { std::rethrow_exception(cancelled); }, "before it began");
    expect(marked, "the mark is handed out");
    expect_thrown<mpscnn::StateError>([&] { runner.submit({&first, 1}, {&to_first, 1}); }, "is closed");
}

void run() {
    const auto graph = sums();
    expect(graph.shape(1) == mpscnn::Shape{-1, 2}, "shape of the result");
    expect(graph.weight("dense", "weight").tensor.rank == 4, "rank of the weight");
    const auto program = graph.compile({.device = "cpu"});
    expect(program.inputs().at(0).name == "image", "name of the input");
    auto session = program.session({.threads = 1});
    std::vector<float> input(3 * 32), output(3 * 2);
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = i % 2 == 0 ? 2.0f : 1.0f;
    session.run(input, output);
    expect(output == std::vector<float>{48, 16, 48, 16, 48, 16}, "sums");
    const std::vector<mpscnn::Shape> shapes{{7, 4, 4, 2}};
    expect(program.plan(shapes).outputs.at(0) == mpscnn::Shape{7, 2}, "planned shape");

    std::vector<std::uint16_t> halves(32);
    mpscnn::halves_from_floats(std::span(input).first(32), halves);
    const mpscnn::Shape image{1, 4, 4, 2}, result{1, 2};
    const std::vector<mpscnn_tensor> sources{mpscnn::half_tensor(halves.data(), image)},
        destinations{mpscnn::tensor(output.data(), result)};
    output.assign(output.size(), 0.0f);
    session.run(sources, destinations);
    expect(output[0] == 48.0f && output[2] == 0.0f, "half input");
}

/// Return a model file whose network returns a photo's amounts of red, green and blue as scores.
std::string colors_file() {
    const std::string graph =
        R"({\"name\": \"colors\", \"inputs\": [{\"name\": \"image\", \"shape\": [-1, 8, 8, 3]}], \"nodes\": )"
        R"([{\"name\": \"scores\", \"operation\": \"pooling\", \"inputs\": [\"image\"], \"attributes\": )"
        R"({\"kind\": \"average\", \"kernel_height\": 1, \"kernel_width\": 1}}], \"outputs\": [\"scores\"]})";
    std::string header = R"({"__metadata__": {"mpscnn.version": "1", "mpscnn.preprocess": "\"unit\"", )"
                         R"("mpscnn.graph": ")" +
                         graph + R"("}})";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const auto size = static_cast<std::uint64_t>(header.size());
    return std::string(reinterpret_cast<const char *>(&size), sizeof size) + header;
}

void segment() {
    const std::string content = colors_file();
    mpscnn::Model model(mpscnn::ModelFile::parse(std::as_bytes(std::span(content)), "colors"),
                        {.device = "cpu"});
    std::vector<std::uint8_t> pixels(std::size_t{3} * 12 * 4, 0); // the left half red, the right half blue
    for (std::size_t i = 0; i < 48; ++i) pixels[3 * i + (i % 12 < 6 ? 0 : 2)] = 255;
    const auto plain = model.segment(mpscnn::ImageView::rgb8(pixels.data(), 12, 4));
    expect(plain.width == 12 && plain.height == 4 && plain.scores.empty(), "size of a segmentation");
    expect(plain.labels.size() == 48 && plain.labels.front() == 0 && plain.labels.back() == 2, "labels");
    // Orientation 6: the photo is seen turned to the right, with its left edge on top.
    const mpscnn::ImageView turned(pixels.data(), 12, 4, MPSCNN_RGB8, 0, 6);
    const auto scored = model.segment(turned, 3);
    expect(scored.width == 4 && scored.height == 12 && scored.labels.back() == 2, "a turned photo");
    expect(scored.scores.size() == 144 && scored.scores[0] > 0.99f && scored.scores[2] < 0.01f, "scores");
    expect_thrown<mpscnn::ShapeError>([&] { (void)model.segment(turned, 4); }, "room for 4 classes");

    mpscnn::Runner runner(model.program(), {.max_batch = 2, .max_wait = 1000});
    auto first = runner.segment(model.file(), turned, 3), second = runner.segment(model.file(), turned);
    const mpscnn::Segmentation one = first.get();
    expect(one.labels == scored.labels && one.scores == scored.scores, "a runner's segmentation");
    expect(second.get().labels == scored.labels, "a runner's labels");
    expect_thrown<mpscnn::ShapeError>([&] { runner.classify(model.file(), turned).get(); },
                                      "is not a classifier");
    expect_thrown<mpscnn::UnsupportedError>([&] { runner.detect(model.file(), turned).get(); },
                                            "is not a detector");
}

void refuse() {
    const auto graph = sums();
    auto session = graph.compile().session();
    std::vector<float> input(31), output(2);
    expect_thrown<mpscnn::ShapeError>([&] { session.run(input, output); }, "'image'");
    expect_thrown<mpscnn::DeviceError>([&] { (void)graph.compile({.device = "metal"}); }, "cpu");
    expect_thrown<mpscnn::ParameterError>([&] { (void)graph.compile({.device = "abacus"}); }, "abacus");
    expect_thrown<mpscnn::ParameterError>([&] { (void)graph.compile({.device = std::string("cpu\0x", 5)}); },
                                          "'cpu...' has a NUL at position 3");
    expect_thrown<mpscnn::WeightsError>([] { (void)mpscnn::Model::load("no such file"); }, "no such file");
    expect_thrown<mpscnn::Error>([] { (void)mpscnn::Graph::from_json("{"); }, "");
}

} // namespace

int main() {
    static_assert(!std::is_copy_constructible_v<mpscnn::Session>);
    static_assert(std::is_nothrow_move_constructible_v<mpscnn::Program>);
    run();
    run_frames();
    segment();
    refuse();
    if (failures == 0) std::printf("mpscnn %s works\n", mpscnn::version().c_str());
    return failures == 0 ? 0 : 1;
}
