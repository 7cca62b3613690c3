#include "engine/backend/implementations.h"

#include <utility>

#include "core/error.h"
#include "core/json.h"
#include "core/text.h"

namespace mpscnn::engine {

Implementations::Implementations(Reasons refused, Listener listener)
    : refused_(std::move(refused)), listener_(std::move(listener)) {}

void Implementations::take(const std::string &name, const std::string &layer) const {
    if (const auto found = refused_.find(name); found != refused_.end())
        fail(ErrorKind::unsupported,
             {"layer ", quoted(layer), ": ", name, " is not used on this device: ", found->second});
    if (listener_) listener_(name);
}

} // namespace mpscnn::engine
