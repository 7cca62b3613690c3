#include "kernels/kernel.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "kernels/filter.h"

namespace mpscnn::kernels {

namespace {

/// The names and meanings of a source's properties, from MPSCNNKernel or MPSCNNBinaryKernel.
struct SourceNames {
    const char *offset, *position;
    const char *edge_mode, *outside;
    const char *channel_offset, *first_channel;
    const char *channel_max_count, *max_count_help;
};
constexpr SourceNames unary_names{
    "offset",
    "(x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre "
    "tap; z is the first image",
    "edge_mode",
    "value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes",
    "source_feature_channel_offset",
    "first feature channel read, a multiple of 4",
    "source_feature_channel_max_count",
    "maximum number of feature channels read"};
constexpr std::array<SourceNames, 2> binary_names{
    {{"primary_offset", "(x, y, z): position in the primary source of the first pixel written",
      "primary_edge_mode", "value of reads outside the primary source: 'zero' or 'clamp'",
      "primary_source_feature_channel_offset",
      "first feature channel read of the primary source, a multiple of 4",
      "primary_source_feature_channel_max_count",
      "maximum number of feature channels read of the primary source"},
     {"secondary_offset", "(x, y, z): position in the secondary source of the first pixel written",
      "secondary_edge_mode", "value of reads outside the secondary source: 'zero' or 'clamp'",
      "secondary_source_feature_channel_offset",
      "first feature channel read of the secondary source, a multiple of 4",
      "secondary_source_feature_channel_max_count",
      "maximum number of feature channels read of the secondary source"}}};

template <class Visitor>
void visit_source(Visitor &visit, SourceProperties &source, const SourceNames &names) {
    visit(names.offset, source.offset, names.position);
    visit(names.edge_mode, source.edge_mode, names.outside);
    visit(names.channel_offset, source.feature_channel_offset, names.first_channel);
    visit(names.channel_max_count, source.feature_channel_max_count, names.max_count_help);
}

template <class T>
concept WholeImages =
    requires(const T &family, std::span<const ImageDescriptor> sources) { family.destination(sources); };

bool has_whole_images(const Family &family) {
    return family.visit([]<class T>(const T &) { return WholeImages<T>; });
}

template <class Visitor> void visit_common(Visitor &visit, Kernel &kernel) {
    KernelProperties &properties = kernel.properties;
    const std::size_t sources = kernel.type->sources;
    visit("label", properties.label, "a name for messages");
    if (has_whole_images(kernel.family)) return;
    if (sources == 1)
        visit_source(visit, properties.sources[0], unary_names);
    else
        for (std::size_t i = 0; i < sources; ++i) visit_source(visit, properties.sources[i], binary_names[i]);
    visit("clip_rect", properties.clip_rect,
          "(x, y, z, width, height, depth): part of the destination that may be written; null: all of it");
    visit("destination_feature_channel_offset", properties.destination_feature_channel_offset,
          "first feature channel written, a multiple of 4");
    visit("padding", properties.padding,
          "size and place of results that the kernel makes itself (MPSNNPaddingMethod)");
    if (!kernel.type->is_gradient) return;
    visit("kernel_offset_x", properties.kernel_offset_x,
          kernel.family.is<ConvolutionTranspose>()
              ? "columns by which the window is moved over the gradient"
              : "columns by which the window is moved over the gradient with stride - 1 zeros between its "
                "pixels");
    visit("kernel_offset_y", properties.kernel_offset_y, "rows by which the window is moved in the same way");
    visit("gradient_of", properties.gradient_of, "'source', or the weight whose gradient is the result");
}

/// All properties of a kernel, in the form that ops/fields.h reads and writes.
struct AllProperties {
    Kernel &kernel;

    template <class Visitor> void fields(Visitor &visit) {
        kernel.family.visit([&](auto &family) {
            family.fixed(visit);
            family.fields(visit);
        });
        visit_common(visit, kernel);
    }
};

struct FixedProperties {
    Kernel &kernel;

    template <class Visitor> void fields(Visitor &visit) {
        kernel.family.visit([&](auto &family) { family.fixed(visit); });
    }
};

const KernelClass &class_named(std::string_view name) {
    for (const KernelClass &entry : kernel_classes())
        if (name == entry.name) return entry;
    fail(ErrorKind::parameter, {"unknown kernel ", quoted(name)});
}

template <class T>
concept Windowed = requires(const T &family) { family.taps(); };

template <class T>
concept Sized =
    requires(const T &family, std::span<const ImageDescriptor> sources) { family.destination_size(sources); };

ops::Window taps_of(const Family &family) {
    return family.visit([]<class T>(const T &entry) {
        if constexpr (Windowed<T>)
            return entry.taps();
        else
            return ops::Window{};
    });
}

Kernel with_defaults(const KernelClass &type) {
    Kernel kernel{&type, {}, type.make()};
    kernel.family.visit([&]<class T>(const T &) {
        if constexpr (requires { T::default_padding; }) kernel.properties.padding.size = T::default_padding;
        if constexpr (requires { T::default_edge_mode; })
            kernel.properties.sources[0].edge_mode = T::default_edge_mode;
    });
    return kernel;
}

const char *name_of(StateUse use) {
    return use == StateUse::none ? "none" : use == StateUse::reads ? "reads" : "writes";
}

ops::WindowAxis vertical(const ops::Window &taps) {
    return {taps.kernel_height, taps.stride_y, taps.dilation_y};
}
ops::WindowAxis horizontal(const ops::Window &taps) {
    return {taps.kernel_width, taps.stride_x, taps.dilation_x};
}

} // namespace

Kernel Kernel::make(std::string_view name, const Json &properties) {
    const KernelClass &type = class_named(name);
    Kernel kernel = with_defaults(type);
    AllProperties all{kernel};
    ops::read_fields(all, properties, kernel.name());
    kernel.check();
    return kernel;
}

void Kernel::set(const Json &changes) {
    Kernel changed = *this;
    FixedProperties fixed{changed};
    const ops::FieldList fixed_fields = ops::FieldList::of(fixed);
    const JsonView given{changes, name()};
    for (const auto &[key, value] : given.object()) {
        if (fixed_fields.has(key))
            fail(ErrorKind::parameter, {name(), ": ", key, " is fixed when the kernel is made"});
    }
    AllProperties all{changed};
    ops::read_fields(all, changes, name());
    changed.check();
    *this = std::move(changed);
}

Json Kernel::get() const { return ops::write_fields(AllProperties{const_cast<Kernel &>(*this)}); }

void Kernel::check() const {
    family.visit([&](const auto &family) { family.check(name()); });
    if (has_whole_images(family)) return;
    if (type->is_gradient) check_gradient();
    for (std::size_t i = 0; i < type->sources; ++i) {
        const SourceNames &names = type->sources == 1 ? unary_names : binary_names[i];
        const SourceProperties &given = properties.sources[i];
        for (std::int64_t along : {given.offset.x, given.offset.y, given.offset.z})
            require_range(name(), names.offset, along, -ops::largest_size);
        const EdgeMode mode = given.edge_mode;
        if (!any_edge_mode() && mode != EdgeMode::zero && mode != EdgeMode::clamp)
            fail(ErrorKind::unsupported,
                 {name(), ": ", names.edge_mode, " must be zero or clamp (the others are for Pad), got ",
                  ops::name_of(mode)});
    }
}

bool Kernel::any_edge_mode() const {
    return family.visit([]<class T>(const T &) { return requires { T::any_edge_mode; }; });
}

void Kernel::require_sources(std::size_t given) const {
    const std::size_t maximum = type->sources + type->optional_sources;
    if (given < type->sources || given > maximum)
        fail(ErrorKind::parameter, {name(), ": takes ", type->sources,
                                    maximum > type->sources ? " to " + std::to_string(maximum) : "",
                                    " source images, got ", given});
}

ops::WeightSpecs Kernel::weights() const {
    return family.visit([](const auto &entry) { return entry.weights(); });
}

std::int64_t Kernel::output_channels(ChannelCounts sources) const {
    return family.visit([&](const auto &entry) { return entry.output_channels(sources); });
}

void Kernel::apply_policy(const ImageDescriptor &source, ImageDescriptor &destination) {
    const ops::OperationInfo info{type->name, "", 1, 1, false, false, false};
    const ops::Window taps = taps_of(family);
    const ops::AxisPlacement rows =
        ops::place(info, ops::AxisPolicy::vertical(properties.padding), vertical(taps), source.height);
    const ops::AxisPlacement columns =
        ops::place(info, ops::AxisPolicy::horizontal(properties.padding), horizontal(taps), source.width);
    destination.width = columns.size;
    destination.height = rows.size;
    properties.sources[0].offset.x = columns.offset;
    properties.sources[0].offset.y = rows.offset;
    family.visit([&]<class T>(T &entry) {
        if constexpr (requires { entry.policy_applied(properties, destination); })
            entry.policy_applied(properties, destination);
    });
}

namespace {

/// Kernels whose results are samples of the source, or pictures. A result that they make has the source's
/// format.
constexpr std::array<std::string_view, 14> picture_kernels{"DilatedPoolingMax",
                                                           "ImageBilinearScale",
                                                           "ImageConversion",
                                                           "ImageLanczosScale",
                                                           "PoolingMax",
                                                           "ReduceColumnMax",
                                                           "ReduceColumnMin",
                                                           "ReduceFeatureChannelsMax",
                                                           "ReduceFeatureChannelsMin",
                                                           "ReduceRowMax",
                                                           "ReduceRowMin",
                                                           "Reshape",
                                                           "Slice",
                                                           "UpsamplingNearest"};

} // namespace

ImageDescriptor Kernel::make_destination(std::span<const ImageDescriptor> sources) {
    ImageDescriptor destination = make_like_source(sources);
    // Apple's documentation states no format. Results below 0, above 1 and between two steps would be lost.
    if (std::ranges::find(picture_kernels, std::string_view(type->name)) == picture_kernels.end()) {
        if (destination.format == ImageFormat::unorm8) destination.format = ImageFormat::float16;
        if (destination.format == ImageFormat::unorm16) destination.format = ImageFormat::float32;
    }
    return destination;
}

ImageDescriptor Kernel::make_like_source(std::span<const ImageDescriptor> sources) {
    require_sources(sources.size());
    require_destination();
    if (type->is_gradient) return make_gradient_destination(sources);
    if (has_whole_images(family))
        return family.visit([&]<class T>(const T &entry) {
            if constexpr (WholeImages<T>)
                return entry.destination(sources);
            else
                return ImageDescriptor{};
        });
    std::vector<ImageRegion> ranges;
    for (std::size_t i = 0; i < sources.size(); ++i)
        ranges.push_back(readable(name(), sources, i, properties.sources[i], any_edge_mode()));
    ImageDescriptor destination = sources[0];
    family.visit([&]<class T>(const T &entry) {
        if constexpr (Sized<T>) {
            const ImageSize size = entry.destination_size(sources);
            destination.width = size.width;
            destination.height = size.height;
            Offset offset;
            if constexpr (requires { entry.destination_offset(); }) offset = entry.destination_offset();
            for (SourceProperties &read : properties.sources)
                read.offset = {offset.x, offset.y, read.offset.z};
        } else {
            apply_policy(sources[0], destination);
        }
    });
    if (destination.width < 1 || destination.height < 1)
        fail(ErrorKind::parameter, {name(), ": the source's clip rectangle leaves no pixel of the source"});
    std::vector<std::int64_t> channels;
    for (const ImageRegion &range : ranges) channels.push_back(range.channels);
    destination.feature_channels = require_channel_offset(name(), "destination_feature_channel_offset",
                                                          properties.destination_feature_channel_offset) +
                                   output_channels(channels);
    destination.number_of_images = ranges[0].images;
    return destination;
}

ImageRegion Kernel::source_region(std::int64_t width, std::int64_t height, std::size_t source) const {
    if (source >= type->sources) fail(ErrorKind::parameter, {name(), ": there is no source ", source});
    require_range(name(), "width", width, 1);
    require_range(name(), "height", height, 1);
    if (type->is_gradient || has_whole_images(family))
        fail(ErrorKind::unsupported, {name(), ": has no source region"});
    const Offset &offset = properties.sources[source].offset;
    ImageRegion region = family.visit([&]<class T>(const T &entry) -> ImageRegion {
        if constexpr (requires { T::reads_whole_source; })
            fail(ErrorKind::unsupported,
                 {name(),
                  ": reads the whole source whatever the destination's size; it has no source region"});
        else if constexpr (requires(const ImageSize &size) { entry.source_region(offset, size, source); })
            return entry.source_region(offset, {width, height}, source);
        else
            return windowed_region(taps_of(family), offset, {width, height});
    });
    region.image = offset.z;
    return region;
}

void Kernel::require_destination() const {
    if (type->state == StateUse::writes)
        fail(ErrorKind::parameter, {name(), ": writes a batch normalization state and no image"});
}

Encoding Kernel::finish(EncodingBuilder builder) const {
    family.visit([&](const auto &entry) { entry.build(builder); });
    std::vector<std::int64_t> channels;
    for (std::size_t i = 0; i < builder.sources(); ++i) channels.push_back(builder.channels(i));
    const std::int64_t room = builder.destination_channels();
    const std::int64_t written = family.visit([&]<class T>(const T &entry) {
        if constexpr (requires { entry.written_channels(channels, room); })
            return entry.written_channels(channels, room);
        else
            return entry.output_channels(channels);
    });
    return std::move(builder).finish(written);
}

Encoding Kernel::encode(std::span<const ImageDescriptor> sources, const ImageDescriptor &destination,
                        bool with_statistics) const {
    require_sources(sources.size());
    require_destination();
    if (with_statistics && type->state != StateUse::reads)
        fail(ErrorKind::parameter, {name(), ": takes no batch normalization state"});
    if (type->is_gradient) return encode_gradient(sources, destination);
    if (has_whole_images(family)) {
        const ImageDescriptor wanted = Kernel(*this).make_destination(sources);
        ImageDescriptor given = destination;
        given.format = wanted.format;
        if (!(given == wanted))
            fail(ErrorKind::shape,
                 {name(), ": the destination must be ", wanted.text(), ", got ", destination.text()});
    }
    const EncodingOptions options{any_edge_mode(), with_statistics, has_whole_images(family)};
    return finish({name(), properties, sources, destination, options});
}

Encoding Kernel::encode_statistics(const ImageDescriptor &source) const {
    if (type->state != StateUse::writes)
        fail(ErrorKind::parameter, {name(), ": writes no batch normalization state"});
    ImageDescriptor read = source; // takes the place of a destination, and defines the images to read
    read.number_of_images = std::max<std::int64_t>(1, read.number_of_images - properties.sources[0].offset.z);
    Encoding encoding = finish({name(), properties, {&source, 1}, read, {}});
    encoding.destination = statistics_region(1, encoding.destination.channels);
    return encoding;
}

Json describe_kernels() {
    Json list = Json::array();
    for (const KernelClass &type : kernel_classes()) {
        Kernel kernel = with_defaults(type);
        Json entry = Json::object();
        entry.set("name", type.name);
        entry.set("apple", type.apple);
        entry.set("meaning", type.meaning);
        entry.set("sources", type.sources);
        entry.set("optional_sources", type.optional_sources);
        entry.set("state", name_of(type.state));
        ops::FieldList fixed, settable;
        kernel.family.visit([&](auto &family) {
            family.fixed(fixed);
            family.fields(settable);
        });
        visit_common(settable, kernel);
        entry.set("fixed", fixed.describe());
        entry.set("properties", settable.describe());
        list.push_back(std::move(entry));
    }
    return list;
}

} // namespace mpscnn::kernels
