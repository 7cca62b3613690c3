// Values of one of many types: which type a value has, visits, and the lifetime of values.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/variant.h"
#include "tests/cpp/check.h"

using namespace mpscnn;

namespace {

/// Counts the objects of its kind that exist.
struct Counted {
    static inline int alive = 0;

    Counted() { ++alive; }
    Counted(const Counted &) { ++alive; }
    Counted(Counted &&) noexcept { ++alive; }
    Counted &operator=(const Counted &) = default;
    ~Counted() { --alive; }
};

struct Throwing {
    Throwing() = default;
    Throwing(const Throwing &) { throw Error(ErrorKind::state, "not copied"); }
    Throwing(Throwing &&) noexcept {}
};

struct MixedList : TypeList<int, std::string, std::vector<double>, Counted, Throwing> {};
using Mixed = Variant<MixedList>;

struct Point {
    double x = 0.0, y = 0.0;
};
struct PlainList : TypeList<char, Point, int> {};
using Plain = Variant<PlainList>;

} // namespace

TEST(knows_the_type_of_its_value) {
    CHECK(Mixed().is<int>());
    CHECK(Mixed().as<int>() == 0);
    const Mixed text(std::string("a text that is longer than a small string"));
    CHECK(text.index() == 1);
    CHECK(text.is<std::string>());
    CHECK(!text.is<int>());
    CHECK(text.get_if<int>() == nullptr);
    CHECK(text.get_if<std::string>() == &text.as<std::string>());
    CHECK(MixedList::has<std::string> && !MixedList::has<float>);
}

TEST(visits_the_value_of_each_type) {
    const auto size = [](const Mixed &value) {
        return value.visit([]<class T>(const T &) { return sizeof(T); });
    };
    CHECK(size(1) == sizeof(int));
    CHECK(size(std::string()) == sizeof(std::string));
    CHECK(size(Counted()) == sizeof(Counted));
    Plain changed(Point{1.0, 2.0});
    changed.visit([]<class T>(T &value) {
        if constexpr (std::is_same_v<T, Point>) value.y = 3.0;
    });
    CHECK(changed.as<Point>().x == 1.0);
    CHECK(changed.as<Point>().y == 3.0);
}

TEST(copies_and_moves_values) {
    const std::vector<double> numbers{1.0, 2.0, 3.0};
    Mixed first(numbers), second(first);
    CHECK(second.as<std::vector<double>>() == numbers);
    second = Mixed(std::string("text"));
    CHECK(second.as<std::string>() == "text");
    const double *data = first.as<std::vector<double>>().data();
    second = std::move(first);
    CHECK(second.as<std::vector<double>>().data() == data);
    Mixed &same = second;
    second = same;
    CHECK(second.as<std::vector<double>>() == numbers);
    second = std::move(same);
    CHECK(second.as<std::vector<double>>() == numbers);
    Plain plain('a');
    plain = Plain(Point{4.0, 5.0});
    const Plain copy = plain;
    CHECK(copy.as<Point>().y == 5.0);
}

TEST(destroys_each_value_once) {
    {
        Mixed value{Counted()};
        CHECK(Counted::alive == 1);
        Mixed copy = value;
        CHECK(Counted::alive == 2);
        copy = Mixed(1);
        CHECK(Counted::alive == 1);
        copy = value;
        CHECK(Counted::alive == 2);
    }
    CHECK(Counted::alive == 0);
}

TEST(keeps_its_value_if_a_copy_throws) {
    const Mixed throwing{Throwing()};
    Mixed value(std::string("kept"));
    CHECK_THROWS(value = throwing, ErrorKind::state, "not copied");
    CHECK(value.as<std::string>() == "kept");
}

TEST(maps_the_types_of_a_list) {
    constexpr auto sizes = PlainList::map([]<class T>() { return sizeof(T); });
    CHECK(sizes.size() == 3);
    CHECK(sizes[1] == sizeof(Point));
    int count = 0;
    PlainList::for_each([&]<class T>() { ++count; });
    CHECK(count == 3);
}
