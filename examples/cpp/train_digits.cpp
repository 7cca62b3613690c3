// Trains Deep MNIST on the four IDX files of MNIST, and counts the test images that it classifies correctly.
//
//     train_digits mnist/ [epochs] [threads]
//
// The folder holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
// t10k-labels-idx1-ubyte. The same files and epochs give the same weights with any number of threads.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <mpscnn/mpscnn.hpp>
#include <mpscnn/training.hpp>

namespace {

constexpr std::int64_t side = 28, pixels = side * side, classes = 10, batch_size = 64;

/// Read an IDX file of unsigned bytes with this many axes. One entry of the first axis must have `image`
/// elements.
std::vector<std::uint8_t> read_idx(const std::string &path, int axes, std::int64_t image) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(path + ": cannot open it");
    const auto read_number = [&] {
        std::uint8_t bytes[4] = {};
        file.read(reinterpret_cast<char *>(bytes), sizeof bytes);
        return std::int64_t{bytes[0]} << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
    };
    if (read_number() != 0x800 + axes)
        throw std::runtime_error(path + ": not an IDX file of bytes with " + std::to_string(axes) + " axes");
    const std::int64_t count = read_number();
    std::int64_t elements = 1;
    for (int axis = 1; axis < axes; ++axis) elements *= read_number();
    if (!file || elements != image || count < 1)
        throw std::runtime_error(path + ": expected images of " + std::to_string(image) + " elements, got " +
                                 std::to_string(elements));
    std::vector<std::uint8_t> content;
    constexpr std::int64_t piece = 1 << 20; // so that a false header asks for little memory
    for (std::int64_t left = count * image; left > 0; left -= piece) {
        const std::size_t size = content.size();
        const auto more = static_cast<std::size_t>(std::min(left, piece));
        content.resize(size + more);
        if (!file.read(reinterpret_cast<char *>(content.data() + size), static_cast<std::streamsize>(more)))
            throw std::runtime_error(path + ": the file ends within the images");
    }
    return content;
}

struct Digits {
    std::vector<std::uint8_t> images, labels;
    std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

Digits read_digits(const std::string &folder, const std::string &part) {
    Digits digits{read_idx(folder + "/" + part + "-images-idx3-ubyte", 3, pixels),
                  read_idx(folder + "/" + part + "-labels-idx1-ubyte", 1, 1)};
    if (digits.images.size() != digits.labels.size() * pixels)
        throw std::runtime_error(folder + ": " + part + " has not one label for each image");
    for (const std::uint8_t label : digits.labels)
        if (label >= classes)
            throw std::runtime_error(folder + ": " + part + " has the label " + std::to_string(label));
    return digits;
}

/// The images and labels of a batch, in the form for a trainer.
struct Batch {
    std::vector<float> images, labels;

    void fill(const Digits &digits, const std::int64_t *order, std::int64_t count) {
        images.resize(static_cast<std::size_t>(count * pixels));
        labels.assign(static_cast<std::size_t>(count * classes), 0.0f);
        for (std::int64_t i = 0; i < count; ++i) {
            const std::uint8_t *image = digits.images.data() + order[i] * pixels;
            for (std::int64_t k = 0; k < pixels; ++k)
                images[static_cast<std::size_t>(i * pixels + k)] = static_cast<float>(image[k]) / 255.0f;
            const std::uint8_t label = digits.labels[static_cast<std::size_t>(order[i])];
            labels[static_cast<std::size_t>(i * classes + label)] = 1.0f;
        }
    }
    mpscnn_tensor image_tensor(std::int64_t count) const {
        return mpscnn::tensor(images.data(), mpscnn::Shape{count, side, side, 1});
    }
    mpscnn_tensor label_tensor(std::int64_t count) const {
        return mpscnn::tensor(labels.data(), mpscnn::Shape{count, classes});
    }
};

/// Set random weights and zero biases. The weights have a variance with which the layer's outputs vary as
/// much as its inputs (He et al. 2015).
void initialize(mpscnn::Graph &graph, const std::string &layer, const mpscnn::Shape &shape,
                std::mt19937 &random) {
    const std::int64_t inputs =
        std::accumulate(shape.begin() + 1, shape.end(), std::int64_t{1}, std::multiplies<>());
    const float limit = std::sqrt(6.0f / static_cast<float>(inputs));
    std::vector<float> weights(static_cast<std::size_t>(shape[0] * inputs));
    for (float &weight : weights) // not std::uniform_real_distribution, which differs among libraries
        weight = limit * (2.0f * static_cast<float>(random() >> 8) / static_cast<float>(1 << 24) - 1.0f);
    graph.set_weight(layer, "weight", mpscnn::tensor(weights.data(), shape));
    const std::vector<float> zeros(static_cast<std::size_t>(shape[0]), 0.0f);
    graph.set_weight(layer, "bias", mpscnn::tensor(zeros.data(), mpscnn::Shape{shape[0]}));
}

mpscnn::Graph deep_mnist(std::mt19937 &random) {
    mpscnn::Graph graph = mpscnn::Graph::create("deep_mnist");
    mpscnn::Value x = graph.add_input("image", mpscnn::Shape{-1, side, side, 1});
    namespace layer = mpscnn::layer;
    const layer::Neuron relu{.kind = layer::NeuronKind::relu};
    const layer::Pooling pool{.kernel_height = 2,
                              .kernel_width = 2,
                              .stride_y = 2,
                              .stride_x = 2,
                              .padding = layer::PaddingPolicy::same};
    const auto convolution = [](std::int64_t channels) {
        return layer::Convolution{.output_channels = channels,
                                  .kernel_height = 5,
                                  .kernel_width = 5,
                                  .padding = layer::PaddingPolicy::same};
    };
    x = graph.add(convolution(32), "conv1", x, relu);
    x = graph.add(pool, "pool1", x);
    x = graph.add(convolution(64), "conv2", x, relu);
    x = graph.add(pool, "pool2", x);
    x = graph.add(layer::FullyConnected{.outputs = 1024}, "fc1", x, relu);
    x = graph.add(layer::Dropout{.keep_probability = 0.5}, "dropout", x);
    x = graph.add(layer::FullyConnected{.outputs = classes}, "fc2", x);
    x = graph.add(layer::Softmax{}, "softmax", x);
    graph.mark_output(x);
    initialize(graph, "conv1", {32, 5, 5, 1}, random);
    initialize(graph, "conv2", {64, 5, 5, 32}, random);
    initialize(graph, "fc1", {1024, 7, 7, 64}, random);
    initialize(graph, "fc2", {classes, 1024}, random);
    return graph;
}

std::int64_t count_right(const mpscnn::Graph &network, const Digits &digits, int threads) {
    auto session = network.compile({.device = "cpu"}).session({.threads = threads});
    Batch batch;
    std::vector<float> answers;
    std::vector<std::int64_t> order(static_cast<std::size_t>(batch_size));
    std::int64_t right = 0;
    for (std::int64_t first = 0; first < digits.count(); first += batch_size) {
        const std::int64_t count = std::min(batch_size, digits.count() - first);
        std::iota(order.begin(), order.end(), first);
        batch.fill(digits, order.data(), count);
        answers.resize(static_cast<std::size_t>(count * classes));
        session.run(batch.images, answers);
        for (std::int64_t i = 0; i < count; ++i) {
            const auto best =
                std::max_element(answers.begin() + i * classes, answers.begin() + (i + 1) * classes);
            right +=
                best - (answers.begin() + i * classes) == digits.labels[static_cast<std::size_t>(first + i)];
        }
    }
    return right;
}

void train(const Digits &training, const Digits &test, int epochs, int threads) {
    std::mt19937 random(1); // gives the same numbers on all machines
    const mpscnn::Graph network = deep_mnist(random);
    mpscnn::Trainer trainer(network,
                            R"({"loss": {"kind": "softmax_cross_entropy", "number_of_classes": 10},
                                "optimizer": {"kind": "adam"}, "seed": 1})",
                            "cpu", threads);
    std::vector<std::int64_t> order(static_cast<std::size_t>(training.count()));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    Batch batch;
    for (int epoch = 1; epoch <= epochs; ++epoch) {
        for (std::size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[random() % (i + 1)]);
        double sum = 0;
        for (std::int64_t first = 0; first < training.count(); first += batch_size) {
            const std::int64_t count = std::min(batch_size, training.count() - first);
            batch.fill(training, order.data() + first, count);
            const mpscnn_tensor images = batch.image_tensor(count);
            sum += trainer.step({&images, 1}, batch.label_tensor(count), 1e-3f) * static_cast<double>(count);
        }
        std::printf("epoch %d: loss %.4f\n", epoch, sum / static_cast<double>(training.count()));
    }
    std::printf("%lld of %lld test images are right\n",
                static_cast<long long>(count_right(trainer.network(), test, threads)),
                static_cast<long long>(test.count()));
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2 || argc > 4) {
        std::cerr << "usage: train_digits FOLDER [EPOCHS] [THREADS]\n";
        return 2;
    }
    try {
        const int epochs = argc > 2 ? std::stoi(argv[2]) : 10;
        const int threads = argc > 3 ? std::stoi(argv[3]) : 0;
        const Digits training = read_digits(argv[1], "train"), test = read_digits(argv[1], "t10k");
        train(training, test, epochs, threads);
    } catch (const std::exception &error) {
        std::cerr << "train_digits: " << error.what() << '\n';
        return 1;
    }
}
