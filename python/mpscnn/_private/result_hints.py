"""List hints for attributes of other frameworks that results of mpscnn do not have, by class."""

from __future__ import annotations

__all__ = ["RESULTS"]

_NUMBER = "it is the attribute index"
_NO_BOXES = "a classifier finds no boxes"
_MOST_PROBABLE = "the most probable object is the first: detections[0]"
_PICTURE = {
    "plot": "draw() returns the picture, and show() opens it",
    **dict.fromkeys(
        ("render", "annotated", "image", "orig_img"),
        "draw() returns the picture, and photo is what was given",
    ),
    "save": "draw().save(path) writes the picture, and to_json() the numbers",
    **dict.fromkeys(("to_df", "pandas", "dataframe"), "it is to_pandas()"),
    **dict.fromkeys(("dict", "asdict"), "it is to_dict()"),
    **dict.fromkeys(("json", "tojson"), "it is to_json()"),
    **dict.fromkeys(("speed", "time", "seconds", "latency"), "it is 'milliseconds' here"),
    "path": "photo is what was given",
}

#: Names that users of pandas and scikit-learn guess for a table of numbers.
_TEXTS = (*("to_df", "rows", "summary", "report", "print", "results", "classification_report"),)
_CONFUSION = dict.fromkeys(("confusion_matrix", "matrix", "cm"), "it is 'confusion' here")

#: Hints by class, see `attribute_hints`.
RESULTS: dict[str, dict[str, str]] = {
    "History": {
        "history": "History.to_dict() has the lists by name",
        "loss": "History.losses has those of all epochs, and history[-1].loss is the last",
        **dict.fromkeys(("accuracy", "acc"), "History.accuracies has those of all epochs"),
        **dict.fromkeys(("val_loss", "validation_loss"), "History.validation_losses has those of all epochs"),
        **dict.fromkeys(
            ("val_accuracy", "val_acc", "validation_accuracy"),
            "History.validation_accuracies has those of all epochs",
        ),
        **dict.fromkeys(("lr", "learning_rate"), "History.learning_rates has those of all epochs"),
        "epoch": "History.epochs has the epochs",
        "to_df": "it is to_pandas()",
        **dict.fromkeys(
            ("to_json", "save", "json"),
            "json.dumps(history.to_dict()) writes the numbers, and history.plot().save(path) the curves",
        ),
        "show": "history.plot().show() opens the curves",
        "best": "History.best_epoch is the number of the epoch that early stopping kept",
        "summary": "print(history) says it",
    },
    "Epoch": {
        "epoch": _NUMBER,
        "acc": "it is 'accuracy' here",
        "val_loss": "it is 'validation_loss' here",
        **dict.fromkeys(("val_accuracy", "val_acc"), "it is 'validation_accuracy' here"),
        "lr": "it is 'learning_rate' here",
        "time": "it is 'seconds' here",
    },
    "Prediction": {
        **dict.fromkeys(("class_id", "cls", "id", "class_index"), _NUMBER),
        **dict.fromkeys(("name", "class_name"), "it is 'label' here"),
        **dict.fromkeys(("prob", "p", "conf"), "it is 'probability' here"),
    },
    "Detection": {
        **dict.fromkeys(("class_id", "cls", "id", "class_index"), _NUMBER),
        **dict.fromkeys(("name", "class_name"), "it is 'label' here"),
        **dict.fromkeys(("prob", "probability", "conf"), "it is 'score' here"),
        **dict.fromkeys(("bbox", "xywh", "bounding_box"), "box has left, top, right and bottom"),
        **dict.fromkeys(
            ("left", "top", "right", "bottom", "x1", "y1", "x2", "y2", "area", "width", "height"),
            "box has left, top, right and bottom: detection.box.left",
        ),
    },
    "Area": {
        **dict.fromkeys(("class_id", "cls", "id"), _NUMBER),
        **dict.fromkeys(("name", "class_name"), "it is 'label' here"),
        **dict.fromkeys(("area", "count"), "pixels is their number, and fraction their share of the photo"),
        "mask": "Segmentation.mask(label) has the pixels of a class",
    },
    "Classification": {
        "boxes": _NO_BOXES,
        "xyxy": _NO_BOXES,
        "filter": "[one for one in result if one.probability > 0.1] has some classes",
        **dict.fromkeys(("labels", "classes", "names"), "[one.label for one in result] has the labels"),
        **dict.fromkeys(
            ("class_name", "prediction"),
            "label is the most probable class, and result[0] has its probability",
        ),
        **dict.fromkeys(
            ("scores", "logits", "numpy", "tolist"), "probabilities has an array, the most probable first"
        ),
        **dict.fromkeys(
            ("argmax", "label_id", "class_id", "top1_index"),
            "result[0].index is the number of the most probable class",
        ),
        **dict.fromkeys(("max", "top1conf", "prob", "probability"), "result[0].probability is the largest"),
        "top5conf": "[one.probability for one in result.top(5)] has them",
        **dict.fromkeys(("topk", "top_k"), "it is result.top(5)"),
        **_PICTURE,
    },
    "Detections": {
        "label": "labels has the label of each object, and detections[0].label that of the first",
        "score": "scores has the probability of each object, and detections[0].score that of the first",
        "top1": _MOST_PROBABLE,
        "top5": _MOST_PROBABLE,
        "probs": "scores has the probability of each object",
        **dict.fromkeys(("class_ids", "cls", "class_id"), "indices has the number of each object's class"),
        **dict.fromkeys(("names", "classes"), "labels has the label of each object"),
        "conf": "it is 'scores' here",
        **dict.fromkeys(("xywh", "xyxyn", "xywhn"), "boxes has left, top, right and bottom in pixels"),
        **dict.fromkeys(("masks", "mask"), "a detector finds boxes; Model.segment finds pixels"),
        "crop": "photo.crop(detections[0].box) is a picture of an object",
        **_PICTURE,
    },
    "Segmentation": {
        "top1": "areas[0] is the largest class",
        "top5": "areas has the classes, the largest first",
        "label": "labels has the class of each pixel, and areas[0].label is the largest",
        "filter": "[one for one in result if one.fraction > 0.1] has some classes",
        "masks": "mask(label) has the pixels of a class",
        **dict.fromkeys(("boxes", "xyxy"), "areas has the classes and their pixels"),
        **dict.fromkeys(
            ("probs", "score", "confidence"), "segment(photo, scores=True).scores has them for each pixel"
        ),
        **_PICTURE,
    },
    "Evaluation": {
        **dict.fromkeys(("accuracy", "acc", "score", "top_1"), "it is 'top1' here"),
        **_CONFUSION,
        **dict.fromkeys(
            ("precision", "recall", "f1", "f1_score", "per_class"),
            "classes has the precision, the recall and F1 of each class, and class_table() is a text",
        ),
        **dict.fromkeys(
            _TEXTS,
            "table() and class_table() are texts, to_pandas() has each class, and confusion the counts",
        ),
        **dict.fromkeys(("plot", "save"), "draw() returns the picture, and show() opens it"),
        **dict.fromkeys(("errors", "wrong"), "it is evaluation.mistakes()"),
    },
    "DetectorEvaluation": {
        **dict.fromkeys(("mAP", "ap", "mean_ap", "map50_95", "maps"), "it is 'map' here, COCO's mean"),
        **dict.fromkeys(("ap50", "mAP50", "mAP_50"), "it is 'map50' here"),
        **dict.fromkeys(("ap75", "mAP75", "mAP_75"), "it is 'map75' here"),
        **dict.fromkeys(("per_class", "classes", "names"), "it is 'by_class' here"),
        **dict.fromkeys(_TEXTS, "table() is a text, and to_pandas() has the numbers of each class"),
    },
    "SegmenterEvaluation": {
        **dict.fromkeys(
            ("miou", "mIoU", "iou", "mean_iu", "score"), "mean_iou is the mean, and ious has each class"
        ),
        **dict.fromkeys(("accuracy", "acc", "pixel_acc"), "it is 'pixel_accuracy' here"),
        **_CONFUSION,
        **dict.fromkeys(_TEXTS, "table() is a text, and to_pandas() has the numbers of each class"),
    },
    "Comparison": {
        **dict.fromkeys(
            ("ok", "passed", "same", "close", "allclose", "is_close", "matches"), "it is 'equal' here"
        ),
        **dict.fromkeys(
            ("max_error", "max_diff", "max_abs_error", "error", "errors", "difference", "differences"),
            "comparison.worst is the layer with the largest error, and comparison.worst.error this error",
        ),
        **dict.fromkeys(("plot", "show"), "draw() returns the picture, and save(path) writes it"),
        **dict.fromkeys(_TEXTS, "table() is a text, and to_pandas() has the numbers"),
    },
    "Profile": {
        **dict.fromkeys(
            ("total", "total_time", "time", "latency", "mean", "average", "ms", "seconds"),
            "profile.minimum and profile.median are the milliseconds of a run",
        ),
        **dict.fromkeys(("layers", "events", "ops", "operations"), "profile.steps has them"),
        **dict.fromkeys(("plot", "show", "draw"), "a notebook draws it, and table() is a text"),
        **dict.fromkeys(
            ("save", "trace", "export_chrome_trace"), "save_trace(path) writes it for a trace viewer"
        ),
        **dict.fromkeys((*_TEXTS, "key_averages"), "table() is a text, and to_pandas() has the numbers"),
    },
}
