#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/error.h"

namespace mpscnn::coreml {

/// Says that Core ML did not do something in time, or that the wait was interrupted.
class PatienceEnded : public Error {
public:
    explicit PatienceEnded(const std::string &message) : Error(ErrorKind::device, message) {}
};

/// Call work() in a thread of its own, and wait for it as long as MPSCNN_COREML_SECONDS says. Core ML's calls
/// cannot be interrupted, and the compiler of the neural engine may need minutes. A wait of more than two
/// seconds is logged, and again each time it has become twice as long. `what` is a text such as "load the
/// network".
///
/// Throws what work() throws, with the name and the reason of an NSException. Throws PatienceEnded after the
/// limit, or if the wait is interrupted. Then work() goes on, so it must own all that it uses.
void call_patiently(const std::string &what, std::function<void()> work);

/// The same for work that returns something.
template <class Result> Result result_of_patience(const std::string &what, std::function<Result()> work) {
    const auto result = std::make_shared<Result>();
    call_patiently(what, [result, work = std::move(work)] { *result = work(); });
    return std::move(*result);
}

} // namespace mpscnn::coreml
