// Tests of the runner with a scripted backend: order, failures, limits, shutdown.

#include <future>
#include <random>

#include "tests/engine/runner_frames.h"

using namespace runner_test;

TEST(brief_handlers_take_their_turn_with_the_others) {
    constexpr int count = 10000;
    scripted::Script script;
    std::vector<Shot> frames = shots(count);
    std::vector<int> order;
    std::atomic<int> at_once{0}, max_at_once{0};
    {
        Runner runner(scripted::program(script), {.inflight = 4});
        std::mt19937 random(2);
        for (int i = 0; i < count; ++i) {
            Shot &shot = frames[static_cast<std::size_t>(i)];
            Frame frame = shot.frame([&, i](Failure failure) {
                max_at_once = std::max(max_at_once.load(), ++at_once);
                ++shot.times_done;
                shot.failure = std::move(failure);
                order.push_back(i);
                if (i % 1000 == 0) std::this_thread::sleep_for(2ms);
                --at_once;
            });
            frame.brief = random() % 2 == 0;
            const Runner::FrameNumber number = runner.submit(std::move(frame));
            if (random() % 100 == 0) runner.cancel(number);
            if (random() % 100 == 0) runner.mark([](Failure) {});
            if (random() % 1000 == 0) runner.wait();
        }
    }
    CHECK(order.size() == count && std::is_sorted(order.begin(), order.end()));
    CHECK(max_at_once == 1);
    for (const Shot &shot : frames) CHECK(shot.good() || shot.was_cancelled());
}

TEST(a_brief_handler_is_called_by_who_ended_the_frame) {
    scripted::Script script;
    Runner runner(scripted::program(script), {.inflight = 1});
    std::thread::id ran, told, handed;
    Shot brief(1), other(2);
    Frame frame = brief.frame([&](Failure) { told = std::this_thread::get_id(); });
    frame.outputs[0].data = nullptr;
    frame.read = [&](std::span<const TensorView>) { ran = std::this_thread::get_id(); };
    frame.brief = true;
    runner.submit(std::move(frame));
    runner.submit(other.frame([&](Failure) { handed = std::this_thread::get_id(); }));
    runner.wait();
    CHECK(told == ran && told != handed && told != std::thread::id());
}

TEST(a_handler_that_takes_long_keeps_brief_ones_waiting) {
    scripted::Script script;
    Runner runner(scripted::program(script), {.inflight = 3});
    std::promise<void> open;
    Shot slow(1), brief(2), last(3);
    runner.submit(slow.frame([&](Failure) { open.get_future().get(); }));
    Frame frame = brief.frame();
    frame.brief = true;
    runner.submit(std::move(frame));
    runner.submit(last.frame());
    CHECK(soon([&] { return script.runs == 3; }));
    std::this_thread::sleep_for(10ms);
    CHECK(brief.times_done == 0);
    open.set_value();
    runner.wait();
    CHECK(brief.good() && last.good());
}

TEST(handlers_may_submit_but_not_wait) {
    scripted::Script script;
    Runner runner(scripted::program(script), {.inflight = 1});
    Shot first(1), second(2), third(3);
    Failure full, waited;
    std::promise<void> second_is_done;
    runner.submit(first.frame([&](Failure) {
        runner.submit(second.frame([&](Failure failure) {
            ++second.times_done;
            second.failure = std::move(failure);
            second_is_done.set_value();
        }));
        try {
            runner.submit(third.frame());
        } catch (...) {
            full = Failure::current();
        }
        try {
            runner.wait();
        } catch (...) {
            waited = Failure::current();
        }
    }));
    second_is_done.get_future().get();
    runner.wait();
    CHECK(second.good() && third.times_done == 0);
    CHECK_THROWS(full.raise(), ErrorKind::state, "the handler of a frame cannot wait for later frames");
    CHECK_THROWS(waited.raise(), ErrorKind::state, "cannot wait for its own runner");
}

TEST(a_handler_may_release_the_runner) {
    scripted::Script script;
    auto runner = std::make_unique<Runner>(scripted::program(script), engine::RunnerOptions{.inflight = 4});
    std::vector<Shot> frames = shots(4);
    std::promise<void> last;
    script.hold();
    runner->submit(frames[0].frame([&](Failure) { runner.reset(); }));
    for (std::size_t i = 1; i < 3; ++i) runner->submit(frames[i].frame());
    runner->submit(frames[3].frame([&](Failure) { last.set_value(); }));
    script.let_go();
    last.get_future().get();
    CHECK(!runner && frames[1].good() && frames[2].good());
}

TEST(marks_are_handed_out_in_their_turn) {
    scripted::Script script;
    script.hold();
    Runner runner(scripted::program(script), {.inflight = 3});
    Shot first(1), last(2);
    bool in_turn = false;
    runner.submit(first.frame());
    runner.mark(
        [&](Failure failure) { in_turn = !failure && first.times_done == 1 && last.times_done == 0; });
    runner.submit(last.frame());
    script.let_go();
    runner.wait();
    CHECK(in_turn && first.good() && last.good());
}

TEST(what_is_wrong_with_arrays_is_thrown_at_once) {
    scripted::Script script;
    Runner runner(scripted::program(script), {});
    Shot shot(1);
    const auto refused = [&](auto change, ErrorKind kind, const char *part) {
        Frame frame = shot.frame();
        change(frame);
        CHECK_THROWS(runner.submit(std::move(frame)), kind, part);
    };
    refused([](Frame &f) { f.inputs[0].data = nullptr; }, ErrorKind::parameter, "no memory");
    refused([](Frame &f) { f.inputs[0].type = DType::uint8; }, ErrorKind::shape, "uint8");
    refused([](Frame &f) { f.inputs.clear(); }, ErrorKind::shape, "takes 1 inputs");
    refused([](Frame &f) { f.outputs.clear(); }, ErrorKind::shape, "1 outputs");
    refused([](Frame &f) { f.outputs[0].shape = {1, 2, 1, 1}; }, ErrorKind::shape, "expected (1, 1, 1, 1)");
    refused([](Frame &f) { f.outputs[0].data = f.inputs[0].data; }, ErrorKind::parameter, "overlaps");
    CHECK(shot.times_done == 0);
    runner.submit(shot.frame());
    runner.wait();
    CHECK(shot.good());
}

TEST(the_cores_are_shared_out) {
    scripted::Script script;
    const auto program = scripted::program(script);
    // A GPU has a queue, so cores do not limit sessions.
    CHECK(Runner(program, {.inflight = 7}).sessions() == 7);
    script.on_a_gpu = false;
    const int cores = platform::useful_threads();
    const Runner one(program, {.inflight = 1}), many(program, {.inflight = 32}),
        given(program, {.inflight = 32, .threads = cores + 1});
    CHECK(one.sessions() == 1 && one.threads() == cores);
    CHECK(many.sessions() == std::min(32, cores) && many.threads() == std::max(1, cores / 32));
    CHECK(given.sessions() == 1 && given.threads() == cores + 1);
}
