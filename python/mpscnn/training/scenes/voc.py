"""Read annotations of objects in Pascal VOC's format: an XML file for each photo."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from mpscnn._private.files import is_file, read_content
from mpscnn.errors import ParameterError
from mpscnn.training.scenes.labelled import LabelledObjects, LabelledPhoto, ObjectList, fail, find_photo

_MAX_BYTES = 256 << 20
_BEGIN = "VOC's annotations begin with <annotation>"
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}


def read_voc(folder: Path, annotations: Path) -> LabelledObjects:
    """Return the photos of all XML files of a folder, with their objects. Classes have the order of their names.

    VOC counts pixels from 1, and its boxes include the last pixel.

    Args:
        folder: the folder with the photos.
        annotations: the folder with the XML files, each with the <filename> of a photo, its <size>, and <object>s.

    Raises:
        ParameterError: a file is damaged or declares entities, a photo does not exist or has two files, or a box is
            outside of its photo or has no area.
    """
    read = [(path, parsed_xml(path, "annotation", _BEGIN)) for path in sorted(annotations.rglob("*.xml"))]
    names = sorted({_text(one, "name", path) for path, root in read for one in root.findall("object")})
    numbers = {name: number for number, name in enumerate(names)}
    photos = [
        _photo(
            _folder_of_photo(folder, path.relative_to(annotations).parent, root, path), path, root, numbers
        )
        for path, root in read
    ]
    return LabelledObjects(tuple(names), tuple(photos))


def parsed_xml(path: Path, tag: str, what: str) -> ElementTree.Element:
    """Return the root of an XML file. Raises ParameterError if it cannot be read, or has another tag than `what` says.

    Files that declare entities are refused.
    """
    content = read_content(path, ParameterError, _MAX_BYTES)
    if b"\0" in content:  # the next check would not find a declaration in UTF-16
        fail(path, "is not in an encoding such as UTF-8, in which annotations are written")
    # Entities could expand to any size, and no annotation needs them.
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        fail(path, "declares a document type or entities, which annotations do not have")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise ParameterError(f"{path}: is not an XML file: {error}") from error
    if root.tag != tag:
        fail(path, f"begins with <{root.tag}>; {what}")
    return root


def _folder_of_photo(folder: Path, inner: Path, root: ElementTree.Element, path: Path) -> Path:
    """Return the folder with a file's photo: the folder at the place of the file's own, such as train, or `folder`."""
    own = folder / inner
    photo = own / _text(root, "filename", path)
    return own if inner.parts and is_file(photo) else folder


def _photo(folder: Path, path: Path, root: ElementTree.Element, numbers: dict[str, int]) -> LabelledPhoto:
    photo = find_photo(folder, _text(root, "filename", path), str(path))
    size = root.find("size")
    sides = None if size is None else (_number(size, "width", path), _number(size, "height", path))
    if sides is not None and not any(sides):  # some tools do not know the photo's size
        sides = None
    if sides is not None and min(sides) < 1:
        fail(
            path, f"<size> cannot be {sides[0]:g} x {sides[1]:g}; without <size>, that of the photo is taken"
        )
    objects = ObjectList(sides)
    for count, entry in enumerate(root.findall("object"), start=1):
        place = f"{path}: object {count}"
        boxes = entry.findall("bndbox")
        if not boxes:
            fail(place, "has no <bndbox>")
        flag = (entry.findtext("difficult") or "").strip().lower()
        if flag not in _FLAGS:
            fail(place, f"<difficult> must be 0 or 1, got {flag[:40]!r}")
        for box in boxes:  # some tools write all boxes of a class into one object
            left, top, right, bottom = (_number(box, edge, place) for edge in _EDGES)
            edges = (left - 1, top - 1, right, bottom)
            objects.add(place, edges, numbers[_text(entry, "name", path)], difficult=_FLAGS[flag])
    whole = (0, 0) if sides is None else (int(sides[0]), int(sides[1]))
    return objects.photo(photo, str(path), whole)


def _text(element: ElementTree.Element, tag: str, place: object) -> str:
    text = (element.findtext(tag) or "").strip()
    if not text:
        fail(place, f"an element <{element.tag}> has no <{tag}>")
    return text


def _number(element: ElementTree.Element, tag: str, place: object) -> float:
    text = _text(element, tag, place)
    if not re.fullmatch(r"[+-]?[0-9]{1,9}(\.[0-9]{1,20})?", text):
        fail(place, f"<{tag}> must be a number, got {text[:40]!r}")
    return float(text)
