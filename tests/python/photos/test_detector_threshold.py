"""Choose the score threshold with which a detector has a wanted precision."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli.test_evaluate_areas import SEEN, annotated
from command_line import Command
from constant_detector import save_constant_detector

import mpscnn
from mpscnn.training.scenes.object_matches import ObjectMatches, PrecisionCurve

ELSEWHERE = [0.0, 40.0, 30.0, 30.0]


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_lowest_threshold_of_those_with_the_precision(seed: int) -> None:
    draw = np.random.default_rng(seed)
    curves = []
    for label in "ab":
        scores = np.sort(draw.integers(1, 12, 15) / 12)[::-1].astype(np.float64)  # many equal ones
        curves.append(PrecisionCurve(label, 20, scores, draw.random(15) < scores))
    matches = ObjectMatches(("a", "b"), curves=curves)
    scores = np.concatenate([one.scores for one in curves])
    right = np.concatenate([one.right for one in curves])
    shares = {float(least): right[scores >= least].mean() for least in scores}
    for wanted in (0.3, 0.7, 0.9, 1.0):
        possible = [least for least, share in shares.items() if share >= wanted]
        if possible:
            assert matches.threshold_for(wanted) == min(possible)
        else:
            with pytest.raises(mpscnn.ParameterError, match=f"highest is {max(shares.values()):.3f}"):
                matches.threshold_for(wanted)


@pytest.mark.parametrize("precision", [0, -0.1, 1.1, float("nan"), "0.9"])
def test_shares_have_a_range(precision: float) -> None:
    with pytest.raises(mpscnn.ParameterError, match="precision must be above 0 and at most 1"):
        ObjectMatches().threshold_for(precision)


def test_nothing_found_has_no_precision() -> None:
    with pytest.raises(mpscnn.ParameterError, match="nothing was found"):
        ObjectMatches().threshold_for(0.5)


def test_detectors_and_the_command_get_it(tmp_path: Path, command: Command) -> None:
    """The detector finds a cat (90%) and a dog (20%) on each photo. Only cats are right, on three photos of four."""
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    photos = tmp_path / "photos"
    photos.mkdir()
    path = annotated(photos, [[(17, SEEN)], [(17, SEEN)], [(17, ELSEWHERE)], [(17, SEEN)]])
    file = save_constant_detector(tmp_path / "constants.safetensors")
    model = mpscnn.load(file)
    assert model.calibrate(photos, annotations=path, precision=0.7) is model
    picture = np.zeros((60, 80, 3), np.uint8)
    assert [one.label for one in model.detect(picture)] == ["cat"]
    least = model.detect(picture)[0].score
    model.save(tmp_path / "saved.safetensors")
    for other in (model, mpscnn.load(tmp_path / "saved.safetensors")):
        assert other.network.detection is not None
        assert other.network.detection.settings["suppression"]["score_threshold"] == least
        assert [one.label for one in other.detect(picture)] == ["cat"]
    written = tmp_path / "written.safetensors"
    call = (
        "calibrate",
        str(photos),
        "--model",
        str(file),
        "--annotations",
        str(path),
        "--output",
        str(written),
    )
    about = json.loads(command(*call, "--wanted-precision", "0.7", "--json").stdout)
    assert about["score_threshold"] == least
    assert "score of at least 90.0%" in command(*call, "--wanted-precision", "0.7", "--overwrite").stdout
    with pytest.raises(
        mpscnn.ParameterError, match=r"no score threshold has the precision 0.9 .* highest is 0.750"
    ):
        model.calibrate(photos, annotations=path, precision=0.9)
    with pytest.raises(mpscnn.ParameterError, match="annotations= and precision= of a detector together"):
        model.calibrate(photos, annotations=path)
