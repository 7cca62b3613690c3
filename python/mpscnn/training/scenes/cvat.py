"""Read annotations in CVAT's format "CVAT for images 1.1": an XML file of all photos."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from mpscnn._private.arguments import number_in, whole_number_in
from mpscnn.training.scenes.labelled import LabelledObjects, fail
from mpscnn.training.scenes.named_objects import NamedObject, NamedPhoto, labelled_by_name, numbers_of
from mpscnn.training.scenes.shapes import Shape, bitmap, corners, ellipse, polygon, rectangle, rotated
from mpscnn.training.scenes.voc import parsed_xml

_WITHOUT_AREA = ("points", "polyline", "skeleton", "cuboid")


def read_cvat(folder: Path, path: Path) -> LabelledObjects:
    """Return the photos of a file with their objects. Points and polylines are dropped.

    Args:
        folder: the folder with the photos.
        path: the XML file.

    Raises ParameterError for a damaged file, and the errors of `labelled_by_name`.
    """
    root = parsed_xml(path, "annotations", "CVAT's files for images begin with <annotations>")
    if root.find("track") is not None:
        fail(path, "has tracks of a video; export it as 'CVAT for images 1.1'")
    photos = []
    for number, image in enumerate(root.findall("image")):
        place = f"{path}: image {number}"
        name = image.get("name", "")
        if not name:
            fail(place, "has no name")
        width, height = (whole_number_in(image.get(side, "")) for side in ("width", "height"))
        objects = [_object(f"{place}: {one.tag}", one) for one in image if one.tag != "tag"]
        photos.append(NamedPhoto(place, name, (width, height) if width and height else None, objects))
    return labelled_by_name(folder, photos)


def _object(place: str, entry: ElementTree.Element) -> NamedObject:
    label = entry.get("label", "").strip()
    if not label:
        fail(place, "has no label")
    if entry.tag in _WITHOUT_AREA:
        return NamedObject(place, label, None)
    shape = _shape(place, entry)
    is_plain = entry.tag == "box" and not number_in(entry.get("rotation", "0"))
    return NamedObject(place, label, shape, corners(shape) if is_plain else None)


def _shape(place: str, entry: ElementTree.Element) -> Shape:
    def attributes(*names: str) -> list[float]:
        return numbers_of(place, [number_in(entry.get(name, "")) for name in names], " and ".join(names))

    angle = number_in(entry.get("rotation", "0")) or 0.0
    if entry.tag == "box":
        left, top, right, bottom = attributes("xtl", "ytl", "xbr", "ybr")
        return rotated(rectangle(left, top, right, bottom), angle, (left + right) / 2, (top + bottom) / 2)
    if entry.tag == "ellipse":
        x, y, horizontal, vertical = attributes("cx", "cy", "rx", "ry")
        return rotated(ellipse(x, y, horizontal, vertical), angle, x, y)
    if entry.tag == "polygon":
        pairs = [pair.split(",") for pair in entry.get("points", "").split(";")]
        if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
            fail(place, "the points of a polygon must be three or more of x,y with semicolons between them")
        flat = numbers_of(place, [number_in(text) for pair in pairs for text in pair], "the points")
        return polygon(flat)
    if entry.tag == "mask":
        left, top, width, height = (int(number) for number in attributes("left", "top", "width", "height"))
        runs = [whole_number_in(text.strip()) for text in entry.get("rle", "").split(",")]
        try:
            return Shape(bitmap=bitmap(left, top, (height, width), runs))
        except ValueError as error:
            fail(place, f"the lengths of rle do not fill width x height: {error}")
    return fail(place, f"<{entry.tag}> is not read; known are box, polygon, ellipse and mask")
