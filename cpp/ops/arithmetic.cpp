#include "ops/arithmetic.h"

namespace mpscnn::ops {

void Addition::check(const InputShapes &inputs) const {
    if (!(inputs[0] == inputs[1]))
        fail(ErrorKind::shape, std::string(info.name) + ": both inputs must have one shape, got " +
                                   inputs[0].text() + " and " + inputs[1].text());
}

} // namespace mpscnn::ops
