#include "engine/run/coreml_writer.h"

#include <mutex>
#include <optional>

#include "core/platform.h"
#include "engine/file/model_file.h"
#include "engine/run/network_request.h"

namespace mpscnn::engine {

namespace {

struct SetWriter {
    std::mutex mutex;
    CoremlWriterCallback function = nullptr;
    void *context = nullptr;
};

SetWriter &set_writer() {
    static SetWriter &instance = *new SetWriter; // other threads may compile while the process ends
    return instance;
}

std::string text_of_request(const WriteRequest &request) {
    Json shapes = Json::array();
    for (const Shape &shape : request.shapes)
        shapes.push_back(Json(std::vector<std::int64_t>(shape.begin(), shape.end())));
    Json json = Json::object();
    json.set("precision", name_of(request.precision));
    json.set("shapes", std::move(shapes));
    json.set("system", platform::system_build());
    json.set("again", request.again);
    return to_text(json);
}

WrittenProgram answer_of_writer(const std::string &text) {
    const Json json = parse_json(text);
    const JsonView view(json, "the answer of the Core ML writer");
    if (view.has("error")) {
        const auto kind = view.at("error").get<int>();
        if (kind < static_cast<int>(ErrorKind::shape) || kind > static_cast<int>(ErrorKind::state))
            view.refuse("there is no such kind of error");
        fail(static_cast<ErrorKind>(kind), view.at("message").get<std::string>());
    }
    return program_of(view);
}

WrittenProgram write_for_coreml(const WriteRequest &request) {
    CoremlWriterCallback function = nullptr;
    void *context = nullptr;
    {
        const std::lock_guard lock(set_writer().mutex);
        function = set_writer().function;
        context = set_writer().context;
    }
    if (!function)
        fail(ErrorKind::unsupported,
             "device 'coreml': the Python package writes networks as Core ML programs, so this device can "
             "only be used from Python. Use device='metal' or device='cpu'.");
    ModelFile file;
    file.graph = request.graph;
    const std::string network = file.content();
    std::optional<std::string> answer;
    function(
        network.data(), network.size(), text_of_request(request).c_str(),
        [](const char *text, void *given) { *static_cast<std::optional<std::string> *>(given) = text; },
        &answer, context);
    if (!answer) fail(ErrorKind::state, "the Core ML writer has ended without an answer");
    WrittenProgram written = answer_of_writer(*answer);
    if (written.inputs.size() != request.graph.inputs().size() ||
        written.outputs.size() != request.graph.outputs().size())
        fail(ErrorKind::state, "the Core ML writer has named another number of inputs or outputs");
    return written;
}

} // namespace

void set_coreml_writer(CoremlWriterCallback writer, void *context) {
    const std::lock_guard lock(set_writer().mutex);
    set_writer().function = writer;
    set_writer().context = context;
}

ProgramWriter coreml_writer() { return write_for_coreml; }

} // namespace mpscnn::engine
