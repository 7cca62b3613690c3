// Sends a picture to the service, and brings the results of all tasks into one form.

import { Gone, ask, jsonOf } from "./api.js";

const PATHS = {
  classification: "v1/classify",
  detection: "v1/detect",
  segmentation: "v1/segment",
};
const TOP = 5;

/** Returns true if this page can show the results of a model. */
export const isShown = (model) => model.photos && model.task in PATHS;

/** Returns a colour for a class that differs clearly from those of the classes before and after it. */
export function colourOf(index, alpha = 1) {
  const hue = (index * 137.508 + 165) % 360;
  return `hsl(${hue.toFixed(1)} 72% 58% / ${alpha})`;
}

// The mask is a PNG with Pascal VOC's palette, which spreads the bits of the class's number over the channels.
const CLASS_OF_COLOUR = new Map();
for (let number = 0; number < 256; number++) {
  const channels = [0, 0, 0];
  for (let bit = 0; bit < 8; bit++) channels[bit % 3] |= ((number >> bit) & 1) << (7 - Math.floor(bit / 3));
  CLASS_OF_COLOUR.set((channels[0] << 16) | (channels[1] << 8) | channels[2], number);
}

/**
 * @param {Blob} picture an image file
 * @returns {Promise<{task, entries, mask, milliseconds, roundTrip, options}>} entries have label, index, share (0 to 1), text instead of the share, box in
 *   fractions of the picture or null; mask is a canvas or null; milliseconds of the model or null; options are the device,
 *   precision and threads that computed it, or null if a proxy has removed them.
 */
export async function infer(model, picture, { score, signal } = {}) {
  const begun = performance.now();
  const name = encodeURIComponent(model.name);
  let query = `${PATHS[model.task]}?model=${name}`;
  if (model.task === "classification") query += `&top=${TOP}`;
  if (model.task === "detection" && score !== null) query += `&score_threshold=${score}`;
  const found = { task: model.task, mask: null, milliseconds: null };
  const segments = model.task === "segmentation";
  const response = await ask(query, { body: picture, accept: segments ? "image/png" : "application/json", signal });
  found.options = JSON.parse(response.headers.get("Mpscnn-Options"));
  if (segments) {
    let content;
    try {
      content = await response.blob();
    } catch {
      throw new Gone("The answer was cut off.");
    }
    Object.assign(found, await areas(content, model.labels));
  } else {
    const answer = await jsonOf(response);
    found.milliseconds = answer.milliseconds;
    const asIs = answer.scores_are === "as is"; // the network's own numbers, which are no shares
    const units = answer.numbers?.map((number) => number.unit) ?? [];
    found.entries = (answer.predictions ?? answer.detections).map((entry) => ({
      label: entry.label,
      index: entry.index,
      share: asIs ? 0 : (entry.probability ?? entry.score),
      text: asIs ? `${Number(entry.probability.toPrecision(5))} ${units[entry.index] ?? ""}`.trim() : null,
      box: entry.box ? fractions(entry.box, answer) : null,
    }));
  }
  found.roundTrip = performance.now() - begun;
  return found;
}

function fractions([left, top, right, bottom], { width, height }) {
  return [left / width, top / height, right / width, bottom / height];
}

async function areas(content, labels) {
  const picture = await createImageBitmap(content, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const canvas = document.createElement("canvas");
  canvas.width = picture.width;
  canvas.height = picture.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  picture.close();
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const words = new Uint32Array(pixels.data.buffer);
  const { width } = canvas;
  const counts = new Map();
  const seen = new Map(); // for each pixel value: the count, and the class's colours
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    let area = seen.get(word);
    if (area === undefined) seen.set(word, (area = { count: 0, ...maskColours(classOf(word)) }));
    area.count += 1;
    // Pixels to the right and below are not changed yet.
    const right = (i + 1) % width === 0 ? word : words[i + 1];
    const below = i + width < words.length ? words[i + width] : word;
    words[i] = right === word && below === word ? area.inside : area.edge;
  }
  for (const { index, count } of seen.values()) counts.set(index, count);
  context.putImageData(pixels, 0, 0);
  const entries = [...counts]
    .map(([index, count]) => ({
      label: labels?.[index] ?? `class ${index}`,
      index,
      share: count / words.length,
      box: null,
    }))
    .sort((one, other) => other.share - one.share);
  return { mask: canvas, entries };
}

/** Returns the class of a pixel. `word` has its bytes R, G, B, A, with R as the lowest byte. */
const classOf = (word) => CLASS_OF_COLOUR.get(((word & 255) << 16) | (word & 0xff00) | ((word >> 16) & 255)) ?? 0;

const MASK_COLOURS = new Map();
const INSIDE = 110; // alpha

/** Returns the colours of a class: at its edge and inside. The background, class 0, is transparent inside. */
function maskColours(index) {
  if (!MASK_COLOURS.has(index)) {
    const dot = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    dot.fillStyle = index === 0 ? "white" : colourOf(index);
    dot.fillRect(0, 0, 1, 1);
    const [red, green, blue] = dot.getImageData(0, 0, 1, 1).data;
    const word = (alpha) => ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    MASK_COLOURS.set(index, { index, edge: word(230), inside: index === 0 ? 0 : word(INSIDE) });
  }
  return MASK_COLOURS.get(index);
}
