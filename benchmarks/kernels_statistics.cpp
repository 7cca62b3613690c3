// Passes of a training step of MobileNetV2 on one thread: each convolution and the statistics of its batch
// normalization, and each data gradient and the sums of the normalization before it. "Whole" computes a layer
// and then its sums, as the engine does. "Bands" computes some rows or images and then their sums, which are
// in L2 then. Parts of the image's sums are the engine's, and moments must have the same bits both ways.
//
//     kernels_statistics [SIDE [BATCH [KILOBYTES OF A BAND [ROUNDS]]]]
//
// Times are of the processor, minima of all rounds. All tensors are in memory at the same time, as in a step.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

#include "core/aligned_buffer.h"
#include "cpu/isa/kernels.h"
#include "cpu/plan/caches.h"
#include "cpu/plan/plan_memory.h"

using namespace mpscnn;
using namespace mpscnn::cpu;

namespace {

const KernelTable &table = kernels();
PlanMemory plans;
WeightMemory weight_memory(0);
AlignedBuffer<std::byte> scratch(std::size_t{64} << 20);

double processor_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

class Tensor {
public:
    Tensor(std::int64_t images, std::int64_t height, std::int64_t width, std::int64_t channels)
        : images(images), height(height), width(width), channels(channels),
          floats_(static_cast<std::size_t>(images * height * width * channels + 16)) {
        for (std::size_t i = 0; i < floats_.size(); ++i)
            floats_.data()[i] = static_cast<float>(i * 2654435761u % 1000) * 0.001f - 0.5f;
    }
    View rows(std::int64_t image, std::int64_t count, std::int64_t begin, std::int64_t end) {
        View view{.data = floats_.data() + (image * height + begin) * width * channels,
                  .batch = count,
                  .height = end - begin,
                  .width = width,
                  .channels = channels};
        view.row_stride = width * channels;
        view.image_stride = height * view.row_stride;
        view.pixel_stride = view.writable_channels = channels;
        return view;
    }
    View all() { return rows(0, images, 0, height); }
    std::int64_t bytes_of_image() const { return height * width * channels * 4; }
    bool equals(const Tensor &other) const {
        return std::memcmp(floats_.data(), other.floats_.data(), 4 * floats_.size()) == 0;
    }
    std::int64_t images, height, width, channels;

private:
    AlignedBuffer<float> floats_;
};

template <class TaskType> struct Ready {
    TaskType task;
    Prepared prepared;
    std::int64_t begin, end;

    explicit Ready(const TaskType &task)
        : task(task), prepared(prepare(table.kernel(task), task, Planning{1, machine_caches(), &plans})),
          begin(0), end(prepared.items) {
        if (prepared.scratch_bytes > scratch.size()) std::abort();
    }
    void run() const {
        Worker worker{.scratch = scratch.data()};
        table.kernel(task).run(task, prepared, begin, end, worker);
    }
};

/// Some rows of some images: a convolution (or parts of a data gradient), and the sums that follow.
template <class Sums> struct Piece {
    std::vector<Ready<ConvolutionTask>> convolutions;
    std::vector<Ready<Sums>> sums;
};
struct Rows {
    std::int64_t image, images, begin, end;
};

struct Layer {
    bool depthwise;
    std::int64_t size, inputs, outputs, stride; ///< size of the input
};

PackedConvolution packed(const Layer &layer, bool is_gradient, std::int64_t rows, std::int64_t columns) {
    ConvolutionShape shape;
    shape.outputs = is_gradient ? layer.inputs : layer.outputs;
    shape.inputs_per_group = layer.depthwise ? 1 : is_gradient ? layer.outputs : layer.inputs;
    shape.groups = layer.depthwise ? layer.outputs : 1;
    shape.kernel_height = rows, shape.kernel_width = columns;
    shape.algorithm = layer.depthwise ? Algorithm::depthwise : Algorithm::gemm;
    const std::vector<float> weights(static_cast<std::size_t>(shape.outputs * shape.weights_per_output()),
                                     0.01f);
    return table.pack_convolution(weight_memory, weights.data(), nullptr, shape);
}

/// Cut a tensor into pieces of about this many bytes: whole images, or an even number of rows of one image.
std::vector<Rows> cut(const Tensor &tensor, std::int64_t bytes) {
    std::vector<Rows> pieces;
    const std::int64_t group = std::max<std::int64_t>(1, bytes / tensor.bytes_of_image()),
                       bands = (tensor.bytes_of_image() + bytes - 1) / bytes;
    for (std::int64_t image = 0; image < tensor.images; image += group)
        for (std::int64_t band = 0, begin = 0; band < bands; ++band) {
            const std::int64_t end =
                band + 1 == bands ? tensor.height : tensor.height * (band + 1) / bands / 2 * 2;
            if (begin < end) pieces.push_back({image, std::min(group, tensor.images - image), begin, end});
            begin = end;
        }
    return pieces;
}

class Passes {
public:
    Passes(const Layer &layer, std::int64_t batch, std::int64_t band_bytes)
        : layer_(layer), forward_(packed(layer, false, kernel(), kernel())),
          input_(batch, layer.size, layer.size, layer.inputs),
          output_(batch, layer.size / layer.stride, layer.size / layer.stride, layer.outputs),
          output_gradient_(output_.images, output_.height, output_.width, output_.channels),
          input_gradient_(batch, layer.size, layer.size, layer.inputs),
          moments_{{batch, parts(), moments_rows, layer.outputs},
                   {batch, parts(), moments_rows, layer.outputs}},
          statistics_(1, statistics_rows, 1, layer.inputs), whole_sums_(batch, 2, 1, layer.inputs) {
        const int phases = layer.depthwise ? static_cast<int>(layer.stride) : 1;
        for (int y = 0; y < phases; ++y)
            for (int x = 0; x < phases; ++x) backward_.push_back(packed(layer, true, taps(y), taps(x)));
        whole.push_back({{Ready(convolution({0, batch, 0, output_.height}))}, {Ready(moments(0, 0, batch))}});
        std::int64_t done = 0;
        for (const Rows &rows : cut(output_, band_bytes)) {
            if (rows.begin == 0) done = 0;
            Ready<MomentsTask> sums(moments(1, rows.image, rows.images));
            if (rows.images == 1) { // the parts whose rows are complete
                sums.begin = done;
                const std::int64_t pixels = output_.height * output_.width;
                while (done < parts() && pixels * (done + 1) / parts() <= rows.end * output_.width) ++done;
                sums.end = done;
            }
            bands.push_back({{Ready(convolution(rows))}, {sums}});
        }
        whole_back.push_back(gradient({0, batch, 0, input_.height}, whole_sums_, 0));
        const std::vector<Rows> pieces = cut(input_gradient_, band_bytes);
        std::int64_t count = 0;
        for (const Rows &rows : pieces) count += rows.images;
        band_sums_ = std::make_unique<Tensor>(count, 2, 1, layer.inputs);
        count = 0;
        for (const Rows &rows : pieces) {
            band_back.push_back(gradient(rows, *band_sums_, count));
            count += rows.images;
        }
    }
    bool has_equal_moments() const { return moments_[0].equals(moments_[1]); }

    std::vector<Piece<MomentsTask>> whole, bands;
    std::vector<Piece<NormalizationSumsTask>> whole_back, band_back;

private:
    std::int64_t kernel() const { return layer_.depthwise ? 3 : 1; }
    std::int64_t taps(int phase) const {
        return !layer_.depthwise ? 1 : layer_.stride == 1 ? 3 : phase == 0 ? 2 : 1;
    }
    /// Return the number of parts of an image, as cpu/plan/operations/normalization.cpp does.
    std::int64_t parts() const {
        const std::int64_t pixels = output_.height * output_.width;
        return std::clamp<std::int64_t>(pixels * layer_.outputs >> 15, 1,
                                        std::min<std::int64_t>(256, pixels));
    }
    MomentsTask moments(int way, std::int64_t image, std::int64_t images) {
        return {.source = output_.rows(image, images, 0, output_.height),
                .destination = moments_[way].rows(image, images, 0, parts())};
    }
    /// Let a task read the rows of its windows: from `first` to `end`, where rows outside the tensor are
    /// zeros.
    static void read(ConvolutionTask &task, Tensor &from, const Rows &rows, std::int64_t first,
                     std::int64_t end) {
        task.vertical.before = std::max<std::int64_t>(0, -first);
        task.source =
            from.rows(rows.image, rows.images, std::max<std::int64_t>(0, first), std::min(end, from.height));
    }
    ConvolutionTask convolution(const Rows &rows) {
        const std::int64_t before = layer_.depthwise && layer_.stride == 1 ? 1 : 0;
        ConvolutionTask task;
        task.packed = &forward_;
        task.vertical = task.horizontal = {kernel(), layer_.stride, 1, before};
        task.destination = output_.rows(rows.image, rows.images, rows.begin, rows.end);
        read(task, input_, rows, rows.begin * layer_.stride - before,
             (rows.end - 1) * layer_.stride - before + kernel());
        return task;
    }
    Piece<NormalizationSumsTask> gradient(const Rows &rows, Tensor &sums, std::int64_t place) {
        Piece<NormalizationSumsTask> piece;
        const std::int64_t phases = layer_.depthwise ? layer_.stride : 1;
        for (std::int64_t y = 0; y < phases; ++y)
            for (std::int64_t x = 0; x < phases; ++x) {
                ConvolutionTask task;
                task.packed = &backward_[static_cast<std::size_t>(y * phases + x)];
                const std::int64_t height = task.packed->kernel_height, width = task.packed->kernel_width;
                task.vertical = {height, 1, 1, 0}, task.horizontal = {width, 1, 1, width / 2};
                View to = input_gradient_.rows(rows.image, rows.images, rows.begin + y, rows.end);
                to.data += x * to.pixel_stride;
                to.row_stride *= phases, to.pixel_stride *= phases;
                to.height = (rows.end - rows.begin) / phases, to.width /= phases;
                task.destination = to;
                const std::int64_t first = rows.begin / phases - height / 2;
                read(task, output_gradient_, rows, first, first + to.height - 1 + height);
                piece.convolutions.emplace_back(task);
            }
        NormalizationSumsTask task;
        task.source = input_.rows(rows.image, rows.images, rows.begin, rows.end);
        task.gradient = input_gradient_.rows(rows.image, rows.images, rows.begin, rows.end);
        task.statistics = statistics_.all();
        task.destination = sums.rows(place, rows.images, 0, 2);
        task.epsilon = 1.0f;
        task.mask.applies = true;
        task.mask.low = 0.0f, task.mask.high = 6.0f;
        piece.sums.emplace_back(task);
        return piece;
    }

    Layer layer_;
    PackedConvolution forward_;
    Tensor input_, output_, output_gradient_, input_gradient_, moments_[2], statistics_, whole_sums_;
    std::unique_ptr<Tensor> band_sums_;
    std::vector<PackedConvolution> backward_;
};

std::vector<Layer> layers_of(std::int64_t side) {
    struct Block {
        std::int64_t expansion, outputs, count, stride;
    };
    constexpr Block blocks[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    std::vector<Layer> layers;
    std::int64_t size = side / 2, inputs = 32;
    for (const Block &block : blocks)
        for (std::int64_t i = 0; i < block.count; ++i) {
            const std::int64_t stride = i == 0 ? block.stride : 1, wide = inputs * block.expansion;
            if (block.expansion > 1) layers.push_back({false, size, inputs, wide, 1});
            layers.push_back({true, size, wide, wide, stride});
            size /= stride;
            layers.push_back({false, size, wide, block.outputs, 1});
            inputs = block.outputs;
        }
    layers.push_back({false, size, inputs, 1280, 1});
    return layers;
}

/// The seconds of convolutions and of sums.
struct Seconds {
    double convolutions = 0, sums = 0;
    double total() const { return convolutions + sums; }
};

template <class Sums> void run(const std::vector<Piece<Sums>> &pieces, Seconds &seconds) {
    for (const Piece<Sums> &piece : pieces) {
        const double begin = processor_seconds();
        for (const auto &task : piece.convolutions) task.run();
        const double middle = processor_seconds();
        for (const auto &task : piece.sums) task.run();
        seconds.convolutions += middle - begin;
        seconds.sums += processor_seconds() - middle;
    }
}

} // namespace

int main(int count, char **arguments) {
    const auto number = [&](int place, std::int64_t otherwise) {
        return place < count ? std::atoll(arguments[place]) : otherwise;
    };
    const std::int64_t side = number(1, 96), batch = number(2, 32), bytes = number(3, 512) << 10,
                       rounds = number(4, 12);
    std::vector<std::unique_ptr<Passes>> layers;
    for (const Layer &layer : layers_of(side))
        layers.push_back(std::make_unique<Passes>(layer, batch, bytes));
    constexpr const char *names[] = {"forward, whole", "forward, bands", "backward, whole",
                                     "backward, bands"};
    Seconds best[4];
    for (std::int64_t round = 0; round < rounds; ++round) {
        Seconds own[4];
        for (const auto &layer : layers) run(layer->whole, own[0]);
        for (const auto &layer : layers) run(layer->bands, own[1]);
        for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) run((*layer)->whole_back, own[2]);
        for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) run((*layer)->band_back, own[3]);
        for (int i = 0; i < 4; ++i)
            if (round == 0 || own[i].total() < best[i].total()) best[i] = own[i];
    }
    for (const auto &layer : layers)
        if (!layer->has_equal_moments()) return std::puts("moments differ"), 1;
    std::printf("%s, %lld x %lld, batch %lld, bands of %lld KB\n\n| passes | ms | convolutions | sums |\n"
                "|---|---|---|---|\n",
                table.name, static_cast<long long>(side), static_cast<long long>(side),
                static_cast<long long>(batch), static_cast<long long>(bytes >> 10));
    for (int i = 0; i < 4; ++i)
        std::printf("| %s | %.1f | %.1f | %.1f |\n", names[i], 1e3 * best[i].total(),
                    1e3 * best[i].convolutions, 1e3 * best[i].sums);
}
