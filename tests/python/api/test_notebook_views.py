"""Test the HTML of networks, models and results in notebooks: well-formed, complete, and safe for all names."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import mpscnn
from mpscnn.comparison.layer_comparison import error_picture
from mpscnn.graph.layering import assign_rows
from mpscnn.graph.network_view import describe_layer

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"' & \u202e\x1b[31m"
SHOWN = "<script>alert(1)</script><img src=x onerror=alert(1)>\"' & \\u202e\\x1b[31m"
TAGS = {
    *(
        "div",
        "p",
        "b",
        "br",
        "details",
        "summary",
        "table",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "th",
        "td",
        "img",
    ),
    *("svg", "g", "title", "rect", "path", "text"),
}
EMPTY = {"br", "img"}


class Page(HTMLParser):
    """A parser that counts elements and collects text. Unexpected elements raise AssertionError."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.texts: list[str] = []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        for name, value in attributes:
            assert not name.startswith("on"), name
            assert name not in ("href", "srcdoc"), name
            assert name != "src" or str(value).startswith("data:image/png;base64,")
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def hostile_network() -> mpscnn.Network:
    net = mpscnn.Network(input={f"photo {HOSTILE}": (8, 8, 3)}, name=HOSTILE)
    x = net.global_average_pool2d(net.input, name=f"pool {HOSTILE}")
    net.output(net.softmax(net.dense(net.flatten(x), 2, name=f"dense {HOSTILE}")))
    net.initialize_weights(seed=0)
    net.labels, net.preprocess = [f"red {HOSTILE}", f"blue {HOSTILE}"], "unit"
    return net


def hostile_profile() -> mpscnn.Profile:
    session = hostile_network().compile(device="cpu").session(threads=1)
    return session.profile(np.zeros((1, 8, 8, 3), np.float32), runs=1)


def hostile_detections() -> mpscnn.Detections:
    one = mpscnn.Detection(HOSTILE, 0.5, mpscnn.Box(1, 1, 4, 4), 0)
    return mpscnn.Detections((one,), (8, 8), "cpu", "float32", "", 1.0, Image.new("RGB", (8, 8)))


def hostile_evaluation() -> mpscnn.Evaluation:
    model = mpscnn.Model(hostile_network())
    return mpscnn.evaluate(model, [(Image.new("RGB", (8, 8), color), 0) for color in ("red", "blue")])


def history(count: int = 3) -> mpscnn.History:
    return mpscnn.History(
        tuple(mpscnn.Epoch(i, 1.0 / i, 0.5, None, None, 0.1, 1.0) for i in range(1, count + 1))
    )


def one_image(network: mpscnn.Network) -> list[np.ndarray]:
    return [np.zeros((1, *network.input.shape[1:]), np.float32)]


def hostile_quantization() -> mpscnn.QuantizationReport:
    layer = mpscnn.QuantizedLayer(HOSTILE, "convolution", -1.0, 1.0, 0.1, 0.2)
    return mpscnn.QuantizationReport(HOSTILE, 1, 1, "images", None, None, None, 0.1, False, (), {}, (layer,))


#: Results that are tables.
REPORTS: dict[str, Callable[[], Any]] = {
    "Comparison": lambda: mpscnn.compare(hostile_network(), hostile_network()),
    "Profile": hostile_profile,
    "PrecisionReport": lambda: mpscnn.check_precision(hostile_network(), one_image(hostile_network())),
    "PrecisionTable": lambda: mpscnn.compare_precisions(
        mpscnn.load().network, one_image(mpscnn.load().network), runs=1
    ),
    "QuantizationReport": hostile_quantization,
    "Evaluation": hostile_evaluation,
    "DetectorEvaluation": lambda: mpscnn.DetectorEvaluation(1, *[0.5] * 7, {HOSTILE: 0.5}, (), 1.0),
    "SegmenterEvaluation": lambda: mpscnn.SegmenterEvaluation((HOSTILE,), np.ones((1, 2), np.int64), 1, 1.0),
    "Description": lambda: hostile_network().describe(),
}
VIEWS: dict[str, tuple[Callable[[], Any], bool]] = {
    "Network": (hostile_network, True),
    "Model": (lambda: mpscnn.Model(hostile_network()), True),
    **{name: (make, name != "PrecisionTable") for name, make in REPORTS.items()},
    "Classification": (lambda: mpscnn.Model(hostile_network()).predict(Image.new("RGB", (8, 8))), True),
    "Detections": (hostile_detections, True),
    "Segmentation": (
        lambda: mpscnn.Segmentation(
            np.zeros((8, 8), np.uint8), (HOSTILE,), "cpu", "float32", "", 1.0, photo=Image.new("RGB", (8, 8))
        ),
        True,
    ),
    "History": (history, False),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_are_well_formed_whatever_the_names_are(name: str) -> None:
    make, has_names = VIEWS[name]
    page = Page(make()._repr_html_())
    assert ("<script>" in page.text) == has_names
    if has_names:
        assert SHOWN in page.text
    assert "\u202e" not in page.text
    assert "\x1b" not in page.text


@pytest.mark.parametrize("name", [*REPORTS, "History"])
def test_tables_become_rows_of_numbers(name: str) -> None:
    """CSV and pandas have a row for each entry, with names of columns and with numbers as numbers."""
    report = VIEWS[name][0]()
    names, *rows = csv.reader(io.StringIO(report.to_csv()))
    assert rows
    assert len(set(names)) == len(names)
    assert all(len(row) == len(names) for row in rows)
    assert any(re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell) for cell in rows[0])
    if name not in ("History", "Description"):
        assert json.loads(report.to_json()) == json.loads(json.dumps(report.to_dict()))
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    frame = report.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert (list(frame.columns), len(frame)) == (names, len(rows))


def test_network() -> None:
    net = mpscnn.Network(input=(None, None, 3), name="residual")
    x = net.conv2d(net.input, 8, 3, padding="same", strides=2, activation="relu6", name="first")
    y = net.depthwise_conv2d(x, 3, padding="same", name="each")
    net.output(net.add(x, net.activation(y, "swish", name="smooth"), name="sum"))
    net.initialize_weights(seed=0)
    content = net._repr_html_()
    page = Page(content)
    for text in (
        "convolution 3 x 3 / 2, relu6",
        "depthwise convolution 3 x 3",
        "? x ? x 8",
        "swish",
        "304",
        f": 4 layers, {net.num_parameters} parameters",
    ):
        assert text in page.text, text
    assert page.counts["svg"] == 1
    # There is a row for each input and layer, and the table has a head and a foot.
    assert page.counts["g"] == page.counts["tr"] - 2 == 5
    assert page.counts["path"] == 5  # one line for each input of a layer
    assert content.count('stroke="black"') == 1  # the box of the output


@pytest.mark.parametrize("operation", mpscnn.operations(), ids=lambda operation: operation["name"])
def test_layers_of_each_operation_are_described(operation: dict[str, Any]) -> None:
    attributes = {parameter["name"]: parameter["default"] for parameter in operation["parameters"]}
    text = describe_layer({"operation": operation["name"], "attributes": attributes}, 3)
    words = operation["name"].replace("_", " ")
    assert text == "none" if words == "neuron" else words in text


def test_a_network_of_too_many_layers_is_a_table() -> None:
    net = mpscnn.Network(input=(2,))
    x = net.input
    for _ in range(601):
        x = net.relu(x)
    net.output(x)
    page = Page(net._repr_html_())
    assert "svg" not in page.counts
    assert "it has more than 600 layers" in page.text
    assert page.counts["tr"] == 604


def test_model() -> None:
    model = mpscnn.load()
    page = Page(model._repr_html_())
    for text in (
        "classification",
        "10 classes",
        "Apache-2.0",
        ", ".join(model.labels or []),
        "block1_project",
    ):
        assert text in page.text, text
    plain = mpscnn.Network(input=(3,))
    plain.output(plain.relu(plain.input))
    assert "takes no photos" in Page(mpscnn.Model(plain)._repr_html_()).text


def test_comparison() -> None:
    """A picture shows the errors, and a table the layers."""
    first, second = (mpscnn.load().network for _ in range(2))
    weights = first.weights
    # softmax is not changed by a number added to all scores
    second.set_weights({"classifier.bias": weights["classifier.bias"] + 1000})
    compared = mpscnn.compare(first, second)
    assert [layer.name for layer in compared.layers if not compared.is_equal(layer)] == ["classifier"]
    content = compared._repr_html_()
    page = Page(content)
    assert page.counts["img"] == 1
    assert page.counts["tr"] == len(compared.layers) + 1
    assert compared.verdict() in page.text


def test_bars_of_errors_are_logarithmic() -> None:
    """Bars beyond the tolerance have another colour."""
    errors = [("a", 0.0), ("b", 1e-9), ("c", 1e-4), ("d", 10.0), ("e", math.inf), ("f", 1e-3)]
    pixels = np.asarray(error_picture("two networks", errors, 1e-3)).astype(int)
    equal, different = ((pixels == color).all(-1) for color in ((120, 170, 230), (220, 90, 80)))
    # A line at the tolerance hides a column of longer bars.
    assert (equal | different).sum(1)[54 + 4 :: 18][:6].tolist() == [1, 1, 301, 600, 600, 360]
    assert different.any(1)[54 + 4 :: 18][:6].tolist() == [False, False, False, True, True, False]


def test_profile() -> None:
    profile = hostile_profile()
    content = profile._repr_html_()
    page = Page(content)
    assert page.counts["table"] == 2
    assert page.counts["tr"] == len(profile.steps) + len(profile.by_kind()) + 2
    assert content.count("background:steelblue") == len(profile.steps) + len(profile.by_kind())
    widths = [int(width) for width in re.findall(r"width:(\d+)px;height", content)][-len(profile.steps) :]
    assert max(widths) == 120
    longest = max(profile.steps, key=lambda step: step.share)
    assert widths[profile.steps.index(longest)] == 120


def test_history() -> None:
    page = Page(history(3)._repr_html_())
    assert page.counts["img"] == 1
    assert "3 epochs" in page.text
    assert "1 epoch" in Page(history(1)._repr_html_()).texts
    assert "img" not in Page(history(0)._repr_html_()).counts
    one = dataclasses.replace(history(1)[0], loss=math.nan)
    Page(mpscnn.History((one,))._repr_html_())


# ---- The drawing ---------------------------------------------------------------------------------------------------

BOX, GAPS = (100.0, 30.0), (10.0, 20.0)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Draw a graph as a mapping from each node to the earlier nodes that it reads."""
    nodes: dict[str, list[str]] = {}
    for index in range(draw(st.integers(1, 14))):
        known = list(nodes)
        nodes[f"n{index}"] = draw(st.lists(st.sampled_from(known), max_size=3)) if known else []
    return nodes


def is_within(x: float, y: float, place: Any) -> bool:
    return abs(x - place.x) < BOX[0] / 2 and abs(y - place.y) < BOX[1] / 2


@given(graphs())
def test_boxes_do_not_overlap_and_lines_pass_between_them(nodes: dict[str, list[str]]) -> None:
    drawing = assign_rows(nodes, box=BOX, gaps=GAPS)
    places = list(drawing.places.items())
    for index, (name, place) in enumerate(places):
        assert BOX[0] / 2 <= place.x <= drawing.width - BOX[0] / 2
        assert 0 <= place.y <= drawing.height
        for source in nodes[name]:
            assert drawing.places[source].y + BOX[1] + GAPS[1] <= place.y
        for _, other in places[:index]:
            assert abs(place.x - other.x) >= BOX[0] + GAPS[0] or abs(place.y - other.y) >= BOX[1]
    wanted = [(source, name) for name, sources in nodes.items() for source in dict.fromkeys(sources)]
    assert len(drawing.lines) == len(wanted)
    for (source, name), line in zip(wanted, drawing.lines, strict=True):
        assert line[0] == (drawing.places[source].x, drawing.places[source].y + BOX[1] / 2)
        assert line[-1] == (drawing.places[name].x, drawing.places[name].y - BOX[1] / 2)
        for (x, y), (next_x, next_y) in pairwise(line):
            assert next_y > y
            for _, place in places:
                for part in np.linspace(0.1, 0.9, 5):
                    # A line changes its column only between rows. Beside boxes it is vertical.
                    assert not is_within(x + part * (next_x - x), y + part * (next_y - y), place)


def test_a_chain_is_one_column_and_a_shortcut_lies_beside_it() -> None:
    nodes = {"in": [], "a": ["in"], "b": ["a"], "sum": ["in", "b"], "out": ["sum"]}
    drawing = assign_rows(nodes, box=BOX, gaps=GAPS)
    assert len({place.x for place in drawing.places.values()}) == 1
    (shortcut,) = (line for line in drawing.lines if len(line) > 2)
    assert {x for x, _ in shortcut[1:-1]} == {GAPS[0] + BOX[0] + GAPS[0]}
