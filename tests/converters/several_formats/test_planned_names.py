"""Test that layers get the names that they would have if merged layers had never been there."""

from __future__ import annotations

from mpscnn.converters.finishing.planned_names import PlannedNames


def test_numbers_do_not_count_layers_that_are_gone() -> None:
    names = PlannedNames()
    first, activation, second = (names.unique("conv") for _ in range(3))
    assert [first, activation, second] == ["conv", "conv_2", "conv_3"]
    final = names.finished({activation})
    assert [final.final_of(name) for name in (first, second)] == ["conv", "conv_2"]
    assert final.unique("conv") == "conv_3"


def test_parts_follow_the_name_of_their_layer() -> None:
    names = PlannedNames()
    gone = names.unique("lstm")
    layer = names.unique("lstm")
    names.take([f"{layer}/input", f"{layer}/state/rows"])
    final = names.finished({gone})
    assert final.final_of("lstm_2/state/rows") == "lstm/state/rows"
    assert final.unique("lstm/input") == "lstm/input_2"


def test_a_stem_may_be_known_only_at_the_end() -> None:
    names = PlannedNames()
    title = "first"
    name = names.unique(title, lambda _: title)
    title = "last"
    assert names.finished(()).final_of(name) == "last"
