// Draws the profile of a network: a rectangle for each step, as wide as its time and as high as its rate, so that its
// area is the number of operations. A table has the same numbers.

import { askJson } from "./api.js";

const SVG = "http://www.w3.org/2000/svg";
const RUNS = 10;
const KINDS = 8; // colours in page.css
const WIDTH = 1000;
const HEIGHT = 200;

const element = (id) => document.getElementById(id);
const minimum = (numbers) => numbers.reduce((one, other) => Math.min(one, other));

export class Profile {
  constructor({ model, guarded }) {
    this.model = model;
    this.guarded = guarded;
    this.steps = [];
    this.chart = element("chart");
    element("measure").addEventListener("click", () => this.measure());
    this.chart.addEventListener("keydown", (event) => this.key(event));
    this.chart.addEventListener("pointermove", (event) => this.point(event));
    this.chart.addEventListener("pointerdown", (event) => this.point(event));
  }

  /** Hides the profile, because the model or its settings have changed. */
  forget() {
    element("profile-body").hidden = true;
    element("profile-about").textContent = "Where the network’s time goes, step by step.";
    this.measured = (this.measured ?? 0) + 1;
  }

  async measure() {
    const model = this.model();
    if (!model) return;
    const button = element("measure");
    if (button.getAttribute("aria-disabled") === "true") return;
    this.measured = (this.measured ?? 0) + 1;
    const mine = this.measured;
    button.setAttribute("aria-disabled", "true");
    element("profile-about").textContent = "Measuring …";
    try {
      const path = `v1/models/${encodeURIComponent(model.name)}/profile?runs=${RUNS}`;
      const profile = await this.guarded(() => askJson(path));
      if (mine === this.measured) this.show(profile);
    } catch (error) {
      if (mine === this.measured) element("profile-about").textContent = `Not measured: ${error.message}`;
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  show(profile) {
    const sum = profile.steps.reduce((total, step) => total + minimum(step.milliseconds), 0);
    const peak = profile.peak_flops_per_second ? profile.peak_flops_per_second.all_threads / 1e9 : null;
    const kinds = new Map();
    this.steps = profile.steps.map((step) => {
      const milliseconds = minimum(step.milliseconds);
      const rate = milliseconds > 0 ? step.flops / milliseconds / 1e6 : 0;
      const kind = kinds.get(step.kind) ?? { name: step.kind, milliseconds: 0 };
      kind.milliseconds += milliseconds;
      kinds.set(step.kind, kind);
      return { name: nameOf(step), kernel: step.kernel, kind, milliseconds, share: milliseconds / sum, rate, peak };
    });
    const ordered = [...kinds.values()].sort((one, other) => other.milliseconds - one.milliseconds);
    ordered.forEach((kind, i) => (kind.colour = `kind-${Math.min(i, KINDS - 1)}`));

    const run = minimum(profile.milliseconds);
    const flops = profile.steps.reduce((total, step) => total + step.flops, 0);
    const of = peak ? `, ${Math.round(flops / run / 1e4 / peak)} % of the peak of ${Math.round(peak)}` : "";
    element("profile-about").textContent =
      `A run takes ${time(run)} in ${this.steps.length} steps: ${(flops / run / 1e6).toFixed(1)} GFLOP/s${of}. ` +
      `Shortest of ${profile.milliseconds.length} runs.`;
    this.drawChart(peak);
    element("kinds").replaceChildren(...ordered.map((kind) => kindItem(kind, sum)));
    element("steps").tBodies[0].replaceChildren(...this.steps.map(stepRow));
    element("profile-body").hidden = false;
    this.chart.setAttribute("aria-valuemin", "1");
    this.chart.setAttribute("aria-valuemax", String(this.steps.length));
    const longest = this.steps.reduce((one, other) => (other.share > one.share ? other : one));
    this.select(this.steps.indexOf(longest));
  }

  drawChart(peak) {
    const highest = Math.max(1e-9, ...this.steps.map((step) => step.rate));
    const top = peak && peak < 4 * highest ? Math.max(peak, highest) : highest;
    const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    let x = 0;
    for (const step of this.steps) {
      const height = Math.max(3, (0.94 * HEIGHT * step.rate) / top);
      step.from = x;
      step.wide = WIDTH * step.share;
      const place = { x, y: HEIGHT - height, width: step.wide, height };
      step.shape = shape("rect", { class: step.kind.colour, ...place });
      svg.append(step.shape);
      x += step.wide;
    }
    const hasLine = Boolean(peak && peak <= top);
    element("peak").hidden = !hasLine;
    if (hasLine) {
      const y = HEIGHT - (0.94 * HEIGHT * peak) / top;
      svg.append(shape("line", { class: "peak", x1: 0, x2: WIDTH, y1: y, y2: y }));
    }
    this.chart.replaceChildren(svg);
  }

  select(index) {
    this.selected = Math.min(Math.max(index, 0), this.steps.length - 1);
    this.steps.forEach((step, i) => step.shape.classList.toggle("chosen", i === this.selected));
    const step = this.steps[this.selected];
    const rate = step.rate > 0 ? `, ${step.rate.toFixed(1)} GFLOP/s` : "";
    const text = `${step.name}: ${time(step.milliseconds)}, ${(100 * step.share).toFixed(1)} %${rate}`;
    const shown = document.createElement("b");
    shown.textContent = text;
    element("step").replaceChildren(shown, ` ${step.kernel}`);
    this.chart.setAttribute("aria-valuenow", String(this.selected + 1));
    this.chart.setAttribute("aria-valuetext", `${text}, ${step.kernel}`);
  }

  key(event) {
    const last = this.steps.length - 1;
    const to = {
      ArrowRight: this.selected + 1,
      ArrowUp: this.selected + 1,
      ArrowLeft: this.selected - 1,
      ArrowDown: this.selected - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.select(to);
  }

  point(event) {
    const place = this.chart.getBoundingClientRect();
    const x = ((event.clientX - place.left) / place.width) * WIDTH;
    const index = this.steps.findIndex((step) => x >= step.from && x < step.from + step.wide);
    if (index >= 0) this.select(index);
  }
}

function nameOf({ layers, part_of: partOf }) {
  if (!layers.length) return partOf.length ? `part of ${partOf.join(" + ")}` : "copy";
  if (layers.length <= 2) return layers.join(" + ");
  return `${layers[0]} … ${layers.at(-1)} (${layers.length} layers)`;
}

const time = (milliseconds) => `${milliseconds.toPrecision(3)} ms`;

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

function kindItem(kind, sum) {
  const item = document.createElement("li");
  const dot = document.createElement("span");
  dot.className = `dot ${kind.colour}`;
  item.append(dot, `${kind.name} `);
  const share = document.createElement("b");
  const percent = (100 * kind.milliseconds) / sum;
  share.textContent = percent < 1 ? "< 1 %" : `${percent.toFixed(0)} %`;
  item.append(share);
  return item;
}

function stepRow(step) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = step.name;
  const figures = [
    step.kernel,
    step.milliseconds.toFixed(3),
    (100 * step.share).toFixed(1),
    step.rate.toFixed(1),
    step.peak ? ((100 * step.rate) / step.peak).toFixed(1) : "–",
  ];
  line.append(head);
  for (const figure of figures) line.insertCell().textContent = figure;
  return line;
}
