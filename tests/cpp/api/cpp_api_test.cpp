// mpscnn.hpp as a program uses it: option structs, typed results, files, and a model that several threads
// share.

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/stat.h>
#include <unistd.h> // mkdtemp on macOS

// check.h uses the internal class mpscnn::Error. It comes before mpscnn.hpp, whose class of the same name
// would make the name ambiguous.
#include "tests/cpp/check.h"

#include "mpscnn/mpscnn.hpp"

namespace {

using mpscnn::Value;
namespace layer = mpscnn::layer;

/// Return the message of the exception of this class that `action` throws. If it throws none, return "" and
/// fail a check.
template <class Expected, class Action> std::string thrown(Action action) {
    try {
        action();
    } catch (const Expected &error) {
        return error.what();
    }
    CHECK(!"nothing was thrown");
    return {};
}

bool holds(const std::string &text, std::string_view part) { return text.find(part) != text.npos; }

/// A network that scores the amounts of red, green and blue: the first class is red.
mpscnn::Graph colors() {
    auto graph = mpscnn::Graph::create("colors");
    const Value image = graph.add_input("image", mpscnn::Shape{-1, 8, 8, 3});
    const Value mean = graph.add(layer::Pooling{.kind = layer::PoolingKind::average,
                                                .kernel_height = 8,
                                                .kernel_width = 8,
                                                .padding = layer::PaddingPolicy::valid},
                                 "mean", image);
    const Value dense = graph.add(layer::FullyConnected{.outputs = 3}, "dense", mean,
                                  layer::Neuron{.kind = layer::NeuronKind::linear, .a = 4.0, .b = 0.5});
    graph.mark_output(graph.add(layer::Softmax{}, "softmax", {dense}));
    std::vector<float> weight(9, 0.0f);
    for (std::size_t i = 0; i < 9; i += 4) weight[i] = 1.0f;
    graph.set_weight("dense", "weight", mpscnn::tensor(weight.data(), mpscnn::Shape{3, 1, 1, 3}));
    return graph;
}

/// A temporary folder that the destructor removes.
struct Folder {
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "mpscnn_cpp_api_XXXXXX").string();
        path = mkdtemp(name.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string file(const std::string &name) const { return (path / name).string(); }
    std::size_t files() const {
        std::size_t count = 0;
        for ([[maybe_unused]] const auto &entry : std::filesystem::directory_iterator(path)) ++count;
        return count;
    }

    std::filesystem::path path;
};

const mpscnn::SaveOptions described{.labels = {"red", "green \"leaf\"", "blue"},
                                    .preprocess = R"("unit")",
                                    .information = {{"license", "MIT"}}};

std::vector<std::uint8_t> photo(int color) {
    std::vector<std::uint8_t> pixels(std::size_t{3} * 10 * 10, 0);
    for (std::size_t i = 0; i < 100; ++i) pixels[3 * i + static_cast<std::size_t>(color)] = 255;
    return pixels;
}

} // namespace

TEST(layers_are_made_of_structs_and_listed_as_structs) {
    const mpscnn::Graph graph = colors();
    const std::vector<mpscnn::Layer> layers = graph.layers();
    CHECK(layers.size() == 3);
    CHECK(layers[0].name == "mean" && layers[0].operation == "pooling");
    CHECK(layers[0].output == mpscnn::Shape({1, 1, 1, 3}));
    CHECK(layers[1].parameters == 9 && layers[1].macs == 9);
    const std::string json = graph.to_json();
    CHECK(holds(json, R"("kind":"average")") && holds(json, R"("a":4)") && holds(json, R"("b":0.5)"));
    const std::vector<mpscnn::WeightInfo> weights = graph.weights();
    CHECK(weights.size() == 2 && weights[0].layer == "dense" && weights[0].role == "weight");
    CHECK(weights[0].set && weights[0].required && weights[0].dtype == "float32");
    CHECK(!weights[1].set && weights[1].dtype.empty());
    CHECK(weights[0].shape == mpscnn::Shape({3, 1, 1, 3}));
}

TEST(a_refused_struct_is_named) {
    auto graph = mpscnn::Graph::create("wrong");
    const Value image = graph.add_input("image", mpscnn::Shape{-1, 8, 8, 3});
    CHECK(holds(
        thrown<mpscnn::ParameterError>([&] { graph.add(layer::Pooling{.stride_y = 0}, "pool", image); }),
        "stride"));
    CHECK(holds(thrown<mpscnn::ParameterError>([&] {
                    graph.add(layer::Neuron{.a = std::numeric_limits<double>::infinity()}, "neuron", image);
                }),
                "finite"));
    CHECK(holds(thrown<mpscnn::ParameterError>([&] {
                    graph.add(layer::Neuron{.kind = static_cast<layer::NeuronKind>(99)}, "neuron", image);
                }),
                "99"));
}

TEST(devices_are_structs) {
    bool found = false;
    for (const mpscnn::Device &device : mpscnn::devices()) {
        found = found || (device.name == "cpu" && device.available && !device.precisions.empty());
        CHECK(device.available == device.reason.empty());
    }
    CHECK(found);
}

TEST(kernels_are_made_of_structs) {
    const mpscnn::Kernel plain("PoolingMax", R"({"kernel_width": 3, "stride_x": 2, "edge_mode": "clamp"})");
    const mpscnn::Kernel typed(mpscnn::kernel::PoolingMax{
        .kernel_width = 3, .stride_x = 2, .edge_mode = mpscnn::kernel::EdgeMode::clamp});
    CHECK(plain.properties() == typed.properties());
    // If no neuron is given, the kernel keeps the neuron of its class.
    CHECK(mpscnn::Kernel(mpscnn::kernel::NeuronReLU{}).properties() ==
          mpscnn::Kernel("NeuronReLU").properties());
    CHECK(mpscnn::Kernel(mpscnn::kernel::NeuronTanH{}).properties() ==
          mpscnn::Kernel(
              mpscnn::kernel::NeuronTanH{.neuron_descriptor =
                                             mpscnn::kernel::NeuronDescriptor{
                                                 .neuron_type = layer::NeuronKind::tanh, .a = 1.0, .b = 1.0}})
              .properties());
    const mpscnn::Kernel leaky(mpscnn::kernel::NeuronReLU{
        .neuron_descriptor =
            mpscnn::kernel::NeuronDescriptor{.neuron_type = layer::NeuronKind::relu, .a = 0.25}});
    CHECK(leaky.weights().empty());
    const mpscnn::Kernel convolution(mpscnn::kernel::Convolution{
        .kernel_width = 3, .kernel_height = 3, .input_feature_channels = 2, .output_feature_channels = 4});
    CHECK(convolution.weights().at(0).role == "weights" &&
          convolution.weights().at(0).shape == mpscnn::Shape({4, 3, 3, 2}));
    CHECK(holds(thrown<mpscnn::ParameterError>([] {
                    mpscnn::Kernel(mpscnn::kernel::NeuronReLU{
                        .neuron_descriptor =
                            mpscnn::kernel::NeuronDescriptor{.neuron_type = layer::NeuronKind::sigmoid}});
                }),
                "neuron_type must be relu"));
    const mpscnn::Kernel scale("ImageLanczosScale", R"({"scale_transform": [2, 0.5, -1.25, 0]})");
    const mpscnn::Kernel typed_scale(
        mpscnn::kernel::ImageLanczosScale{.scale_transform = {{2.0, 0.5, -1.25, 0.0}}});
    CHECK(scale.properties() == typed_scale.properties());
    CHECK(mpscnn::Kernel(mpscnn::kernel::ImageBilinearScale{}).properties() ==
          mpscnn::Kernel("ImageBilinearScale").properties());
    const mpscnn::Kernel conversion(
        mpscnn::kernel::ImageConversion{.source_alpha = mpscnn::kernel::AlphaType::premultiplied,
                                        .background_color = {1.0, 0.5, 0.0},
                                        .source_color_space = mpscnn::kernel::ColorSpace::srgb,
                                        .destination_color_space = mpscnn::kernel::ColorSpace::linear_gray});
    CHECK(holds(conversion.properties(), "\"linear_gray\""));
}

TEST(a_saved_network_is_loaded_with_what_it_says) {
    const Folder folder;
    const std::string path = folder.file("colors.safetensors");
    colors().save(path, described);
    const auto model = mpscnn::Model::load(path, {.device = "cpu"});
    CHECK(model.name() == "colors");
    CHECK(model.labels() == described.labels);
    CHECK(model.file().information() == described.information);
    CHECK(model.layers().size() == 3);
    model.save(folder.file("again.safetensors"));
    const auto again = mpscnn::ModelFile::load(folder.file("again.safetensors"));
    CHECK(again.content() == model.file().content());
    CHECK(folder.files() == 2); // no temporary file is left
}

TEST(a_saved_network_takes_the_place_of_what_a_link_names) {
    const Folder folder;
    const std::string path = folder.file("colors.safetensors"), link = folder.file("link.safetensors");
    colors().save(path);
    std::filesystem::create_symlink("colors.safetensors", link);
    colors().save(link, described);
    CHECK(std::filesystem::is_symlink(link));
    CHECK(mpscnn::Model::load(path, {.device = "cpu"}).labels() == described.labels);
    const std::string pipe = folder.file("pipe.safetensors");
    CHECK(mkfifo(pipe.c_str(), 0600) == 0);
    CHECK(holds(thrown<mpscnn::WeightsError>([&] { colors().save(pipe); }), "not a regular file"));
    CHECK(std::filesystem::is_fifo(pipe));
}

TEST(a_file_that_could_not_be_loaded_is_not_written) {
    const Folder folder;
    const std::string path = folder.file("colors.safetensors");
    colors().save(path, described);
    const std::string before = mpscnn::ModelFile::load(path).content();
    const std::string refused = thrown<mpscnn::WeightsError>([&] {
        colors().save(path, {.labels = {"one", "two"}});
    });
    CHECK(holds(refused, "model for " + path) && holds(refused, "2 labels") && !holds(refused, ".part"));
    CHECK(mpscnn::ModelFile::load(path).content() == before);
    auto empty = mpscnn::Graph::create("empty");
    empty.mark_output(empty.add(layer::FullyConnected{.outputs = 2}, "dense",
                                empty.add_input("image", mpscnn::Shape{-1, 2, 2, 1})));
    CHECK(holds(thrown<mpscnn::WeightsError>([&] { empty.save(path); }), "'dense'"));
    CHECK(holds(thrown<mpscnn::WeightsError>([&] { colors().save(folder.file("no/where.safetensors")); }),
                "cannot be written"));
    CHECK(folder.files() == 1);
}

TEST(winograd_is_an_option_of_programs_and_models) {
    const Folder folder;
    const std::string path = folder.file("colors.safetensors");
    colors().save(path, described);
    for (const bool winograd : {true, false}) {
        const std::string stated = winograd ? R"("winograd":true)" : R"("winograd":false)";
        CHECK(holds(colors().compile({.device = "cpu", .winograd = winograd}).describe(), stated));
        const auto model = mpscnn::Model::load(path, {.device = "cpu", .winograd = winograd});
        CHECK(holds(model.program().describe(), stated));
    }
}

TEST(threads_share_a_model) {
    const Folder folder;
    const std::string path = folder.file("colors.safetensors");
    colors().save(path, described);
    const auto model = mpscnn::Model::load(path, {.device = "cpu"}, {.threads = 1});
    std::vector<std::thread> threads;
    for (int color = 0; color < 3; ++color)
        threads.emplace_back([&, color] {
            const std::vector<std::uint8_t> pixels = photo(color);
            for (int round = 0; round < 20; ++round) {
                const auto result = model.classify(mpscnn::ImageView::rgb8(pixels.data(), 10, 10), 1);
                CHECK(result[0].index == color);
            }
        });
    for (std::thread &thread : threads) thread.join();
    std::vector<float> input(192, 1.0f), output(3);
    model.with_session([&](mpscnn::Session &session) { session.run(input, output); });
    CHECK(output[0] == output[2]);
    CHECK(holds(thrown<mpscnn::UnsupportedError>(
                    [&] { model.detect(mpscnn::ImageView::rgb8(photo(0).data(), 10, 10)); }),
                "detector"));
}

TEST(a_model_states_what_its_scores_are) {
    const Folder folder;
    const std::string path = folder.file("colors.safetensors");
    mpscnn::SaveOptions options = described;
    options.scores = "sigmoid";
    colors().save(path, options);
    auto file = mpscnn::ModelFile::load(path);
    CHECK(file.graph().scores() == "softmax");
    mpscnn::Session session = file.graph().compile({.device = "cpu"}).session();
    const std::vector<std::uint8_t> pixels = photo(1);
    const auto photo = mpscnn::ImageView::rgb8(pixels.data(), 10, 10);
    CHECK(file.classify(session, photo).scores() == "sigmoid");
    file.set_scores("as is");
    CHECK(file.classify(session, photo).scores() == "as is");
    CHECK(holds(thrown<mpscnn::ParameterError>([&] { file.set_scores("logits"); }), "scores must be"));
    CHECK(mpscnn::Model(std::move(file), {.device = "cpu"}).classify(photo).scores() == "as is");
}

TEST(json_texts_are_read_through_the_interface) {
    const mpscnn::detail::JsonDocument document(R"({"numbers": [1, -2], "text": "a\u0000b", "none": null})");
    CHECK(document.root()["numbers"].integers() == std::vector<std::int64_t>({1, -2}));
    CHECK(document.root()["text"].string() == std::string("a\0b", 3));
    CHECK(document.root()["none"].is_null() && !document.root().has("some"));
    CHECK(holds(thrown<mpscnn::ParameterError>([&] { document.root()["some"]; }), "some"));
    CHECK(holds(thrown<mpscnn::ParameterError>([&] { document.root()["text"].integers(); }), "a string"));
    const mpscnn_json_value *element = nullptr;
    mpscnn_json *json = nullptr;
    CHECK(mpscnn_json_parse("[2.5]", 5, &json) == MPSCNN_OK);
    const mpscnn_json_value *root = nullptr;
    CHECK(mpscnn_json_root(json, &root) == MPSCNN_OK);
    CHECK(mpscnn_json_element(root, 1, nullptr, &element) == MPSCNN_ERROR_PARAMETER);
    CHECK(mpscnn_json_element(root, 0, nullptr, &element) == MPSCNN_OK);
    double number = 0;
    std::int64_t integer = 0;
    CHECK(mpscnn_json_number(element, &number) == MPSCNN_OK && number == 2.5);
    CHECK(mpscnn_json_integer(element, &integer) == MPSCNN_ERROR_PARAMETER);
    CHECK(mpscnn_json_kind_of(nullptr, nullptr) == MPSCNN_ERROR_PARAMETER);
    mpscnn_json_release(json);
}
