// Tests of the runner's batches: which frames run together, and which memory they use.

#include "tests/engine/runner_frames.h"

using namespace runner_test;

TEST(frames_are_gathered_while_they_may_wait) {
    scripted::Script script;
    Runner runner(scripted::program(script), {.inflight = 2, .max_batch = 4, .max_wait = 1000s});
    std::vector<Shot> frames = shots(8);
    for (std::size_t i = 0; i < 3; ++i) runner.submit(frames[i].frame());
    std::this_thread::sleep_for(20ms);
    CHECK(script.runs == 0); // three wait for a fourth
    runner.submit(frames[3].frame());
    runner.wait();
    CHECK(script.runs == 1 && script.largest_batch == 4);
    for (std::size_t i = 0; i < 4; ++i) CHECK(frames[i].good());
}

TEST(a_frame_waits_for_others_no_longer_than_it_may) {
    scripted::Script script;
    Runner runner(scripted::program(script), {.max_batch = 4, .max_wait = 30ms});
    Shot frame(1);
    const auto begin = std::chrono::steady_clock::now();
    runner.submit(frame.frame());
    runner.wait();
    CHECK(std::chrono::steady_clock::now() - begin >= 30ms);
    CHECK(frame.good() && script.largest_batch == 1);
}

TEST(closing_ends_the_wait_for_others) {
    scripted::Script script;
    Shot frame(1);
    {
        Runner runner(scripted::program(script), {.max_batch = 4, .max_wait = 1000s});
        runner.submit(frame.frame());
    }
    CHECK(frame.good());
}

TEST(a_failing_frame_fails_alone_in_its_batch) {
    scripted::Script script;
    Runner runner(scripted::program(script), {.max_batch = 3, .max_wait = 1000s});
    Shot first(1), failing(scripted::failing), last(3);
    for (Shot *shot : {&first, &failing, &last}) runner.submit(shot->frame());
    runner.wait();
    CHECK(script.largest_batch == 3 && script.runs == 4); // the batch, then each alone
    CHECK(first.good() && last.good() && failing.failed_with(ErrorKind::device));
}

TEST(frames_of_another_size_are_requests_of_their_own) {
    scripted::Script script;
    script.hold();
    Runner runner(scripted::program(script), {.inflight = 1, .max_batch = 8, .max_wait = 1000s});
    std::vector<Shot> frames;
    for (int i = 0; i < 8; ++i) frames.emplace_back(static_cast<float>(i), i % 2 == 0 ? 1 : 3);
    for (Shot &frame : frames) runner.submit(frame.frame());
    runner.close(false); // otherwise the second batch may wait for more frames
    script.let_go();
    runner.wait();
    for (const Shot &frame : frames) CHECK(frame.good());
    CHECK(script.runs == 2 && script.largest_batch == 4);
}

TEST(batches_of_the_callers_count_by_their_images) {
    scripted::Script script;
    Runner runner(scripted::program(script), {.max_batch = 4, .max_wait = 1000s});
    std::vector<float> input{1, 2, 3, 4, 5, 6}, output(6);
    int done = 0;
    for (std::int64_t first : {0, 3}) {
        const Shape shape{3, 1, 1, 1};
        runner.submit({.inputs = {TensorView::dense(input.data() + first, DType::float32, shape)},
                       .outputs = {TensorView::dense(output.data() + first, DType::float32, shape)},
                       .fill = nullptr,
                       .read = nullptr,
                       .done = [&](Failure failure) { done += failure ? 0 : 1; }});
    }
    runner.close(false); // both frames have six images, more than max_batch, so each runs alone
    runner.wait();
    CHECK(done == 2 && script.runs == 2 && script.largest_batch == 3);
    CHECK(output == std::vector<float>({2, 4, 6, 8, 10, 12}));
}

TEST(frames_are_read_and_written_with_their_strides) {
    scripted::Script script;
    Runner runner(scripted::program(script), {.max_batch = 2, .max_wait = 1000s});
    std::vector<float> input{1, 9, 2, 9, 3, 9, 4, 9}, output(8, -5);
    int done = 0;
    for (std::size_t first : {std::size_t{0}, std::size_t{4}}) {
        TensorView source = TensorView::dense(input.data() + first, DType::float32, {1, 2, 1, 1});
        TensorView result = TensorView::dense(output.data() + first, DType::float32, {1, 2, 1, 1});
        source.strides[1] = 2 * sizeof(float);
        result.strides[1] = 2 * sizeof(float);
        runner.submit({.inputs = {source},
                       .outputs = {result},
                       .fill = nullptr,
                       .read = nullptr,
                       .done = [&](Failure failure) { done += failure ? 0 : 1; }});
    }
    runner.wait();
    CHECK(done == 2 && script.runs == 1);
    CHECK(output == std::vector<float>({2, -5, 4, -5, 6, -5, 8, -5}));
}

TEST(frames_that_are_filled_by_the_runner) {
    scripted::Script script;
    Runner runner(scripted::program(script), {.max_batch = 3, .max_wait = 1000s});
    std::vector<Shot> frames = shots(3);
    for (std::size_t i = 0; i < 3; ++i) {
        Frame frame = frames[i].frame();
        frame.inputs[0].data = nullptr;
        frame.fill = [i](std::span<const TensorView> inputs, const WorkSharing &) {
            if (i == 1) fail(ErrorKind::parameter, "no such photo");
            *static_cast<float *>(inputs[0].data) = static_cast<float>(i);
        };
        runner.submit(std::move(frame));
    }
    runner.wait();
    CHECK(frames[0].good() && frames[2].good() && frames[1].failed_with(ErrorKind::parameter));
    CHECK(script.runs == 1 && script.largest_batch == 2); // the one without a photo is not run
}

TEST(outputs_that_are_read_on_the_runners_threads) {
    for (int max_batch : {1, 3}) {
        scripted::Script script;
        Runner runner(scripted::program(script), {.max_batch = max_batch, .max_wait = 1000s});
        std::vector<Shot> frames = shots(6);
        frames[2].input[0] = scripted::failing;
        float results[6] = {};
        for (std::size_t i = 0; i < 6; ++i) {
            Frame frame = frames[i].frame();
            frame.outputs[0].data = nullptr;
            frame.read = [&result = results[i], i](std::span<const TensorView> outputs) {
                if (i == 4) fail(ErrorKind::parameter, "nothing can be made of it");
                result = *static_cast<const float *>(outputs[0].data);
            };
            runner.submit(std::move(frame));
        }
        runner.close(false);
        runner.wait();
        for (std::size_t i = 0; i < 6; ++i) {
            if (i == 2)
                CHECK(frames[i].failed_with(ErrorKind::device) && results[i] == 0.0f);
            else if (i == 4)
                CHECK(frames[i].failed_with(ErrorKind::parameter) && results[i] == 0.0f);
            else
                CHECK(frames[i].times_done == 1 && !frames[i].failure &&
                      results[i] == 2.0f * static_cast<float>(i));
        }
        CHECK(script.largest_batch == max_batch);
    }
}

TEST(images_that_depend_on_each_other_are_not_gathered) {
    scripted::Script script;
    engine::Graph graph("moments");
    const engine::ValueId input = graph.add_input("x", {Shape::any, 2, 2, 1});
    graph.mark_output(graph.add_node("statistics", ops::BatchStatistics{}, {input}));
    const auto program = engine::Program::compile(
        graph, {std::make_shared<scripted::Backend>(script), engine::Precision::float32, ""});
    CHECK_THROWS(Runner(program, {.max_batch = 2}), ErrorKind::parameter,
                 "max_batch must be 1, got 2: layer 'statistics'");
    CHECK(Runner(program, {}).sessions() >= 1);
}
