#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include "arrays.h"
#include "bind.h"
#include "callback.h"
#include "exclusive.h"
#include "gil.h"

namespace mpscnn::bindings {

namespace {

struct ChannelFormat {
    const char *name;
    const char *dtype;
    mpscnn_channel_format format;
};

constexpr std::array<ChannelFormat, 4> channel_formats{{{"unorm8", "uint8", MPSCNN_CHANNEL_UNORM8},
                                                        {"unorm16", "uint16", MPSCNN_CHANNEL_UNORM16},
                                                        {"float16", "float16", MPSCNN_CHANNEL_FLOAT16},
                                                        {"float32", "float32", MPSCNN_CHANNEL_FLOAT32}}};

const ChannelFormat &format_named(const std::string &name) {
    std::string known;
    for (const ChannelFormat &entry : channel_formats) {
        if (name == entry.name) return entry;
        known += (known.empty() ? "" : ", ") + std::string(entry.name);
    }
    throw ParameterError("Image: format must be one of " + known + ", got '" + name + "'");
}

const ChannelFormat &format_of(const Image &image) {
    const mpscnn_channel_format format = image.descriptor().format;
    for (const ChannelFormat &entry : channel_formats)
        if (entry.format == format) return entry;
    throw ParameterError("Image: unknown format " + std::to_string(format));
}

ImageDescriptor descriptor(std::int64_t width, std::int64_t height, std::int64_t feature_channels,
                           std::int64_t number_of_images, const std::string &format) {
    return {width, height, feature_channels, number_of_images, format_named(format).format};
}

py::tuple fields_of(const ImageDescriptor &descriptor) {
    const char *name = "";
    for (const ChannelFormat &entry : channel_formats)
        if (entry.format == descriptor.format) name = entry.name;
    return py::make_tuple(descriptor.width, descriptor.height, descriptor.feature_channels,
                          descriptor.number_of_images, name);
}

/// Return the image's memory as an array, which keeps the image alive.
py::array memory_array(const py::object &object, bool slices) {
    const auto &image = object.cast<const Image &>();
    const ImageDescriptor size = image.descriptor();
    const Image::Memory memory = image.memory();
    const auto &[image_step, row_step, column_step, channel_step] = memory.strides;
    const py::dtype type(format_of(image).dtype);
    constexpr std::int64_t slice = 4;
    if (slices)
        return py::array(type,
                         {size.number_of_images, (size.feature_channels + slice - 1) / slice, size.height,
                          size.width, slice},
                         {image_step, slice * channel_step, row_step, column_step, channel_step}, memory.data,
                         object);
    return py::array(type, {size.number_of_images, size.height, size.width, size.feature_channels},
                     {image_step, row_step, column_step, channel_step}, memory.data, object);
}

using Region = std::array<std::int64_t, 8>;

mpscnn_image_region region_of(const Region &r) { return {r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]}; }

mpscnn_image_data data_of(const py::array &array, bool planar, const char *dtype) {
    if (!array.dtype().is(py::dtype(dtype)) || (array.flags() & py::array::c_style) == 0)
        throw ShapeError(std::string("image data: expected a C-contiguous array of ") + dtype);
    mpscnn_image_data data{};
    data.data = const_cast<void *>(array.data());
    data.planar = planar ? 1 : 0;
    return data;
}

void require_size(const py::array &array, const Region &r) {
    if (array.size() != r[4] * r[5] * r[6] * r[7])
        throw ShapeError("image data: the region has " + std::to_string(r[4] * r[5] * r[6] * r[7]) +
                         " elements, the array " + std::to_string(array.size()));
}

void read(const Image &image, const Region &region, bool planar, py::array &array) {
    require_size(array, region);
    const mpscnn_image_data data = data_of(array, planar, format_of(image).dtype);
    if (!array.writeable()) throw ParameterError("image data: the array is read-only");
    image.read(region_of(region), data);
}

void write(Image &image, const Region &region, bool planar, const py::array &array) {
    require_size(array, region);
    image.write(region_of(region), data_of(array, planar, format_of(image).dtype));
}

std::vector<const Image *> pointers(const std::vector<Image *> &images) {
    return {images.begin(), images.end()};
}

void add_completed_handler(CommandBuffer &commands, py::function function) {
    const auto callback =
        std::make_shared<Callback>(std::move(function), "a completed handler of mpscnn.CommandBuffer");
    commands.add_completed_handler([callback] { (*callback)([] { return py::make_tuple(); }); });
}

py::object failure_of(const CommandBuffer &commands) {
    const CommandBuffer::Failure failure = commands.error();
    if (failure.code == 0) return py::none();
    return py::make_tuple(failure.code, failure.message);
}

void bind_images(py::module_ &module) {
    py::class_<Image>(module, "FeatureImage", "An image of feature channels.")
        .def(py::init([](std::int64_t width, std::int64_t height, std::int64_t feature_channels,
                         std::int64_t number_of_images, const std::string &format) {
                 return Image(descriptor(width, height, feature_channels, number_of_images, format));
             }),
             py::arg("width"), py::arg("height"), py::arg("feature_channels"), py::arg("number_of_images"),
             py::arg("format"))
        .def_static(
            "temporary",
            [](const CommandBuffer &commands, std::int64_t width, std::int64_t height,
               std::int64_t feature_channels, std::int64_t number_of_images, const std::string &format) {
                return Image::temporary(
                    commands, descriptor(width, height, feature_channels, number_of_images, format));
            },
            py::arg("commands"), py::arg("width"), py::arg("height"), py::arg("feature_channels"),
            py::arg("number_of_images"), py::arg("format"), py::call_guard<Exclusive>())
        .def(
            "descriptor", [](const Image &image) { return fields_of(image.descriptor()); },
            py::call_guard<Exclusive>())
        .def("set_label", &Image::set_label, py::arg("label"), py::call_guard<Exclusive>())
        .def_property("read_count", exclusively(&Image::read_count), exclusively(&Image::set_read_count))
        .def("read", &read, py::arg("region"), py::arg("planar"), py::arg("array"),
             py::call_guard<Exclusive>())
        .def("write", &write, py::arg("region"), py::arg("planar"), py::arg("array"),
             py::call_guard<Exclusive>())
        .def(
            "array", [](const py::object &image) { return memory_array(image, false); },
            py::call_guard<Exclusive>())
        .def(
            "slices", [](const py::object &image) { return memory_array(image, true); },
            py::call_guard<Exclusive>());
}

void bind_queues(py::module_ &module) {
    // Destructors wait for work whose handlers may need the GIL, so they run without it.
    py::class_<CommandBuffer, std::unique_ptr<CommandBuffer, DeleteUnlocked>>(module, "CommandBuffer",
                                                                              "Work for a queue.")
        .def(
            "status", [](const CommandBuffer &commands) { return static_cast<int>(commands.status()); },
            py::call_guard<Exclusive>())
        .def("error", &failure_of, py::call_guard<Exclusive>())
        .def("enqueue", &CommandBuffer::enqueue, py::call_guard<Exclusive>())
        .def("commit", &CommandBuffer::commit, py::call_guard<Exclusive>())
        .def("wait", &CommandBuffer::wait, py::call_guard<GilReleased>())
        .def("add_completed_handler", &add_completed_handler, py::arg("handler"), py::call_guard<Exclusive>())
        .def(
            "encode_session",
            [](CommandBuffer &commands, Session &session, const std::vector<Image *> &inputs,
               const std::vector<Image *> &outputs) {
                commands.encode(session, pointers(inputs), pointers(outputs));
            },
            py::arg("session"), py::arg("inputs"), py::arg("outputs"), py::call_guard<Exclusive>());

    py::class_<CommandQueue, std::unique_ptr<CommandQueue, DeleteUnlocked>>(module, "CommandQueue",
                                                                            "Runs command buffers in order.")
        .def(py::init([](const std::string &device, int threads) {
                 const GilReleased unlocked; // it may wait for a device, as a compilation does
                 return std::unique_ptr<CommandQueue, DeleteUnlocked>(
                     new CommandQueue({.device = device, .threads = threads}));
             }),
             py::arg("device") = "auto", py::arg("threads") = 0)
        .def("device", &CommandQueue::device, py::call_guard<Exclusive>())
        .def("command_buffer", &CommandQueue::command_buffer, py::call_guard<Exclusive>())
        .def("wait", &CommandQueue::wait, py::call_guard<GilReleased>());
}

py::tuple statistics_of(const BatchNormalizationState &state) {
    const BatchNormalizationState::Statistics statistics = state.read();
    const auto array = [](const std::vector<float> &values) {
        return py::array_t<float>(static_cast<py::ssize_t>(values.size()), values.data());
    };
    return py::make_tuple(array(statistics.mean), array(statistics.variance));
}

void bind_states(py::module_ &module) {
    py::class_<BatchNormalizationState>(module, "BatchNormalizationState", "Statistics of batches.")
        .def(py::init<std::int64_t>(), py::arg("feature_channels"))
        .def("reset", &BatchNormalizationState::reset, py::call_guard<Exclusive>())
        .def("read", &statistics_of, py::call_guard<Exclusive>());
}

} // namespace

void bind_kernels(py::module_ &module) {
    bind_images(module);
    bind_queues(module);
    bind_states(module);
    module.def("kernels", &kernels, "All raw kernels with their properties, as JSON.",
               py::call_guard<Exclusive>());
    py::class_<Kernel>(module, "Kernel", "A raw kernel of one of Apple's classes.")
        .def(py::init<const std::string &, const std::string &>(), py::arg("name"),
             py::arg("properties") = "")
        .def("set", &Kernel::set, py::arg("properties"), py::call_guard<Exclusive>())
        .def("properties", &Kernel::properties, py::call_guard<Exclusive>())
        .def("weights", &Kernel::weights_json, py::call_guard<Exclusive>())
        .def(
            "set_weight",
            [](Kernel &kernel, const std::string &role, const py::object &array,
               const std::vector<float> &scales, const std::vector<float> &zero_points) {
                kernel.set_weight(role, weight_tensor(array, role), {scales, zero_points});
            },
            py::arg("role"), py::arg("array"), py::arg("scales") = std::vector<float>(),
            py::arg("zero_points") = std::vector<float>(), py::call_guard<Exclusive>())
        .def("remove_weight", &Kernel::remove_weight, py::arg("role"), py::call_guard<Exclusive>())
        .def(
            "weight",
            [](const Kernel &kernel, const std::string &role) { return copy_of(kernel.weight(role)); },
            py::arg("role"), py::call_guard<Exclusive>())
        .def(
            "destination",
            [](Kernel &kernel, const std::vector<Image *> &sources) {
                return fields_of(kernel.destination(pointers(sources)));
            },
            py::arg("sources"), py::call_guard<Exclusive>())
        .def(
            "source_region",
            [](const Kernel &kernel, std::int64_t width, std::int64_t height, int source) {
                const mpscnn_image_region r = kernel.source_region(width, height, source);
                return py::make_tuple(r.x, r.y, r.image, r.width, r.height, r.images);
            },
            py::arg("width"), py::arg("height"), py::arg("source") = 0, py::call_guard<Exclusive>())
        .def(
            "encode",
            [](Kernel &kernel, CommandBuffer &commands, const std::vector<Image *> &sources,
               const Image &destination) { kernel.encode(commands, pointers(sources), destination); },
            py::arg("commands"), py::arg("sources"), py::arg("destination"), py::call_guard<Exclusive>())
        .def(
            "encode_with_state",
            [](Kernel &kernel, CommandBuffer &commands, const std::vector<Image *> &sources,
               const BatchNormalizationState &state,
               const Image &destination) { kernel.encode(commands, pointers(sources), state, destination); },
            py::arg("commands"), py::arg("sources"), py::arg("state"), py::arg("destination"),
            py::call_guard<Exclusive>())
        .def(
            "encode_statistics",
            [](Kernel &kernel, CommandBuffer &commands, const Image &source, BatchNormalizationState &state) {
                kernel.encode(commands, source, state);
            },
            py::arg("commands"), py::arg("source"), py::arg("state"), py::call_guard<Exclusive>());
}

} // namespace mpscnn::bindings
