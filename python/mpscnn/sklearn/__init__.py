"""Estimators for scikit-learn: a classifier of images, and features of images for other estimators.

    from mpscnn.sklearn import FeatureExtractor
    classifier = make_pipeline(FeatureExtractor(), LogisticRegression())
    classifier.fit(paths, labels)

They need the package scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpscnn._private.installation import install_command
from mpscnn._private.other_names import explain_unknown_names
from mpscnn.errors import UnsupportedError

if TYPE_CHECKING:
    from mpscnn.sklearn.classifier import ImageClassifier
    from mpscnn.sklearn.features import FeatureExtractor

__all__ = ["FeatureExtractor", "ImageClassifier"]


def _imported(name: str) -> Any:
    try:
        from mpscnn.sklearn.classifier import ImageClassifier
        from mpscnn.sklearn.features import FeatureExtractor
    except ImportError as error:
        raise UnsupportedError(f"mpscnn.sklearn needs: {install_command('sklearn')} ({error})") from error
    return FeatureExtractor if name == "FeatureExtractor" else ImageClassifier


explain_unknown_names(__name__, make=_imported, made=__all__)
