// Saves the picture with its results as a file.

import { percent } from "./results.js";
import { drawFound } from "./stage.js";

const MAX_CLASSES = 5;

/** Returns the picture at its own size, with boxes or a mask over it, or with the classes below. */
function drawn(source, found) {
  const width = source.naturalWidth || source.videoWidth;
  const height = source.naturalHeight || source.videoHeight;
  const classes = found.task === "classification" ? found.entries.slice(0, MAX_CLASSES) : [];
  const line = Math.max(18, Math.round(Math.max(width, height) / 24));
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height + line * classes.length;
  const context = canvas.getContext("2d");
  context.drawImage(source, 0, 0, width, height);
  drawFound(context, found, width, height, Math.max(1, Math.max(width, height) / 800));
  context.fillStyle = "#ffffff";
  context.fillRect(0, height, width, canvas.height - height);
  context.font = `${Math.round(0.7 * line)}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  classes.forEach((entry, i) => {
    const top = height + i * line;
    context.fillStyle = "#a0c8ff";
    context.fillRect(0, top + 1, width * entry.share, line - 2);
    context.fillStyle = "#10100f";
    context.fillText(`${entry.label} ${entry.text ?? percent(entry.share)}`, line / 3, top + line / 2, width - line / 3);
  });
  return canvas;
}

/** Saves the picture as NAME_result.png. */
export async function save(source, found, name) {
  const file = await new Promise((done) => drawn(source, found).toBlob(done, "image/png"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `${name.replace(/\.[^.]*$/, "")}_result.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
