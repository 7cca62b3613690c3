#include "engine/commands/command_buffer.h"

#include "api/guard.h"
#include "api/handles.h"
#include "api/kernel_handles.h"
#include "api/limits.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

namespace {

static_assert(static_cast<int>(engine::CommandStatus::not_enqueued) == MPSCNN_COMMANDS_NOT_ENQUEUED);
static_assert(static_cast<int>(engine::CommandStatus::enqueued) == MPSCNN_COMMANDS_ENQUEUED);
static_assert(static_cast<int>(engine::CommandStatus::committed) == MPSCNN_COMMANDS_COMMITTED);
static_assert(static_cast<int>(engine::CommandStatus::scheduled) == MPSCNN_COMMANDS_SCHEDULED);
static_assert(static_cast<int>(engine::CommandStatus::completed) == MPSCNN_COMMANDS_COMPLETED);
static_assert(static_cast<int>(engine::CommandStatus::error) == MPSCNN_COMMANDS_ERROR);

engine::QueueOptions queue_options(const mpscnn_queue_options *given) {
    const auto raw = c_api::read_options(given, "mpscnn_queue_options");
    engine::QueueOptions options;
    if (raw.device) options.device = raw.device;
    options.threads = c_api::thread_count(raw.threads);
    return options;
}

/// A handler's context, which is released with the last copy of the handler.
struct HandlerContext {
    void *context;
    void (*release)(void *) = nullptr;

    explicit HandlerContext(void *given) : context(given) {}
    HandlerContext(const HandlerContext &) = delete;
    HandlerContext &operator=(const HandlerContext &) = delete;
    ~HandlerContext() {
        if (release) release(context);
    }
};

} // namespace

mpscnn_status mpscnn_queue_create(const mpscnn_queue_options *options, mpscnn_queue **queue) {
    return guarded([&] {
        require(queue, "queue");
        *queue = new mpscnn_queue{.queue = engine::CommandQueue::create(queue_options(options))};
    });
}

void mpscnn_queue_release(mpscnn_queue *queue) { mpscnn::c_api::release(queue); }

mpscnn_status mpscnn_queue_device(const mpscnn_queue *queue, const char **device) {
    return guarded([&] {
        require(queue, "queue");
        require(device, "device");
        *device = queue->queue->device().c_str();
    });
}

mpscnn_status mpscnn_queue_wait(mpscnn_queue *queue) {
    return guarded([&] {
        require(queue, "queue");
        queue->queue->wait_until_idle();
    });
}

mpscnn_status mpscnn_command_buffer_create(mpscnn_queue *queue, mpscnn_command_buffer **commands) {
    return guarded([&] {
        require(queue, "queue");
        require(commands, "commands");
        *commands =
            new mpscnn_command_buffer{.queue = queue->queue, .commands = queue->queue->command_buffer()};
    });
}

void mpscnn_command_buffer_release(mpscnn_command_buffer *commands) { mpscnn::c_api::release(commands); }

mpscnn_status mpscnn_command_buffer_status(const mpscnn_command_buffer *commands,
                                           mpscnn_command_status *status) {
    return guarded([&] {
        require(commands, "commands");
        require(status, "status");
        *status = static_cast<mpscnn_command_status>(commands->commands->status());
    });
}

mpscnn_status mpscnn_command_buffer_enqueue(mpscnn_command_buffer *commands) {
    return guarded([&] {
        require(commands, "commands");
        commands->commands->enqueue();
    });
}

mpscnn_status mpscnn_command_buffer_commit(mpscnn_command_buffer *commands) {
    return guarded([&] {
        require(commands, "commands");
        commands->commands->commit();
    });
}

mpscnn_status mpscnn_command_buffer_wait(mpscnn_command_buffer *commands) {
    return guarded([&] {
        require(commands, "commands");
        commands->commands->wait_until_completed();
    });
}

mpscnn_status mpscnn_command_buffer_error(const mpscnn_command_buffer *commands, int *code,
                                          mpscnn_text **message) {
    return guarded([&] {
        require(commands, "commands");
        require(code, "code");
        const auto error = commands->commands->error();
        if (message) c_api::give(error ? error->message : std::string(), message);
        *code = error ? error->code : 0;
    });
}

mpscnn_status mpscnn_command_buffer_add_completed_handler(mpscnn_command_buffer *commands,
                                                          mpscnn_completed_handler handler, void *context,
                                                          void (*release)(void *context)) {
    return guarded([&] {
        require(commands, "commands");
        require(reinterpret_cast<const void *>(handler), "handler");
        const auto owned = std::make_shared<HandlerContext>(context);
        commands->commands->add_completed_handler([handler, owned] { handler(owned->context); });
        owned->release = release; // until this call succeeds, the context belongs to the caller
    });
}

mpscnn_status mpscnn_command_buffer_encode_session(mpscnn_command_buffer *commands, mpscnn_session *session,
                                                   const mpscnn_feature_image *const *inputs, int input_count,
                                                   mpscnn_feature_image *const *outputs, int output_count) {
    return guarded([&] {
        require(commands, "commands");
        require(session, "session");
        const auto sources = c_api::images_of(inputs, input_count, "inputs");
        const auto results = c_api::images_of(outputs, output_count, "outputs");
        commands->commands->encode(session->session, sources, results);
    });
}
