// Shows the picture, and draws its results over it.

import { colourOf } from "./inference.js";

const element = (id) => document.getElementById(id);

export class Stage {
  constructor() {
    this.photo = element("photo");
    this.video = element("video");
    this.overlay = element("overlay");
    this.unshown = element("unshown");
    this.found = null;
    new ResizeObserver(() => this.draw()).observe(element("picture"));
    this.photo.addEventListener("load", () => {
      this.miss("");
      this.shape(this.photo.naturalWidth, this.photo.naturalHeight);
    });
    this.photo.addEventListener("error", () => this.photo.hasAttribute("src") && this.miss(this.name));
    for (const event of ["loadedmetadata", "resize"]) {
      this.video.addEventListener(event, () => this.shape(this.video.videoWidth, this.video.videoHeight));
    }
  }

  /** Shows a photo, or says that the browser cannot. */
  open(url, name) {
    this.name = name;
    this.photo.src = url;
    this.clear();
  }

  /** Says that a photo cannot be shown, instead of the browser's sign of a broken picture. */
  miss(name) {
    this.unshown.textContent = name && `This browser cannot show ${name}.`;
    this.unshown.hidden = !name;
    this.photo.hidden = Boolean(name);
    this.draw();
  }

  /** Returns the element with the picture and its results, or null if there is nothing to save. */
  get source() {
    const source = this.photo.hidden ? this.video : this.photo;
    const shown = !source.hidden && (source.naturalWidth || source.videoWidth);
    return this.found && shown ? source : null;
  }

  /** Scales the picture to the width and height of the stage. */
  shape(width, height) {
    if (width && height) element("picture").style.setProperty("--ratio", String(width / height));
  }

  /** Shows a source: "photo", "video", or null for none. */
  show(what) {
    element("empty").hidden = what !== null;
    element("picture").hidden = what === null;
    this.photo.hidden = what !== "photo";
    this.video.hidden = what !== "video";
    this.unshown.hidden = true;
    this.clear();
  }

  clear() {
    this.found = null;
    this.draw();
  }

  put(found) {
    this.found = found;
    this.draw();
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.overlay.clientWidth * ratio);
    const height = Math.round(this.overlay.clientHeight * ratio);
    if (this.overlay.width !== width) this.overlay.width = width;
    if (this.overlay.height !== height) this.overlay.height = height;
    const context = this.overlay.getContext("2d");
    context.clearRect(0, 0, width, height);
    element("save").hidden = !this.source;
    if (this.source) drawFound(context, this.found, width, height, ratio);
  }
}

/** Draws the mask or the boxes, the most probable on top. */
export function drawFound(context, found, width, height, ratio) {
  if (found.mask) context.drawImage(found.mask, 0, 0, width, height);
  const boxes = found.entries.filter((entry) => entry.box);
  const edges = new Map(boxes.map((entry) => [entry, pixels(entry.box, width, height, ratio)]));
  for (const entry of [...boxes].reverse()) drawBox(context, entry, edges.get(entry), ratio);
  const placed = [];
  for (const entry of boxes) placed.push(drawLabel(context, entry, edges.get(entry), placed, width, height, ratio));
}

/** The edges of a box in pixels, so that its line lies within the picture. */
function pixels(box, width, height, ratio) {
  const line = 2.5 * ratio;
  return box.map((edge, i) => {
    const extent = i % 2 ? height : width;
    return Math.min(Math.max(edge * extent, line / 2), extent - line / 2);
  });
}

function drawBox(context, entry, [left, top, right, bottom], ratio) {
  const line = 2.5 * ratio;
  const colour = colourOf(entry.index);
  context.lineWidth = line;
  context.lineJoin = "round";
  context.strokeStyle = colour;
  context.beginPath();
  context.roundRect(left, top, right - left, bottom - top, 5 * ratio);
  context.stroke();
}

const common = (a, b) =>
  Math.max(0, Math.min(a.x + a.wide, b.x + b.wide) - Math.max(a.x, b.x)) *
  Math.max(0, Math.min(a.y + a.tall, b.y + b.tall) - Math.max(a.y, b.y));

/** Draws the label of a box where it covers no label in `placed` if there is room, and returns its place. */
function drawLabel(context, entry, [left, top, right, bottom], placed, width, height, ratio) {
  const line = 2.5 * ratio;
  context.font = `600 ${13 * ratio}px system-ui, sans-serif`;
  const text = `${entry.label} ${Math.round(100 * entry.share)} %`;
  const tall = 22 * ratio;
  const wide = context.measureText(text).width + 14 * ratio;
  const above = top - tall + line / 2;
  const rows = Array.from({ length: Math.floor(height / tall) }, (_, i) => i * tall);
  rows.sort((a, b) => Math.abs(a - above) - Math.abs(b - above));
  const spots = [top >= tall ? above : top, top, bottom - tall, bottom, ...rows].flatMap((y) =>
    [left - line / 2, right - wide].map((x) => ({
      x: Math.max(0, Math.min(x, width - wide)),
      y: Math.max(0, Math.min(y, height - tall)),
      wide,
      tall,
    })),
  );
  const covered = spots.map((spot) => placed.reduce((sum, other) => sum + common(spot, other), 0));
  const spot = spots[covered.indexOf(Math.min(...covered))];
  const { x, y } = spot;
  context.fillStyle = colourOf(entry.index);
  context.beginPath();
  context.roundRect(x, y, wide, tall, 5 * ratio);
  context.fill();
  context.fillStyle = "#10100f";
  context.textBaseline = "middle";
  context.fillText(text, x + 7 * ratio, y + tall / 2 + ratio / 2);
  return spot;
}
