// Tests of preflights: a user's network runs on both engines in another process before "auto" takes a device.

#include "engine/run/preflight.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/platform.h"
#include "engine/file/model_file.h"
#include "engine/run/network_check.h"
#include "engine/trust/check_record.h"
#include "engine/trust/device_trust.h"
#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"
#include "tests/engine/spoiled_backend.h"

using namespace mpscnn;
using namespace std::chrono_literals;
using engine::BackendChoice;
using engine::CheckProgram;

namespace {

namespace fs = std::filesystem;

engine::Graph network(const std::string &name = "photo", std::int64_t channels = 6) {
    small::Network made;
    made.graph = engine::Graph(name);
    const engine::ValueId x = made.input({Shape::any, 9, 7, 3});
    const engine::ValueId y = made.add(small::convolution(channels, small::window(3)), {x}, small::relu);
    made.output(made.add(ops::Softmax{}, {y}));
    return made.graph;
}

/// A temporary cache, and a device that has passed its check.
class Bench {
public:
    explicit Bench(float wrong_part = 0) {
        std::string name = (fs::temp_directory_path() / "mpscnn_preflight_XXXXXX").string();
        if (!mkdtemp(name.data())) std::abort();
        path = name;
        setenv("MPSCNN_CACHE", (path / "cache").c_str(), 1);
        setenv("TMPDIR", name.c_str(), 1);
        auto spoiled = std::make_shared<SpoiledBackend>("photo", wrong_part);
        spoiled->identity_ = "device of " + name;
        device = spoiled;
    }
    ~Bench() {
        for (const char *variable : {"MPSCNN_CACHE", "MPSCNN_PREFLIGHT", "TMPDIR"}) unsetenv(variable);
        fs::remove_all(path);
    }
    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    BackendChoice automatic() const { return {device, engine::Precision::float32, "chosen", "", true}; }
    /// Return a check program that greets, and then runs a script.
    CheckProgram script(const std::string &text, std::chrono::milliseconds limit = 60s) const {
        return {"/bin/sh",
                {"-c", "echo >> '" + (path / "runs").string() + "'; printf '%s' \"$0\" > '" +
                           (path / "request").string() + "'; echo '" + engine::check_greeting(*device) +
                           "'; echo '@mpscnn case 0'; " + text},
                limit};
    }
    /// Return a check program that reports times of the CPU engine and of the device.
    CheckProgram times(std::int64_t cpu, std::int64_t of_device) const {
        return script("echo '@mpscnn times " + std::to_string(cpu) + " " + std::to_string(of_device) +
                      "'; echo '@mpscnn right'; echo '@mpscnn end'");
    }
    long runs() const {
        std::ifstream file(path / "runs");
        return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
    }
    /// Return the texts of the records of networks.
    std::vector<std::string> records() const {
        std::vector<std::string> texts;
        const fs::path folder = path / "cache" / "self_check" / "networks";
        if (!fs::exists(folder)) return texts;
        for (const auto &entry : fs::directory_iterator(folder))
            std::getline(std::ifstream(entry.path()), texts.emplace_back(), '\0');
        return texts;
    }
    /// Check a network as the process in the background does, and then choose as the user's process does.
    BackendChoice check(const CheckProgram &program, const engine::Graph &graph = network(),
                        const engine::CompileOptions &options = {}) const {
        engine::verdict_of_preflight(automatic(), graph, options, program);
        return choose(program, graph, options);
    }
    BackendChoice choose(const CheckProgram &program, const engine::Graph &graph = network(),
                         const engine::CompileOptions &options = {}) const {
        return engine::after_preflight(automatic(), graph, options, program);
    }

    fs::path path;
    std::shared_ptr<const engine::Backend> device;
};

bool has(const std::string &text, std::string_view part) {
    if (text.find(part) != text.npos) return true;
    std::printf("  %s\n", text.c_str());
    return false;
}

std::string device_of(const BackendChoice &choice) { return choice.backend->name(); }

} // namespace

TEST(the_faster_engine_takes_a_network) {
    Bench bench;
    const BackendChoice fast = bench.check(bench.times(5'000'000, 2'000'000));
    CHECK(device_of(fast) == "spoiled" && fast.warning.empty());
    CHECK(has(fast.reason, "chosen; the CPU engine ran an image in 5 ms, the device in 2 ms"));
    // The result is known, and on record without the values of weights.
    CHECK(device_of(bench.check(bench.times(1, 2))) == "spoiled" && bench.runs() == 1);
    CHECK(bench.records().size() == 1 && has(bench.records().at(0), "\ntimes 5000000 2000000\n"));
    CHECK(has(bench.records().at(0), "\nnetwork 'photo', float32, "));

    const engine::Graph other = network("other");
    const BackendChoice slow = bench.check(bench.times(1'000'000, 2'000'000), other);
    CHECK(device_of(slow) == "cpu" && slow.warning.empty());
    CHECK(has(slow.reason,
              "'Spoiled CPU' is not used for network 'other': the CPU engine ran an image in 1 ms"));
    setenv("MPSCNN_PREFLIGHT", "results", 1);
    CHECK(device_of(bench.check(bench.times(1, 2), other)) == "spoiled");
}

TEST(close_times_are_measured_again_another_day) {
    for (const auto &[cpu, of_device, close] :
         std::vector<std::tuple<std::int64_t, std::int64_t, bool>>{{2'000'000, 1'100'000, true},
                                                                   {1'000'000, 1'900'000, true},
                                                                   {2'000'000, 900'000, false},
                                                                   {1'000'000, 2'000'000, false}}) {
        Bench bench;
        bench.check(bench.times(cpu, of_device));
        CHECK(bench.records().size() == 1);
        CHECK((bench.records().at(0).find("\nuntil ") != std::string::npos) == close);
    }
}

TEST(a_process_in_the_background_tells_its_verdict) {
    Bench bench;
    const auto reporting = [&](const char *verdict) {
        return bench.script("echo '@mpscnn network " + std::string(verdict) + "'; exec sleep 3");
    };
    const BackendChoice fast =
        bench.choose(reporting(R"({"refused": "", "cpu": 5000000, "device": 2000000, "cold": false})"));
    CHECK(device_of(fast) == "spoiled" && has(fast.reason, "the device in 2 ms") && bench.runs() == 1);
    CHECK(device_of(bench.choose(reporting(""))) == "spoiled" && bench.runs() == 1); // it is known
    const BackendChoice wrong =
        bench.choose(reporting(R"({"refused": "result (0) is 7", "cpu": 0, "device": 0, "cold": false})"),
                     network("wrong"));
    CHECK(device_of(wrong) == "cpu");
    CHECK(has(wrong.warning, "result (0) is 7"));
    CHECK(bench.records().empty()); // the process in the background writes them
}

TEST(times_of_a_cold_device_count_until_others_are_on_record) {
    Bench bench;
    const BackendChoice first = bench.choose(bench.script(
        R"(echo '@mpscnn network {"refused": "", "cpu": 1000000, "device": 2000000, "cold": true}'; exec sleep 3)"));
    CHECK(device_of(first) == "cpu" && first.warning.empty());
    CHECK(has(first.reason, "the device in 2 ms before its clock had risen; later programs take times"));
    CHECK(device_of(bench.choose(bench.times(1, 1))) == "cpu" && bench.runs() == 1); // it is waited for once
    // The process in the background measures the network again, and writes the record.
    engine::verdict_of_preflight(bench.automatic(), network(), {}, bench.times(1'000'000, 500'000), {}, true);
    CHECK(bench.records().empty());
    engine::verdict_of_preflight(bench.automatic(), network(), {}, bench.times(1'000'000, 500'000));
    CHECK(bench.records().size() == 1 && bench.runs() == 3);
    const BackendChoice later = bench.choose(bench.times(1, 1));
    CHECK(device_of(later) == "spoiled" && bench.runs() == 3);
    CHECK(later.reason.ends_with("; the CPU engine ran an image in 1 ms, the device in 0.5 ms"));
}

TEST(a_process_in_the_background_is_waited_for_once) {
    Bench bench;
    setenv("MPSCNN_PREFLIGHT_SECONDS", "0.5", 1);
    for (int turn = 0; turn < 2; ++turn) {
        const BackendChoice choice = bench.choose(bench.script("exec sleep 3"), network("slow"));
        CHECK(device_of(choice) == "cpu" && choice.warning.empty());
        CHECK(has(choice.reason, "its preflight has not ended; it goes on in the background"));
    }
    CHECK(bench.runs() == 1 && bench.records().empty());
    unsetenv("MPSCNN_PREFLIGHT_SECONDS");
}

TEST(a_network_that_fails_on_a_device_runs_on_the_cpu) {
    for (const auto &[commands, reason] : std::vector<std::pair<std::string, std::string>>{
             {"echo '@mpscnn wrong result (0, 3) is 7'; echo '@mpscnn end'", "result (0, 3) is 7"},
             {"echo 'failed assertion' >&2; kill -ABRT $$", "signal 6"},
             {"kill -SEGV $$", "signal 11"}}) {
        Bench bench;
        for (int turn = 0; turn < 2; ++turn) {
            const BackendChoice choice = bench.check(bench.script(commands));
            CHECK(device_of(choice) == "cpu" && choice.reason == choice.warning);
            CHECK(has(choice.warning, "device 'Spoiled CPU' is not used for network 'photo': "));
            CHECK(has(choice.warning, reason) && has(choice.warning, "MPSCNN_PREFLIGHT=off"));
        }
        CHECK(bench.runs() == 1 && bench.records().size() == 1);
        CHECK(has(bench.records().at(0), "\nrefused: ") && has(bench.records().at(0), reason));
        // Other networks of the device are not concerned.
        CHECK(device_of(bench.check(bench.times(2, 1), network("other"))) == "spoiled");
    }
}

TEST(a_network_that_hangs_is_given_up_and_tried_again_by_the_next_process) {
    Bench bench;
    const BackendChoice choice = bench.check(bench.script("exec sleep 1000", 1s));
    CHECK(device_of(choice) == "cpu" && has(choice.warning, "no answer came within 1 s"));
    CHECK(bench.runs() == 2 && has(bench.records().at(0), "\nsilent 1\n"));
    // The limit counts from the last line on.
    const std::string slow = "for i in 1 2 3 4; do sleep 0.4; echo '@mpscnn goes on'; done; ";
    CHECK(device_of(bench.check(bench.script(slow + "echo '@mpscnn right'; echo '@mpscnn end'", 1s),
                                network("slow"))) == "spoiled");
}

TEST(a_check_that_does_not_begin_or_is_interrupted_is_not_recorded) {
    Bench bench;
    const CheckProgram none{"/no/such/mpscnn-check", {}, 60s};
    if (!std::getenv("MPSCNN_EMULATED")) { // qemu's posix_spawn reports no missing program
        const BackendChoice choice = bench.check(none);
        CHECK(device_of(choice) == "spoiled" && choice.reason == "chosen" && choice.warning.empty());
    }
    CHECK(device_of(bench.check(bench.script("kill -INT $$"), network("stopped"))) == "cpu");
    CHECK(bench.records().empty());
    CHECK(device_of(bench.check(bench.times(2, 1), network("stopped"))) == "spoiled");
}

TEST(a_preflight_can_be_turned_off) {
    Bench bench;
    for (const char *variable : {"MPSCNN_PREFLIGHT", "MPSCNN_SKIP_SELF_CHECK"}) {
        setenv(variable, variable == std::string("MPSCNN_PREFLIGHT") ? "off" : "1", 1);
        CHECK(device_of(bench.check(bench.script("exit 1"))) == "spoiled");
        unsetenv(variable);
    }
    CHECK(bench.runs() == 0 && bench.records().empty());
    setenv("MPSCNN_PREFLIGHT", "no", 1);
    CHECK_THROWS(bench.check(bench.times(1, 2)), ErrorKind::parameter,
                 "MPSCNN_PREFLIGHT must be on, results or off, got 'no'");
}

TEST(only_networks_that_a_file_can_hold_are_checked) {
    Bench bench;
    engine::Graph trains("trains");
    const engine::ValueId x = trains.add_input("x", {Shape::any, 4});
    trains.add_variable("w", {2, 4});
    trains.mark_output(trains.add_node("y", ops::Softmax{}, {x}));
    CHECK(device_of(bench.check(bench.script("exit 1"), trains)) == "spoiled" && bench.runs() == 0);
}

TEST(the_record_is_of_the_layers_the_options_and_the_device) {
    Bench bench;
    const auto is_new = [&](const engine::Graph &graph, const engine::CompileOptions &options) {
        const long before = bench.runs();
        bench.check(bench.times(2, 1), graph, options);
        return bench.runs() > before;
    };
    CHECK(is_new(network(), {}));
    engine::Graph weights = network();
    const engine::Node &first = weights.nodes().front();
    weights.set_weight(first.name, "weight",
                       engine::WeightTensor::from_floats(first.weights.at("weight").shape(),
                                                         std::vector<float>(6 * 9 * 3, 0.5f)));
    CHECK(!is_new(weights, {}));
    CHECK(is_new(network("photo", 5), {}));
    CHECK(is_new(network(), {.winograd = false}));
    CHECK(is_new(network(), {.metal_kernels = "own"}));
    CHECK(is_new(network(), {.weights = "int8"}));
    auto other = std::make_shared<SpoiledBackend>("photo", 0.0f);
    other->identity_ = bench.device->identity() + " with a newer system";
    bench.device = other;
    CHECK(is_new(network(), {}));
}

TEST(records_of_another_version_and_damaged_ones_are_ignored) {
    Bench bench;
    bench.check(bench.times(2, 1));
    const engine::CheckedThing thing(bench.device->identity(), "network 'photo'");
    for (const char *text :
         {"times 1 2\n", "times 1\n", "times 1 2 3\n", "times 1 2", "times x y\n", "times 0 5\n"}) {
        engine::remember(thing, {});
        for (const auto &entry : fs::directory_iterator(bench.path / "cache" / "self_check" / "networks"))
            std::ofstream(entry.path()) << engine::check_record_of(thing) << text;
        const auto verdict = engine::verdict_on_record(thing);
        CHECK(verdict.has_value() == (text == std::string("times 1 2\n")));
        if (verdict) CHECK(verdict->times.cpu == 1 && verdict->times.device == 2);
    }
    for (const auto &entry : fs::directory_iterator(bench.path / "cache" / "self_check" / "networks"))
        std::ofstream(entry.path()) << "mpscnn 0.0.1\n" << thing.device << "\nnetwork 'photo'\ntimes 1 2\n";
    CHECK(!engine::verdict_on_record(thing));
}

TEST(a_new_check_of_the_device_forgets_its_networks) {
    Bench bench;
    bench.check(bench.times(2, 1));
    CHECK(bench.records().size() == 1);
    engine::check_again(*bench.device, *cpu::make_cpu_backend(), {"/no/such/mpscnn-check", {}, 60s});
    CHECK(bench.records().empty());
    bench.check(bench.times(2, 1));
    CHECK(bench.runs() == 2);
}

TEST(the_newest_thousand_files_of_networks_are_kept) {
    Bench bench;
    const fs::path folder = bench.path / "cache" / "self_check" / "networks";
    fs::create_directories(folder);
    const auto now = fs::file_time_type::clock::now();
    const auto put = [&](int age) {
        const fs::path path = folder / (std::to_string(age) + (age % 2 ? ".txt" : ".begun"));
        std::ofstream(path) << "old\n";
        fs::last_write_time(path, now - std::chrono::minutes(age));
    };
    const auto count = [&] { return std::distance(fs::directory_iterator(folder), {}); };
    for (int age = -2; age < 998; ++age) put(age); // two files are from a clock that is ahead
    const auto thing = [&](int i) {
        return engine::CheckedThing(bench.device->identity(), "network " + std::to_string(i));
    };
    engine::remember(bench.device->identity(), {}); // a record of the device deletes none of a network
    CHECK(count() == 1000);
    engine::remember(thing(0), {});
    CHECK(count() == 1000 && engine::verdict_on_record(thing(0)));
    CHECK(!fs::exists(folder / "997.txt") && fs::exists(folder / "996.begun"));

    // Threads delete the same files, as processes do.
    for (int age = 1000; age < 1100; ++age) put(age);
    std::vector<std::thread> threads;
    for (int i = 1; i <= 4; ++i) threads.emplace_back([&, i] { engine::remember(thing(i), {}); });
    for (std::thread &thread : threads) thread.join();
    CHECK(count() <= 1000 && !fs::exists(folder / "1000.begun"));
    for (int i = 0; i <= 4; ++i) CHECK(engine::verdict_on_record(thing(i)));
}

TEST(a_network_that_stopped_the_machine_is_not_checked_again) {
    Bench bench;
    const auto check_device_again = [&] {
        engine::check_again(*bench.device, *cpu::make_cpu_backend(), {"/no/such/mpscnn-check", {}, 60s});
    };
    bench.check(bench.times(2, 1)); // tells the name of the record
    const fs::path folder = bench.path / "cache" / "self_check" / "networks";
    fs::path marker = *fs::directory_iterator(folder);
    check_device_again(); // forgets the result
    fs::create_directories(folder);
    std::ofstream(marker.replace_extension(".begun")) << platform::boot_time() - 60 << " 00000000\n";
    CHECK(has(bench.check(bench.times(2, 1)).warning, "the machine stopped or was started again"));
    CHECK(bench.runs() == 1);
    check_device_again();
    CHECK(device_of(bench.check(bench.times(2, 1))) == "spoiled" && bench.runs() == 2);
}

TEST(a_device_that_is_named_is_used_with_a_warning) {
    Bench bench;
    const auto named = [&] {
        BackendChoice choice = bench.automatic();
        choice.automatic = false;
        return engine::with_recorded_warning(std::move(choice), network(), {});
    };
    CHECK(named().warning.empty() && bench.runs() == 0);
    bench.check(bench.script("echo '@mpscnn wrong result (0) is 7'; echo '@mpscnn end'"));
    CHECK(device_of(named()) == "spoiled" && bench.runs() == 1);
    CHECK(has(named().warning,
              "network 'photo' runs on device 'Spoiled CPU' as asked, but its check there has "
              "failed: result (0) is 7"));
    setenv("MPSCNN_PREFLIGHT", "off", 1);
    CHECK(named().warning.empty());
}

namespace {

/// Return the report of a check of a network in this process.
std::vector<std::string> report_of(const Bench &bench, const engine::Graph &graph, const char *precision) {
    const fs::path file = bench.path / "network";
    engine::ModelFile model;
    model.graph = graph;
    std::ofstream stream(file, std::ios::binary);
    model.write([&](std::string_view piece) { stream << piece; });
    stream.close();
    engine::NetworkRequest request{file.string(), {}, {}, {}};
    request.options.precision = precision;
    std::vector<std::string> lines;
    engine::run_requested_network(bench.device, cpu::make_cpu_backend(),
                                  *engine::NetworkRequest::parse(request.text()),
                                  [&](const std::string &line) { lines.push_back(line); });
    CHECK(!fs::exists(file));
    return lines;
}

} // namespace

TEST(the_check_program_compares_results_and_measures_times) {
    for (const char *precision : {"float32", "float16"}) {
        Bench right;
        const std::vector<std::string> lines = report_of(right, network(), precision);
        CHECK(lines.front() == engine::check_greeting(*right.device) && lines.back() == "@mpscnn end");
        CHECK(lines.at(lines.size() - 2) == "@mpscnn right");
        CHECK(lines.at(lines.size() - 3).starts_with("@mpscnn times "));
        Bench wrong(0.5f);
        const std::vector<std::string> said = report_of(wrong, network(), precision);
        CHECK(has(said.at(said.size() - 2), "@mpscnn wrong output 'softmax2' in "));
        CHECK(has(said.at(said.size() - 2), "result (0, 8, 6, 5) is "));
        CHECK(has(said.at(said.size() - 2), "(1 of 378 differ)"));
    }
}

namespace {

/// A device whose compilation takes some time and fails.
class FailingBackend : public SpoiledBackend {
public:
    FailingBackend() : SpoiledBackend("photo", 0) {}
    std::unique_ptr<engine::LoweredGraph> lower(const engine::Graph &,
                                                const engine::LowerOptions &) const override {
        ++calls;
        std::this_thread::sleep_for(20ms);
        fail(ErrorKind::device, "the device did not answer");
    }
    mutable int calls = 0;
};

} // namespace

TEST(a_network_whose_device_does_not_answer_in_time_is_not_tried_a_second_time) {
    for (const auto &[limit, calls] : {std::pair("0.01", 1), std::pair("60", 2)}) {
        Bench bench;
        const auto failing = std::make_shared<FailingBackend>();
        bench.device = failing;
        setenv("MPSCNN_COREML_SECONDS", limit, 1);
        const std::vector<std::string> said = report_of(bench, network(), "float32");
        unsetenv("MPSCNN_COREML_SECONDS");
        CHECK(has(said.at(said.size() - 2), "@mpscnn wrong the device did not answer"));
        CHECK(failing->calls == calls);
    }
}

TEST(free_sizes_become_a_size_that_the_network_takes) {
    small::Network free;
    free.graph = engine::Graph("free");
    const engine::ValueId x = free.input({Shape::any, Shape::any, Shape::any, 3});
    free.output(free.add(small::convolution(2, small::window(3, 1, ops::PaddingPolicy::valid)), {x}));
    CHECK(engine::shapes_for_preflight(free.graph)->at(0) == Shape({1, 224, 224, 3}));
    CHECK(engine::shapes_for_preflight(network())->at(0) == Shape({1, 9, 7, 3}));
}

TEST(what_is_no_request_for_a_network_is_left_to_others) {
    CHECK(!engine::NetworkRequest::parse("cases 1 2"));
    CHECK_THROWS(engine::NetworkRequest::parse("network {}"), ErrorKind::parameter, "request");
    engine::NetworkRequest request{"a file", {}, {"softmax by MPSCNNSoftMax"}, {}};
    request.options.winograd = false;
    const auto read = engine::NetworkRequest::parse(request.text());
    CHECK(read && read->text() == request.text() && !read->options.winograd);
}
