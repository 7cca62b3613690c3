// Shows results as bars, and passes them to screen readers.

import { colourOf } from "./inference.js";

const SPEAK_EVERY = 3000; // milliseconds
const MAX_ROWS = 12;

export const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

export class Results {
  constructor() {
    this.list = document.getElementById("results");
    this.none = document.getElementById("none");
    this.spoken = document.getElementById("spoken");
    this.timer = 0;
    this.saidAt = -Infinity;
    this.next = "";
  }

  show(found) {
    const entries = found.entries.slice(0, MAX_ROWS);
    this.none.hidden = entries.length > 0;
    this.none.textContent = "Nothing found.";
    while (this.list.children.length > entries.length) this.list.lastChild.remove();
    while (this.list.children.length < entries.length) this.list.append(row());
    entries.forEach((entry, i) => fill(this.list.children[i], entry, found.task));
    this.speak(words(found));
  }

  /** Shows a sentence instead of results. */
  say(text) {
    this.list.replaceChildren();
    this.none.hidden = false;
    this.none.textContent = text;
  }

  /** Gives the latest sentence to screen readers, at most one in a few seconds. */
  speak(text) {
    this.next = text;
    if (this.timer) return;
    const wait = Math.max(0, this.saidAt + SPEAK_EVERY - performance.now());
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.saidAt = performance.now();
      if (this.spoken.textContent !== this.next) this.spoken.textContent = this.next;
    }, wait);
  }
}

/** Describes results for screen readers, without the numbers that change with every frame. */
function words(found) {
  if (!found.entries.length) return "Nothing found";
  if (found.task === "classification") {
    const [first, second] = found.entries;
    const sure = first.text || first.share >= 0.5 ? first.label : `perhaps ${first.label}`;
    return second && second.share >= 0.2 ? `${sure}, or ${second.label}` : sure;
  }
  const counts = new Map();
  for (const { label } of found.entries) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].map(([label, count]) => (count > 1 ? `${count} times ${label}` : label)).join(", ");
}

function row() {
  const item = document.createElement("li");
  const parts = ["dot", "label", "share", "track"].map((name) => {
    const part = document.createElement("span");
    part.className = name;
    return part;
  });
  parts[3].append(document.createElement("i"));
  item.append(...parts);
  return item;
}

function fill(item, entry, task) {
  const [dot, label, share, track] = item.children;
  const coloured = task !== "classification";
  dot.hidden = !coloured;
  const background = task === "segmentation" && entry.index === 0;
  const colour = !coloured ? "" : background ? "transparent" : colourOf(entry.index);
  dot.style.background = colour;
  if (label.textContent !== entry.label) label.textContent = entry.label;
  share.textContent = entry.text ?? percent(entry.share);
  track.firstChild.style.width = `${100 * entry.share}%`;
  track.firstChild.style.background = background ? "" : colour;
}
