#include "metal/run/signal.h"

#include <initializer_list>
#include <iterator>
#include <span>
#include <vector>

#include "metal/device/buffer_copies.h"
#include "metal/encoding/encoding.h"
#include "metal/run/request.h"
#include "metal/run/slots.h"
#include "ops/unsupported.h"
#include "shaders/signal_params.h"

namespace mpscnn::metal {

using engine::TensorView;

namespace {

static_assert(sizeof(SignalParams) == 11 * sizeof(int));

/// Extents of the last two axes. A signal with one axis has one row.
struct Extents {
    std::int64_t height, width;

    Extents(const Shape &shape, int axes)
        : height(axes == 2 ? shape[shape.rank() - 2] : 1), width(shape.back()) {}
};

void require_supported(std::initializer_list<const TensorView *> views) {
    const std::string what = std::string(ops::SignalConvolution::info.name) + ": ";
    for (const TensorView *view : views) {
        if (view->type != DType::float32)
            fail(ErrorKind::unsupported, {what, "Metal computes in float32 and has no ", name_of(view->type),
                                          "; use float32 arrays, or the CPU"});
        if (view->shape.elements() > ops::metal_limits::elements)
            fail(ErrorKind::unsupported, {what, "Metal takes arrays of at most ", ops::metal_limits::elements,
                                          " elements, got ", view->shape.text()});
    }
}

SignalParams params_of(const ops::SignalConvolution &convolution, const Extents &signal,
                       const Extents &kernel, std::int64_t signals) {
    // For a signal with one axis, the row axis has one output: "same" and "full" do not apply to it.
    const auto rows = convolution.axes == 2 ? convolution.axis(signal.height, kernel.height)
                                            : ops::SignalConvolution::Axis{1, 0};
    const auto columns = convolution.axis(signal.width, kernel.width);
    const auto natural = [](std::int64_t value) { return static_cast<unsigned int>(value); };
    return {natural(signal.height),
            natural(signal.width),
            natural(kernel.height),
            natural(kernel.width),
            natural(rows.output),
            natural(columns.output),
            natural(signals),
            static_cast<int>(rows.before),
            static_cast<int>(columns.before),
            convolution.boundary == ops::SignalBoundary::clamp ? 1 : 0,
            convolution.correlate ? 1 : 0};
}

/// Return a layout for an array without gaps. Only its number of elements matters.
ImageLayout any_layout(const TensorView &view) { return {1, 1, 1, view.shape.elements()}; }

/// The places of the arrays for the shader, which reads each number several times. On a GPU with memory of
/// its own they are in that memory, so each number crosses the bus once.
class SignalArrays {
public:
    SignalArrays(const Device &device, std::span<const TensorView *const> views,
                 std::span<const PortMemory> memory) {
        for (std::size_t i = 0; i < views.size(); ++i) {
            const ArrayView array = memory[i].array(0);
            const std::size_t bytes = static_cast<std::size_t>(views[i]->shape.elements()) * sizeof(float);
            arrays_.push_back({{array.buffer, array.offset}, {}, bytes});
            if (!device.has_unified_memory()) arrays_.back().own = device.make_private_buffer(bytes);
        }
    }
    BufferPlace place(std::size_t number) const {
        const Array &array = arrays_[number];
        return array.own ? BufferPlace{array.own.get()} : array.shared;
    }
    /// Copy arrays to the GPU's memory, or back. Without such memory there is nothing to copy.
    void copy(id<MTLCommandBuffer> command_buffer, std::initializer_list<std::size_t> numbers,
              bool to_gpu) const {
        if (!arrays_.front().own) return;
        BufferCopies copies(command_buffer, to_gpu ? "copy signals to the GPU's memory"
                                                   : "copy signals from the GPU's memory");
        for (const std::size_t number : numbers) {
            const Array &array = arrays_[number];
            const BufferPlace own{array.own.get()};
            copies.copy(to_gpu ? array.shared : own, to_gpu ? own : array.shared, array.bytes);
        }
    }

private:
    struct Array {
        BufferPlace shared;
        objc_ptr<id<MTLBuffer>> own;
        std::size_t bytes;
    };
    std::vector<Array> arrays_;
};

} // namespace

void convolve_signals(const std::shared_ptr<Device> &device, const ops::SignalConvolution &convolution,
                      const TensorView &signal, const TensorView &kernel, const TensorView &result) {
    require_supported({&signal, &kernel, &result});
    device->require_usable();
    // Declared before the pool, because a handler may live as long as the command buffer in the pool.
    Handlers handlers;
    const autorelease_scope pool;
    const Extents extents(signal.shape, convolution.axes);
    const SignalParams params = params_of(convolution, extents, Extents(kernel.shape, convolution.axes),
                                          signal.shape.elements() / (extents.height * extents.width));
    PageBuffers buffers;
    PortMemory memory[3];
    memory[0].read(*device, signal, any_layout(signal), buffers);
    memory[1].read(*device, kernel, any_layout(kernel), buffers);
    memory[2].write(*device, result, any_layout(result), buffers);
    const TensorView *const views[] = {&signal, &kernel, &result};
    const SignalArrays arrays(*device, views, memory);
    const char *const name = ops::SignalConvolution::info.name;
    id<MTLCommandBuffer> command_buffer = make_command_buffer(*device, name);
    arrays.copy(command_buffer, {0, 1}, true);
    {
        Dispatch dispatch(command_buffer, name, device->shaders().pipeline(name));
        for (NSUInteger i = 0; i < std::size(memory); ++i)
            dispatch.buffer(arrays.place(i).buffer, arrays.place(i).offset, i);
        dispatch.bytes(std::as_bytes(std::span(&params, 1)), std::size(memory));
        dispatch.run(MTLSizeMake(params.result_width, params.result_height, params.signals));
    }
    arrays.copy(command_buffer, {2}, false);
    commit_and_wait(command_buffer, device, handlers);
    memory[2].finish();
}

} // namespace mpscnn::metal
