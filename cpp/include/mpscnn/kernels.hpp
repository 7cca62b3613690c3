/// Raw kernels for C++20: owning classes and exceptions over mpscnn/kernels.h. Part of mpscnn.hpp, which
/// includes this file.
///
///     mpscnn::CommandQueue queue({.device = "cpu"});
///     mpscnn::Kernel pool(mpscnn::kernel::PoolingMax{.kernel_width = 2, .kernel_height = 2});
///     auto commands = queue.command_buffer();
///     mpscnn::Image result = pool.encode(commands, source);
///     commands.commit();
///     commands.wait();
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernel_options.hpp"
#include "network.hpp"

namespace mpscnn {
inline namespace api {

struct QueueOptions {
    std::string device = "auto";
    int threads = 0; ///< threads of the CPU device, as in mpscnn_session_options
};

struct ImageDescriptor {
    std::int64_t width = 1, height = 1, feature_channels = 1, number_of_images = 1;
    mpscnn_channel_format format = MPSCNN_CHANNEL_FLOAT32;
};

class CommandBuffer;

/// An image of feature channels, or a temporary one for one command buffer.
class Image {
public:
    explicit Image(mpscnn_feature_image *handle) : handle_(handle) {}
    explicit Image(const ImageDescriptor &descriptor) {
        const mpscnn_image_descriptor raw = raw_descriptor(descriptor);
        mpscnn_feature_image *handle = nullptr;
        detail::ensure(mpscnn_feature_image_create(&raw, &handle));
        handle_.reset(handle);
    }
    static Image temporary(const CommandBuffer &commands, const ImageDescriptor &descriptor);

    ImageDescriptor descriptor() const {
        mpscnn_image_descriptor raw{};
        raw.size = sizeof raw;
        detail::ensure(mpscnn_feature_image_descriptor(get(), &raw));
        return from_raw(raw);
    }
    /// Return the region of all pixels and channels.
    mpscnn_image_region whole() const {
        const ImageDescriptor size = descriptor();
        return {0, 0, 0, 0, size.number_of_images, size.height, size.width, size.feature_channels};
    }
    void set_label(const std::string &label) {
        detail::ensure(mpscnn_feature_image_set_label(get(), detail::c_string(label)));
    }

    std::int64_t read_count() const {
        std::int64_t count = 0;
        detail::ensure(mpscnn_feature_image_read_count(get(), &count));
        return count;
    }
    void set_read_count(std::int64_t count) {
        detail::ensure(mpscnn_feature_image_set_read_count(get(), count));
    }

    /// Read a region; `data.size` is set here.
    void read(const mpscnn_image_region &region, mpscnn_image_data data) const {
        data.size = sizeof data;
        detail::ensure(mpscnn_feature_image_read(get(), &region, &data));
    }
    void write(const mpscnn_image_region &region, mpscnn_image_data data) {
        data.size = sizeof data;
        detail::ensure(mpscnn_feature_image_write(get(), &region, &data));
    }

    struct Memory {
        void *data;
        std::array<std::int64_t, 4> strides; ///< in bytes: images, rows, columns, channels
    };
    /// Return the image's own memory; see mpscnn_feature_image_memory.
    Memory memory() const {
        Memory memory{};
        detail::ensure(mpscnn_feature_image_memory(get(), &memory.data, memory.strides.data()));
        return memory;
    }

    mpscnn_feature_image *get() const noexcept { return handle_.get(); }

    static mpscnn_image_descriptor raw_descriptor(const ImageDescriptor &descriptor) {
        mpscnn_image_descriptor raw{};
        raw.size = sizeof raw;
        raw.width = descriptor.width;
        raw.height = descriptor.height;
        raw.feature_channels = descriptor.feature_channels;
        raw.number_of_images = descriptor.number_of_images;
        raw.format = descriptor.format;
        return raw;
    }
    static ImageDescriptor from_raw(const mpscnn_image_descriptor &raw) {
        return {raw.width, raw.height, raw.feature_channels, raw.number_of_images,
                static_cast<mpscnn_channel_format>(raw.format)};
    }

private:
    detail::Handle<mpscnn_feature_image, mpscnn_feature_image_release> handle_;
};

namespace detail {

/// Call function(handles, count) with the handles of `images`.
template <class Function> void with_handles(std::span<const Image *const> images, Function function) {
    std::vector<mpscnn_feature_image *> handles;
    for (const Image *image : images) handles.push_back(image->get());
    function(handles.data(), count(handles.size()));
}

} // namespace detail

/// Work for a queue. One thread encodes; any thread may read the status and wait.
class CommandBuffer {
public:
    explicit CommandBuffer(mpscnn_command_buffer *handle) : handle_(handle) {}

    mpscnn_command_status status() const {
        mpscnn_command_status status{};
        detail::ensure(mpscnn_command_buffer_status(get(), &status));
        return status;
    }
    struct Failure {
        int code; ///< 0: no error
        std::string message;
    };
    Failure error() const {
        Failure failure{};
        mpscnn_text *raw = nullptr;
        detail::ensure(mpscnn_command_buffer_error(get(), &failure.code, &raw));
        const detail::Handle<mpscnn_text, mpscnn_text_release> text(raw);
        failure.message = mpscnn_text_data(text.get());
        return failure;
    }
    void enqueue() { detail::ensure(mpscnn_command_buffer_enqueue(get())); }
    void commit() { detail::ensure(mpscnn_command_buffer_commit(get())); }
    /// Wait until the work is done. Throws its error.
    void wait() { detail::ensure(mpscnn_command_buffer_wait(get())); }

    /// `handler` must not throw.
    void add_completed_handler(std::function<void()> handler) {
        auto owned = std::make_unique<std::function<void()>>(std::move(handler));
        detail::ensure(mpscnn_command_buffer_add_completed_handler(
            get(), [](void *context) { (*static_cast<std::function<void()> *>(context))(); }, owned.get(),
            [](void *context) { delete static_cast<std::function<void()> *>(context); }));
        static_cast<void>(owned.release());
    }

    /// Encode a whole network between kernels.
    void encode(Session &session, std::span<const Image *const> inputs,
                std::span<const Image *const> outputs) {
        detail::with_handles(inputs, [&](auto *sources, int source_count) {
            detail::with_handles(outputs, [&](auto *results, int result_count) {
                detail::ensure(mpscnn_command_buffer_encode_session(get(), session.get(), sources,
                                                                    source_count, results, result_count));
            });
        });
    }

    mpscnn_command_buffer *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<mpscnn_command_buffer, mpscnn_command_buffer_release> handle_;
};

inline Image Image::temporary(const CommandBuffer &commands, const ImageDescriptor &descriptor) {
    const mpscnn_image_descriptor raw = raw_descriptor(descriptor);
    mpscnn_feature_image *handle = nullptr;
    detail::ensure(mpscnn_feature_image_create_temporary(commands.get(), &raw, &handle));
    return Image(handle);
}

/// Runs command buffers one after another.
class CommandQueue {
public:
    explicit CommandQueue(const QueueOptions &options = {}) {
        mpscnn_queue_options raw{};
        raw.size = sizeof raw;
        raw.device = detail::c_string(options.device);
        raw.threads = options.threads;
        mpscnn_queue *handle = nullptr;
        detail::ensure(mpscnn_queue_create(&raw, &handle));
        handle_.reset(handle);
    }

    std::string device() const {
        const char *name = nullptr;
        detail::ensure(mpscnn_queue_device(get(), &name));
        return name;
    }
    CommandBuffer command_buffer() {
        mpscnn_command_buffer *handle = nullptr;
        detail::ensure(mpscnn_command_buffer_create(get(), &handle));
        return CommandBuffer(handle);
    }
    /// Wait until every committed buffer is completed.
    void wait() { detail::ensure(mpscnn_queue_wait(get())); }

    mpscnn_queue *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<mpscnn_queue, mpscnn_queue_release> handle_;
};

/// Statistics of batches: BatchNormalizationStatistics writes them, BatchNormalization uses them. Only one
/// thread at a time may use it.
class BatchNormalizationState {
public:
    explicit BatchNormalizationState(std::int64_t feature_channels) {
        mpscnn_batch_normalization_state *handle = nullptr;
        detail::ensure(mpscnn_batch_normalization_state_create(feature_channels, &handle));
        handle_.reset(handle);
    }

    std::int64_t feature_channels() const {
        std::int64_t channels = 0;
        detail::ensure(mpscnn_batch_normalization_state_feature_channels(get(), &channels));
        return channels;
    }
    /// Start new statistics for later encodes.
    void reset() { detail::ensure(mpscnn_batch_normalization_state_reset(get())); }

    struct Statistics {
        std::vector<float> mean, variance;
    };
    Statistics read() const {
        const auto channels = static_cast<std::size_t>(feature_channels());
        Statistics result{std::vector<float>(channels), std::vector<float>(channels)};
        detail::ensure(
            mpscnn_batch_normalization_state_read(get(), result.mean.data(), result.variance.data()));
        return result;
    }

    mpscnn_batch_normalization_state *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<mpscnn_batch_normalization_state, mpscnn_batch_normalization_state_release> handle_;
};

/// Return the kernels as JSON; see mpscnn_kernels.
inline std::string kernels() { return detail::text_of(mpscnn_kernels); }

/// A raw kernel of one of Apple's classes. Only one thread at a time may use it.
class Kernel {
public:
    explicit Kernel(const std::string &name, const std::string &properties = {}) {
        mpscnn_kernel *handle = nullptr;
        detail::ensure(mpscnn_kernel_create(detail::c_string(name), detail::or_null(properties), &handle));
        handle_.reset(handle);
    }

    /// Make a kernel with the properties of a struct of kernel_options.hpp.
    template <detail::HasFields Options>
    explicit Kernel(const Options &options) : Kernel(Options::kernel_class, detail::json_object(options)) {}

    /// Set properties from a JSON object.
    void set(const std::string &properties) {
        detail::ensure(mpscnn_kernel_set(get(), detail::c_string(properties)));
    }
    std::string properties() const { return detail::text_of(mpscnn_kernel_get, get()); }
    /// Return all weights, also those that are not set.
    std::vector<WeightInfo> weights() const { return detail::weights_of(weights_json()); }
    /// Return the weights as JSON; see mpscnn_kernel_weights.
    std::string weights_json() const { return detail::text_of(mpscnn_kernel_weights, get()); }
    void set_weight(const std::string &role, const mpscnn_tensor &tensor,
                    const Quantization &quantization = {}) {
        if (quantization.scales.size() != quantization.zero_points.size())
            throw ParameterError(role + ": scales and zero points differ in number");
        detail::ensure(mpscnn_kernel_set_weight(get(), detail::c_string(role), &tensor,
                                                quantization.scales.data(), quantization.zero_points.data(),
                                                detail::count(quantization.scales.size())));
    }
    /// Unset the weight.
    void remove_weight(const std::string &role) {
        detail::ensure(mpscnn_kernel_remove_weight(get(), detail::c_string(role)));
    }
    /// Return a tensor in the kernel's memory. It is valid until the weight is set again or removed.
    mpscnn_tensor weight(const std::string &role) const {
        mpscnn_tensor tensor{};
        detail::ensure(mpscnn_kernel_get_weight(get(), detail::c_string(role), &tensor));
        return tensor;
    }

    /// Return the destination that the padding policy determines, and set the offset.
    ImageDescriptor destination(std::span<const Image *const> sources) {
        mpscnn_image_descriptor raw{};
        raw.size = sizeof raw;
        detail::with_handles(sources, [&](auto *handles, int count) {
            detail::ensure(mpscnn_kernel_destination(get(), handles, count, &raw));
        });
        return Image::from_raw(raw);
    }
    mpscnn_image_region source_region(std::int64_t width, std::int64_t height, int source = 0) const {
        mpscnn_image_region region{};
        detail::ensure(mpscnn_kernel_source_region(get(), source, width, height, &region));
        return region;
    }

    void encode(CommandBuffer &commands, std::span<const Image *const> sources, const Image &destination) {
        detail::with_handles(sources, [&](auto *handles, int count) {
            detail::ensure(mpscnn_kernel_encode(get(), commands.get(), handles, count, destination.get()));
        });
    }
    void encode(CommandBuffer &commands, const Image &source, const Image &destination) {
        const Image *sources[] = {&source};
        encode(commands, sources, destination);
    }
    /// Encode a batch normalization that uses the statistics of a state.
    void encode(CommandBuffer &commands, const Image &source, const BatchNormalizationState &state,
                const Image &destination) {
        detail::ensure(mpscnn_kernel_encode_with_state(get(), commands.get(), source.get(), state.get(),
                                                       destination.get()));
    }
    /// Encode a gradient of a batch normalization, which has several sources and uses the statistics of a
    /// state.
    void encode(CommandBuffer &commands, std::span<const Image *const> sources,
                const BatchNormalizationState &state, const Image &destination) {
        detail::with_handles(sources, [&](auto *handles, int count) {
            detail::ensure(mpscnn_kernel_encode_gradient_with_state(get(), commands.get(), handles, count,
                                                                    state.get(), destination.get()));
        });
    }
    /// Encode a kernel that adds statistics of the source to a state.
    void encode(CommandBuffer &commands, const Image &source, BatchNormalizationState &state) {
        detail::ensure(mpscnn_kernel_encode_statistics(get(), commands.get(), source.get(), state.get()));
    }
    /// Encode into a new image, as the padding policy determines.
    Image encode(CommandBuffer &commands, const Image &source) {
        const Image *sources[] = {&source};
        Image result(destination(sources));
        encode(commands, sources, result);
        return result;
    }

    mpscnn_kernel *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<mpscnn_kernel, mpscnn_kernel_release> handle_;
};

/// A user's kernel function in Metal's shading language; see mpscnn_custom_kernel_create.
class CustomKernel {
public:
    /// `constants` is a JSON object.
    CustomKernel(const std::string &source, const std::string &function, const std::string &constants = {},
                 const std::string &device = "metal") {
        mpscnn_custom_kernel *handle = nullptr;
        detail::ensure(mpscnn_custom_kernel_create(detail::c_string(source), detail::c_string(function),
                                                   detail::or_null(constants), detail::c_string(device),
                                                   &handle));
        handle_.reset(handle);
    }

    /// Return a description as JSON; see mpscnn_custom_kernel_describe.
    std::string description() const { return detail::text_of(mpscnn_custom_kernel_describe, get()); }

    /// An argument for the named parameter or, without a name, for the next parameter of the argument's kind
    /// (image or array).
    struct Argument {
        Argument(const Image &given, std::string parameter = {})
            : name(std::move(parameter)), image(&given) {}
        /// `element_type` is "float", "half" and so on, which must be the parameter's type; empty: not
        /// checked.
        Argument(std::span<std::byte> given, std::string parameter = {}, std::string element_type = {})
            : name(std::move(parameter)), data(given), element(std::move(element_type)) {}
        Argument(std::span<const std::byte> given, std::string parameter = {}, std::string element_type = {})
            : name(std::move(parameter)), data(const_cast<std::byte *>(given.data()), given.size()),
              element(std::move(element_type)), read_only(true) {}

        std::string name;
        const Image *image = nullptr;
        std::span<std::byte> data; ///< must stay valid until the command buffer is completed
        std::string element;
        bool read_only = false;
    };
    using Size = std::array<std::int64_t, 3>; ///< width, height, depth

    void encode(CommandBuffer &commands, std::span<const Argument> arguments,
                const std::optional<Size> &grid = {}, const std::optional<Size> &threadgroup = {}) const {
        std::vector<mpscnn_custom_argument> raw;
        for (const Argument &argument : arguments)
            raw.push_back({sizeof(mpscnn_custom_argument), detail::or_null(argument.name),
                           argument.image ? argument.image->get() : nullptr, argument.data.data(),
                           argument.data.size(), detail::or_null(argument.element),
                           argument.read_only ? 1 : 0});
        std::vector<const mpscnn_custom_argument *> pointers;
        for (const mpscnn_custom_argument &argument : raw) pointers.push_back(&argument);
        detail::ensure(mpscnn_custom_kernel_encode(
            get(), commands.get(), pointers.data(), detail::count(pointers.size()),
            grid ? grid->data() : nullptr, threadgroup ? threadgroup->data() : nullptr));
    }

    mpscnn_custom_kernel *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<mpscnn_custom_kernel, mpscnn_custom_kernel_release> handle_;
};

} // namespace api
} // namespace mpscnn
