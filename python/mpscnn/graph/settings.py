"""Copy and complete the settings that say how photos become a network's input and what its output means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpscnn._private.class_scores import score_count

if TYPE_CHECKING:
    from mpscnn._private.literals import ScoresName
    from mpscnn.graph.network import Network

#: The attributes of a network that model files keep besides the layers and weights.
SETTINGS = ("answers", "detection", "labels", "preprocess", "scores")


def copy_settings(source: Network, target: Network) -> None:
    """Give a network the answers, detection, labels, preprocessing and scores of another one."""
    for name in SETTINGS:
        setattr(target, name, getattr(source, name))


def copy_origin(source: Network, target: Network) -> None:
    """Give a network what a converter knows about the file of another one: notes, ends and texts about the model."""
    target.notes, target.source_ends, target.information = (
        source.notes,
        source.source_ends,
        source.information,
    )


def state_scores(network: Network, scores: ScoresName) -> None:
    """State what the scores in a classifier's output are, unless this is known already.

    It is known if the network states it, or if the output has the results of a softmax or sigmoid.
    """
    is_classifier = score_count([tensor.shape for tensor in network.outputs]) is not None
    if is_classifier and network.scores is None and network.last_function is None:
        network.scores = scores
