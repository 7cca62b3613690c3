"""Estimators for scikit-learn: a classifier of images, and features of images for other estimators.

    from mpscnn.sklearn import FeatureExtractor
    classifier = make_pipeline(FeatureExtractor(), LogisticRegression())
    classifier.fit(paths, labels)

They need the package scikit-learn.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mpscnn._private.expected_names import attribute_error, twin_attribute
from mpscnn.errors import UnsupportedError

if TYPE_CHECKING:
    from mpscnn.sklearn.classifier import ImageClassifier
    from mpscnn.sklearn.features import FeatureExtractor

__all__ = ["FeatureExtractor", "ImageClassifier"]


if not TYPE_CHECKING:  # hidden from type checkers, for which every wrong name would be an Any

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            _, hint = twin_attribute(sys.modules[__name__], __name__, name)
            raise attribute_error(__name__, name, hint)
        try:
            from mpscnn.sklearn.classifier import ImageClassifier
            from mpscnn.sklearn.features import FeatureExtractor
        except ImportError as error:
            raise UnsupportedError(
                f'mpscnn.sklearn needs: pip install "mpscnn[sklearn]" ({error})'
            ) from error
        return FeatureExtractor if name == "FeatureExtractor" else ImageClassifier


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
