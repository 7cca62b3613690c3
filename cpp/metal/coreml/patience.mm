#include "metal/coreml/patience.h"

#include <chrono>
#include <exception>
#include <future>
#include <thread>

#include "core/child_process.h"
#include "core/interruption.h"
#include "core/log.h"
#include "core/text.h"
#include "engine/backend/written_program.h"
#include "metal/device/exceptions.h"
#include "metal/device/objc_ptr.h"

namespace mpscnn::coreml {

void call_patiently(const std::string &what, std::function<void()> work) {
    constexpr std::chrono::milliseconds tick(100);
    const std::chrono::nanoseconds limit = engine::coreml_limit(), begun = platform::awake_time();
    const auto in_seconds = [](std::chrono::nanoseconds time) {
        return std::chrono::duration<double>(time).count();
    };
    const auto ended = std::make_shared<std::promise<void>>();
    std::future<void> end = ended->get_future();
    std::thread([ended, work = std::move(work)]() mutable {
        std::exception_ptr error;
        try {
            const metal::autorelease_scope pool;
            metal::with_framework_errors(work);
        } catch (...) {
            error = std::current_exception();
        }
        work = nullptr; // what it owns is released before the caller goes on
        error ? ended->set_exception(error) : ended->set_value();
    }).detach();
    std::chrono::nanoseconds told = std::chrono::seconds(2);
    while (end.wait_for(tick) != std::future_status::ready) {
        const std::chrono::nanoseconds waited = platform::awake_time() - begun;
        if (is_interrupted())
            throw PatienceEnded(concat({"the wait for Core ML to ", what, " was interrupted"}));
        if (waited >= limit)
            throw PatienceEnded(concat({"Core ML did not ", what, " within ", in_seconds(limit), " s (",
                                        engine::coreml_variable, ")"}));
        if (waited < told) continue;
        log(LogLevel::warning,
            concat({"Core ML needs long to ", what, ": it works since ", in_seconds(told),
                    " s, and may work for ", in_seconds(limit), " s (", engine::coreml_variable, ")"}));
        told *= 2;
    }
    end.get();
}

} // namespace mpscnn::coreml
