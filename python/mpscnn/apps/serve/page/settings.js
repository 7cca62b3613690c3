// Shows and changes the model, its device, its precision and its number of threads.

import { Refused, askJson } from "./api.js";
import { isShown } from "./inference.js";

const AUTO = "auto";
const OPTIONS = ["device", "precision", "threads"];
const element = (id) => document.getElementById(id);

export class Settings {
  /** @param changed called when another model, or other settings of the same model, take effect */
  constructor({ changed, notice, guarded }) {
    this.models = [];
    this.devices = [];
    this.changed = changed;
    this.notice = notice;
    this.guarded = guarded;
    this.model = null;
    this.name = element("model");
    this.fields = { device: element("device"), precision: element("precision"), threads: element("threads") };
    this.score = element("score");
    element("settings").addEventListener("submit", (event) => event.preventDefault());
    this.name.addEventListener("change", () => {
      this.choose(this.name.value);
      this.guarded(() => this.follow()).catch((error) => this.notice("options", error.message));
    });
    for (const [option, field] of Object.entries(this.fields)) {
      field.addEventListener("change", () => this.compile(option));
    }
    this.compiling = 0;
    this.touched = false;
    this.score.addEventListener("input", () => {
      this.touched = true;
      this.showScore();
    });
    this.score.addEventListener("change", () => this.changed());
    this.showScore();
  }

  /** The minimum score of a box; null: that of the model. */
  get minScore() {
    return this.touched ? this.score.value / 100 : null;
  }

  showScore() {
    const own = this.model?.score_threshold ?? null;
    if (!this.touched && own !== null) this.score.value = 100 * own;
    const shown = own === null ? "the model’s own" : `${Number((100 * own).toFixed(1))} %, the model’s own`;
    element("score-shown").textContent = this.touched ? `${this.score.value} %` : shown;
  }

  async load() {
    const [{ models }, { devices, processors }] = await Promise.all([askJson("v1/models"), askJson("v1/devices")]);
    this.models = models;
    this.devices = devices;
    this.processors = processors;
    this.name.replaceChildren(
      ...models.map((model) => {
        const option = new Option(model.name, model.name);
        option.disabled = !isShown(model);
        if (option.disabled) option.textContent += " (not for photos)";
        return option;
      }),
    );
    const kept = models.find((model) => model.name === this.model?.name && isShown(model));
    const first = kept ?? models.find(isShown);
    this.notice("model", first ? "" : "No model of this service is for photos: classes, boxes or masks.");
    if (first) this.choose(first.name);
  }

  choose(name) {
    this.model = this.models.find((model) => model.name === name);
    this.name.value = name;
    element("score-field").hidden = this.model.task !== "detection";
    this.touched = false;
    this.showScore();
    this.fill();
    this.changed();
  }

  /** Fills the fields with the settings of the model. */
  fill() {
    const { device, precision, threads } = this.model;
    const { fields } = this;
    options(fields.device, [
      [AUTO, "Automatic"],
      ...this.devices.map((each) => [each.name, each.name === "cpu" ? "CPU" : each.name, each.available ? "" : each.reason]),
    ]);
    const chosen = this.devices.find((each) => each.name === device);
    options(fields.precision, [[AUTO, "Automatic"], ...(chosen?.precisions ?? [precision]).map((each) => [each, each])]);
    const counts = Array.from({ length: Math.max(this.processors, threads ?? 1) }, (_, i) => String(i + 1));
    options(fields.threads, [[AUTO, "Automatic"], ...counts.map((each) => [each, each])]);
    fields.device.value = device;
    fields.precision.value = precision;
    fields.threads.value = threads === null ? AUTO : String(threads);
    fields.threads.disabled = threads === null;
    this.describe();
  }

  describe() {
    const { task, device_name: device, precision, threads, input } = this.model;
    const size = input?.width ? `, ${input.width} × ${input.height} pixels` : "";
    const by = threads === null ? "" : `, ${threads} ${threads === 1 ? "thread" : "threads"} a picture`;
    element("about").textContent = `${sentence(task)}${size}. ${device}, ${precision}${by}.`;
  }

  /** Reads the settings of the model again, unless `told`, the options in a response, are the shown ones. */
  async follow(told) {
    const { model } = this;
    const current = () => this.model === model && !this.compiling;
    if (!model || !current() || (told && sameOptions(told, model))) return;
    const now = await askJson(`v1/models/${encodeURIComponent(model.name)}`);
    if (current() && !sameOptions(now, model)) this.put(now);
  }

  /** Stores the new settings of a model. */
  put(now) {
    this.models[this.models.findIndex((each) => each.name === now.name)] = now;
    if (this.model.name !== now.name) return;
    this.model = now;
    this.fill();
    this.changed();
  }

  async compile(option) {
    const { model, fields } = this;
    const wanted = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));
    if (option === "device") wanted.precision = AUTO; // devices have different precisions
    if (wanted.threads !== AUTO) wanted.threads = Number(wanted.threads);
    element("about").textContent = "Compiling …";
    const field = fields[option];
    this.compiling += 1;
    try {
      const path = `v1/models/${encodeURIComponent(model.name)}/options`;
      const now = await this.guarded(() => askJson(path, { body: JSON.stringify(wanted) }));
      this.notice("options", "");
      this.put(now);
    } catch (error) {
      this.notice("options", error instanceof Refused ? `Not changed: ${error.message}` : error.message);
      this.fill();
    } finally {
      this.compiling -= 1;
    }
    field.focus();
  }
}

function options(field, entries) {
  field.replaceChildren(
    ...entries.map(([value, text, reason]) => {
      const option = new Option(reason ? `${text} (${reason})` : text, value);
      option.disabled = Boolean(reason);
      return option;
    }),
  );
}

const sameOptions = (one, other) => OPTIONS.every((name) => one[name] === other[name]);

const sentence = (text) => text[0].toUpperCase() + text.slice(1);
