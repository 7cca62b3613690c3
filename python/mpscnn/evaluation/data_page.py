"""Write the findings of a data check as a page with pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

from mpscnn._private.html_view import Html, escape, lines
from mpscnn.errors import ImageError
from mpscnn.evaluation.finding import Finding

#: The largest number of findings of each kind that have a picture, and the side of a picture in pixels.
_SHOWN, _SIDE = 200, 128


def page_of(findings: Sequence[Finding], summary: str) -> str:
    """Return an HTML page. It contains its pictures, so it is one file."""
    parts = [lines(summary)]
    for kind in dict.fromkeys(one.kind for one in findings):
        chosen = [one for one in findings if one.kind == kind]
        parts.append(Html(f"<h2>{escape(kind)}: {len(chosen):,}</h2>"))
        parts += [_entry(one) for one in chosen[:_SHOWN]]
        if len(chosen) > _SHOWN:
            parts.append(lines(f"{len(chosen) - _SHOWN:,} more are in findings.csv"))
    style = "body{font-family:sans-serif} p{margin:2px} div{clear:both;padding:4px} img{float:left;margin-right:8px}"
    head = f'<!doctype html><meta charset="utf-8"><title>Check of photos</title><style>{style}</style>'
    return head + "".join(parts)


def _entry(one: Finding) -> Html:
    pictures = [_picture(one.photo)]
    if one.kind in ("near copy", "leak"):
        pictures.append(_picture(one.other))
    return Html(f"<div>{''.join(pictures)}{lines(one.photo, one.about)}</div>")


def _picture(path: str) -> Html:
    """Return a small picture of a photo, or nothing if it cannot be read."""
    from PIL import Image

    from mpscnn.vision.photo import open_photo
    from mpscnn.vision.upright import upright

    try:
        picture = upright(open_photo(path, min_size=_SIDE)).convert("RGB")
    except ImageError:
        return Html("")
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85)
    data = base64.b64encode(content.getvalue()).decode()
    return Html(f'<img alt="" src="data:image/jpeg;base64,{data}">')
