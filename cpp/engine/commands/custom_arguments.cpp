#include "engine/commands/custom_arguments.h"

#include <algorithm>
#include <limits>

#include "core/text.h"
#include "ops/unsupported.h"

namespace mpscnn::engine {

namespace {

using Kind = CustomParameter::Kind;

[[noreturn]] void refuse(const CustomKernel &kernel, const std::string &what,
                         ErrorKind kind = ErrorKind::parameter) {
    fail(kind, {"kernel ", quoted(kernel.function()), ": ", what});
}

Kind kind_of(const CustomArgument &argument) { return argument.image ? Kind::image : Kind::buffer; }

const char *name_of(Kind kind) { return kind == Kind::image ? "image" : "array"; }

std::string text_of(const GridSize &size) { return concat({size[0], " x ", size[1], " x ", size[2]}); }

std::string parameter_names(const CustomKernel &kernel) {
    std::string names;
    for (const CustomParameter &parameter : kernel.parameters())
        names += (names.empty() ? "" : ", ") + parameter.text();
    return names.empty() ? "none" : names;
}

std::size_t index_named(const CustomKernel &kernel, const std::string &name) {
    const auto &parameters = kernel.parameters();
    const auto found = std::find_if(parameters.begin(), parameters.end(),
                                    [&](const CustomParameter &one) { return one.name == name; });
    if (found == parameters.end())
        refuse(kernel, concat({"no parameter ", quoted(name), "; it has ", parameter_names(kernel)}));
    return static_cast<std::size_t>(found - parameters.begin());
}

std::size_t next_free(const CustomKernel &kernel, Kind kind,
                      const std::vector<const CustomArgument *> &bound) {
    const auto &parameters = kernel.parameters();
    for (std::size_t i = 0; i < bound.size(); ++i)
        if (!bound[i] && parameters[i].kind == kind) return i;
    refuse(kernel, concat({"too many ", name_of(kind), "s; its parameters are ", parameter_names(kernel)}));
}

void require_image(const CustomKernel &kernel, const CustomParameter &parameter, const Image &image) {
    const ImageDescriptor &size = image.descriptor();
    const std::int64_t slices = size.slices() * size.number_of_images;
    if (parameter.is_array != (slices > 1))
        refuse(
            kernel,
            concat({parameter.text(), " is declared as ",
                    (parameter.is_array ? "texture2d_array" : "texture2d"), ", but ", image.text(),
                    (slices > 1 ? " is a texture2d_array: it has more than one slice of four feature channels"
                                : " is a texture2d: one image of at most four feature channels")}),
            ErrorKind::shape);
    using ops::metal_limits::extent;
    if (size.width > extent || size.height > extent || slices > ops::metal_limits::slices)
        refuse(kernel,
               concat({parameter.text(), ": a texture has at most ",
                       text_of({extent, extent, ops::metal_limits::slices}), " pixels and slices, got ",
                       image.text()}),
               ErrorKind::unsupported);
}

void require_bytes(const CustomKernel &kernel, const CustomParameter &parameter,
                   const CustomArgument &given) {
    if (!given.element.empty() && !parameter.element.empty() && given.element != parameter.element)
        refuse(kernel,
               concat({parameter.text(), " has elements of ", parameter.element, ", got ", given.element}));
    if (given.bytes.size() < parameter.bytes ||
        (parameter.bytes > 0 && given.bytes.size() % parameter.bytes != 0))
        refuse(kernel, concat({parameter.text(), " takes ", parameter.bytes,
                               " bytes or a multiple of that, got ", given.bytes.size()}));
    if (given.bytes.empty()) refuse(kernel, parameter.text() + ": the array is empty");
    if (parameter.written && !given.writable)
        refuse(kernel, parameter.text() + " is written by the kernel, but the array is read-only");
}

void require_match(const CustomKernel &kernel, const CustomParameter &parameter,
                   const CustomArgument &given) {
    if (parameter.kind != kind_of(given))
        refuse(kernel, concat({parameter.text(), " takes an ", name_of(parameter.kind), ", got an ",
                               name_of(kind_of(given))}));
    if (given.image)
        require_image(kernel, parameter, *given.image);
    else
        require_bytes(kernel, parameter, given);
}

/// Throws if memory that the kernel may write is bound to another parameter too.
void require_apart(const CustomKernel &kernel, std::span<const CustomArgument *const> bound) {
    const auto &parameters = kernel.parameters();
    for (std::size_t i = 0; i < bound.size(); ++i)
        for (std::size_t k = 0; k < i; ++k) {
            const auto a = bound[i]->bytes, b = bound[k]->bytes;
            const bool overlap = a.data() < b.data() + b.size() && b.data() < a.data() + a.size();
            if (overlap && (parameters[i].written || parameters[k].written))
                refuse(kernel, concat({parameters[k].text(), " and ", parameters[i].text(),
                                       ": the arrays overlap, and one is written"}));
        }
}

GridSize threads_for_image(const ImageDescriptor &size) {
    return {size.width, size.height, size.slices() * size.number_of_images};
}

void require_extents(const CustomKernel &kernel, const char *what, const GridSize &size,
                     const GridSize &max_size) {
    for (std::size_t axis = 0; axis < size.size(); ++axis)
        if (size[axis] < 1 || size[axis] > max_size[axis])
            refuse(kernel,
                   concat({what, " must be 1 x 1 x 1 to ", text_of(max_size), ", got ", text_of(size)}));
}

} // namespace

std::vector<const CustomArgument *> bind_arguments(const CustomKernel &kernel,
                                                   std::span<const CustomArgument> arguments) {
    std::vector<const CustomArgument *> bound(kernel.parameters().size());
    for (const CustomArgument &argument : arguments) {
        if (argument.name.empty()) continue;
        const CustomArgument *&place = bound[index_named(kernel, argument.name)];
        if (place) refuse(kernel, quoted(argument.name) + " is given twice");
        place = &argument;
    }
    for (const CustomArgument &argument : arguments)
        if (argument.name.empty()) bound[next_free(kernel, kind_of(argument), bound)] = &argument;
    for (std::size_t i = 0; i < bound.size(); ++i) {
        const CustomParameter &parameter = kernel.parameters()[i];
        if (!bound[i])
            refuse(kernel, concat({"no ", name_of(parameter.kind), " is given for ", parameter.text()}));
        require_match(kernel, parameter, *bound[i]);
    }
    require_apart(kernel, bound);
    return bound;
}

GridSize grid_for(const CustomKernel &kernel, std::span<const CustomArgument *const> arguments,
                  const CustomGrid &grid) {
    std::optional<GridSize> threads = grid.threads;
    for (std::size_t i = 0; i < arguments.size() && !grid.threads; ++i)
        if (arguments[i]->image && kernel.parameters()[i].written)
            threads = threads_for_image(arguments[i]->image->descriptor());
    if (!threads) refuse(kernel, "it writes no image whose pixels would be its threads; give grid");
    constexpr std::int64_t max_size = std::numeric_limits<std::int32_t>::max();
    require_extents(kernel, "grid", *threads, {max_size, max_size, max_size});
    if (grid.threadgroup) {
        const GridSize &group = *grid.threadgroup;
        require_extents(kernel, "threadgroup", group, kernel.max_threads_along());
        if (group[0] * group[1] * group[2] > kernel.max_threads())
            refuse(kernel, concat({"threadgroup must have at most ", kernel.max_threads(), " threads, got ",
                                   text_of(group)}));
    }
    return *threads;
}

} // namespace mpscnn::engine
