"""Test mpscnn.sklearn: its estimators pass scikit-learn's own checks, and work in its pipelines."""

from __future__ import annotations

import pickle
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn import ParameterError, ShapeError, UnsupportedError

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from mpscnn.sklearn import FeatureExtractor, ImageClassifier

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def any_width() -> mpscnn.Network:
    """Return a network for images of any size, because the checks use rows of any length."""
    network = mpscnn.Network(input=(None, None, 1), name="any_width")
    network.output(network.conv2d(network.input, 4, 1, activation="relu", name="conv"))
    network.initialize_weights(seed=0)
    return network


@pytest.mark.parametrize(
    "estimator", [FeatureExtractor(any_width()), ImageClassifier()], ids=lambda one: type(one).__name__
)
def test_scikit_learns_own_checks_pass(estimator: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings from scikit-learn's own checks
        results = check_estimator(estimator, on_fail=None, on_skip=None)
    failed = {one["check_name"]: one["exception"] for one in results if one["status"] == "failed"}
    skipped = {one["check_name"] for one in results if one["status"] == "skipped"}
    assert not failed
    # scikit-learn skips the first check unless an environment variable is set, and the second one without pandas.
    allowed = {"check_array_api_input", "check_classifier_data_not_an_array"}
    assert skipped <= (allowed if find_spec("pandas") is None else {"check_array_api_input"})
    assert sum(one["status"] == "passed" for one in results) > 40


CAT = mpscnn.samples.photo("cat")
KINDS = ("cat", "noise", "gradient")


def photo(kind: int, seed: int) -> NDArray[np.uint8]:
    """Return a part of the cat's photo, noise or a gradient."""
    random = np.random.default_rng([kind, seed])
    if kind == 0:
        with Image.open(CAT) as cat:
            side = int(0.8 * min(cat.size))
            left, top = (int(random.integers(0, extent - side)) for extent in cat.size)
            return np.asarray(cat.crop((left, top, left + side, top + side)).resize((40, 36)))
    if kind == 1:
        return random.integers(0, 256, (36, 40, 3)).astype(np.uint8)
    row = np.linspace(0, 255 / random.integers(1, 4), 40).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (36, 40, 3)))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """Return the paths of photos and the labels of their contents."""
    folder, paths, labels = tmp_path_factory.mktemp("photos"), [], []
    for kind, name in enumerate(KINDS):
        for seed in range(8):
            paths.append(str(folder / f"{name}{seed}.png"))
            labels.append(name)
            Image.fromarray(photo(kind, seed)).save(paths[-1])
    return paths, labels


def test_features_of_photos_feed_a_logistic_regression(photos: tuple[list[str], list[str]]) -> None:
    paths, labels = photos
    pipeline = make_pipeline(FeatureExtractor(), LogisticRegression(max_iter=1000))
    scores = cross_val_score(pipeline, paths, labels, cv=4)
    assert scores.mean() == 1.0
    pipeline.fit(paths, labels)
    assert pipeline.predict([photo(2, 100), photo(0, 101)]).tolist() == ["gradient", "cat"]


def test_features_are_those_of_the_network() -> None:
    model = mpscnn.load()
    given = [photo(0, 1), photo(1, 2)]
    extractor = FeatureExtractor(model, layers=["pool", "conv_last"]).fit(given)
    expected = model.features(["pool", "conv_last"], pooling="global").run(given)
    found = extractor.transform(given)
    np.testing.assert_allclose(
        found, np.concatenate([values.reshape(2, -1) for values in expected.values()], 1)
    )
    assert extractor.get_feature_names_out()[0] == "featureextractor0"
    assert FeatureExtractor(model).fit(given).extractor_.layers == ("pool",)


@pytest.mark.parametrize("size", [(40, 36), (64, 64)])
def test_an_array_of_bytes_has_photos(size: tuple[int, int]) -> None:
    """Photos give the same features as a list and as one array, also if they have the size of the network's input."""
    given = [np.asarray(Image.fromarray(photo(kind, 5)).resize(size)) for kind in (0, 1, 2, 0)]
    for estimator in (FeatureExtractor(), ImageClassifier(backbone="cifar10_mobilenet_v2", epochs=1)):
        fitted = clone(estimator).fit(np.stack(given), ["a", "b", "a", "b"])
        compute = fitted.transform if hasattr(fitted, "transform") else fitted.predict_proba
        np.testing.assert_array_equal(compute(np.stack(given)), compute(given))
    gray = np.zeros((3, 28, 28), np.uint8)
    for place in range(3):
        gray[place, 6:22, 10 + place : 14 + place] = 255
    digits = FeatureExtractor("digits").fit(gray)
    np.testing.assert_array_equal(digits.transform(gray), digits.transform(list(gray)))


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32, np.float64])
def test_pixels_of_any_type_are_prepared_or_refused(dtype: type, rows: bool) -> None:
    """Pixels are no input of a network that has preprocessing, whatever type and shape they have."""
    given = np.stack([np.asarray(Image.fromarray(photo(kind, 5)).resize((64, 64))) for kind in (0, 1, 2, 0)])
    pixels = (given.reshape(4, -1) if rows else given).astype(dtype)
    for estimator in (FeatureExtractor(), ImageClassifier(backbone="cifar10_mobilenet_v2", epochs=1)):
        fitted = clone(estimator).fit(given, ["a", "b", "a", "b"])
        compute = fitted.transform if hasattr(fitted, "transform") else fitted.predict_proba
        if dtype is np.uint8:
            np.testing.assert_array_equal(compute(pixels), compute(list(given)))
            continue
        with pytest.raises(mpscnn.ImageError, match=r"give numpy.asarray\(array, numpy.uint8\)"):
            compute(pixels)
        with pytest.raises(mpscnn.ImageError, match="uint8"):
            clone(estimator).fit(pixels.tolist() if rows else pixels, ["a", "b", "a", "b"])


def test_batches_and_pickles_change_no_feature() -> None:
    given = [photo(kind, 3) for kind in range(3)]
    one, many = (FeatureExtractor(batch_size=size).fit(given).transform(given) for size in (1, 8))
    np.testing.assert_array_equal(one, many)
    fitted = FeatureExtractor().fit(given)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(given), many)
    with pytest.raises(ParameterError, match="batch_size"):
        FeatureExtractor(batch_size=0).fit(given).transform(given)


def test_rows_of_scikit_learns_digits_are_learnt() -> None:
    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, random_state=0)
    classifier = ImageClassifier(random_state=0, epochs=12).fit(x, y)
    assert classifier.network_.input.shape == (None, 8, 8, 1)
    assert classifier.score(x_test, y_test) > 0.95
    assert classifier.history_.accuracies[-1] > 0.98
    again = clone(classifier).fit(x, y)
    np.testing.assert_array_equal(again.predict_proba(x_test), classifier.predict_proba(x_test))


def test_images_and_rows_are_the_same() -> None:
    x, y = load_digits(return_X_y=True)
    x, y = x[:200], y[:200]
    rows = ImageClassifier(random_state=1, epochs=2).fit(x, y).predict_proba(x)
    for images in (x.reshape(-1, 8, 8), x.reshape(-1, 8, 8, 1)):
        np.testing.assert_array_equal(
            ImageClassifier(random_state=1, epochs=2).fit(images, y).predict_proba(images), rows
        )
    wide = ImageClassifier(image_shape=(4, 16), epochs=1).fit(x, y)
    assert wide.network_.input.shape == (None, 4, 16, 1)


def test_a_backbone_learns_photos_from_few(photos: tuple[list[str], list[str]]) -> None:
    paths, labels = photos
    classifier = ImageClassifier(backbone="cifar10_mobilenet_v2", epochs=30, random_state=0).fit(
        paths, labels
    )
    assert classifier.score(paths, labels) == 1.0
    assert classifier.classes_.tolist() == ["cat", "gradient", "noise"]
    assert classifier.predict([photo(1, 50)]).tolist() == ["noise"]
    assert classifier.network_.input.shape == (None, 64, 64, 3)


def test_a_network_of_the_users_is_trained_on_photos(photos: tuple[list[str], list[str]]) -> None:
    paths, labels = photos

    def network(shape: tuple[int, int, int], classes: int) -> mpscnn.Network:
        made = mpscnn.Network(input=shape, name="own")
        x = made.conv2d(made.input, 8, 3, activation="relu")
        x = made.flatten(made.global_average_pool2d(x))
        made.output(made.softmax(made.dense(x, classes)))
        return made

    classifier = ImageClassifier(
        network=network, size=(16, 20), epochs=60, learning_rate=0.05, random_state=0
    )
    assert classifier.fit(paths, labels).score(paths, labels) == 1.0
    assert classifier.network_.name == "own"
    assert classifier.network_.input.shape == (None, 16, 20, 3)


def test_parameters_are_searched() -> None:
    x, y = load_digits(return_X_y=True)
    search = GridSearchCV(ImageClassifier(random_state=0), {"epochs": [1, 6]}, cv=2).fit(x[:300], y[:300])
    assert search.best_params_ == {"epochs": 6}


def test_wrong_arguments_are_told(photos: tuple[list[str], list[str]]) -> None:
    x, y = np.zeros((4, 12), np.float32), [0, 1, 0, 1]
    with pytest.raises(ParameterError, match=r"image_shape is \(5, 2\), but a row has 12 numbers"):
        ImageClassifier(image_shape=(5, 2)).fit(x, y)
    with pytest.raises(ParameterError, match=r"image_shape is \(4, 3\), but the images are"):
        ImageClassifier(image_shape=(4, 3)).fit(np.reshape(x, (len(x), 3, 4)), y)
    with pytest.raises(ParameterError, match="learning_rate"):
        ImageClassifier(learning_rate=0).fit(x, y)
    with pytest.raises(ParameterError, match="a backbone or a network"):
        ImageClassifier(backbone=any_width(), network=lambda *_: any_width()).fit(x, y)
    with pytest.raises(ParameterError, match=r"must return a mpscnn\.Network, got NoneType"):
        ImageClassifier(network=lambda *_: None).fit(x, y)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="must be a function that builds the network, got Network"):
        ImageClassifier(network=any_width()).fit(x, y)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="12 numbers, which are no image"):
        FeatureExtractor().fit(x)
    with pytest.raises(ParameterError, match="model must be a name"):
        FeatureExtractor(3).fit(x)
    with pytest.raises(ShapeError, match="of a fixed size"):
        FeatureExtractor(any_width()).fit(photos[0])
    with pytest.raises(mpscnn.ImageError, match=r"none\.png"):
        ImageClassifier().fit(["none.png", "none.png"], [0, 1])


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith("mpscnn.sklearn.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(vars(mpscnn.sklearn), "ImageClassifier", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(UnsupportedError, match=r"pip install '[^']*\[sklearn\]'"):
        _ = mpscnn.sklearn.ImageClassifier
    assert Path(mpscnn.sklearn.__file__).is_file()


def test_photos_in_a_column_of_pandas(photos: tuple[list[str], list[str]]) -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    table = pandas.DataFrame({"path": photos[0], "label": photos[1]})
    pipeline = make_pipeline(FeatureExtractor(), LogisticRegression(max_iter=1000))
    expected = pipeline.fit(*photos).predict_proba(photos[0][:3])
    for column in (table["path"], table[["path"]], table["path"].astype(object)):
        found = pipeline.fit(column, table["label"]).predict_proba(column[:3])
        np.testing.assert_array_equal(found, expected)
    classifier = ImageClassifier(size=8, epochs=1, random_state=0)
    expected = classifier.fit(*photos).predict_proba(photos[0])
    np.testing.assert_array_equal(
        classifier.fit(table["path"], table["label"]).predict_proba(table[["path"]]), expected
    )


def test_names_that_users_guess(photos: tuple[list[str], list[str]]) -> None:
    """Arguments by other frameworks' names are accepted or explained, and a photo alone is no list of photos."""
    assert ImageClassifier(n_epochs=2).get_params() == ImageClassifier(epochs=2).get_params()  # type: ignore[call-arg]
    assert ImageClassifier(max_iter=2, model="digits").backbone == "digits"  # type: ignore[call-arg]
    assert FeatureExtractor(network="digits", layer="pool").layers == "pool"  # type: ignore[call-arg]
    with pytest.raises(
        TypeError, match=r"has no argument .hidden_layer_sizes.; it takes backbone, network, size"
    ):
        ImageClassifier(hidden_layer_sizes=(3,))  # type: ignore[call-arg]
    extractor = FeatureExtractor().fit(photos[0][:1])
    for photo in (photos[0][0], Path(photos[0][0]), Image.new("RGB", (8, 8))):
        with pytest.raises(ParameterError, match="expected a list of photos, got a single"):
            extractor.transform(photo)
