#include "core/error.h"

namespace mpscnn {

void fail(ErrorKind kind, std::initializer_list<TextPart> message) { throw Error(kind, concat(message)); }

} // namespace mpscnn
