#pragma once

#include <cstddef>
#include <string>

#include "engine/backend/written_program.h"

namespace mpscnn::engine {

/// The function of the embedding program that writes networks for Core ML; see mpscnn_set_coreml_writer.
using CoremlReply = void (*)(const char *answer, void *reply_context);
using CoremlWriterCallback = void (*)(const char *network, std::size_t bytes, const char *request,
                                      CoremlReply reply, void *reply_context, void *context);
void set_coreml_writer(CoremlWriterCallback writer, void *context);

/// Return the writer of Core ML programs: the function that was set. Its calls throw UnsupportedError if none
/// is set.
ProgramWriter coreml_writer();

} // namespace mpscnn::engine
