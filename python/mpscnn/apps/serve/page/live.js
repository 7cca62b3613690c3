// Sends frames of a video to the model. A frame that arrives while another one is computed is dropped.

import { pause } from "./api.js";

const SPAN = 2000; // milliseconds over which the rate is counted
const QUALITY = 0.9;
const MAX_RAW_PIXELS = 1e6;
const MARGIN = 1.15; // extra size, because some preprocessing crops the picture

/** Returns the size to which a frame is scaled for the model. */
export function sizeFor(model, width, height) {
  const needed = MARGIN * Math.max(model.input?.width ?? 0, model.input?.height ?? 0);
  const factor = needed > 0 ? Math.min(1, needed / Math.min(width, height)) : 1;
  return [Math.max(1, Math.round(width * factor)), Math.max(1, Math.round(height * factor))];
}

/** Returns a canvas as an image file: uncompressed, which takes the browser no time, or as JPEG, which is small. */
export async function frameFile(canvas, context, raw) {
  const { width, height } = canvas;
  if (!raw || width * height > MAX_RAW_PIXELS) {
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
  }
  const { data } = context.getImageData(0, 0, width, height);
  const head = new TextEncoder().encode(`P6\n${width} ${height}\n255\n`);
  const file = new Uint8Array(head.length + 3 * width * height);
  file.set(head);
  for (let from = 0, to = head.length; from < data.length; from += 4) {
    file[to++] = data[from];
    file[to++] = data[from + 1];
    file[to++] = data[from + 2];
  }
  return new Blob([file], { type: "image/x-portable-pixmap" });
}

export class Live {
  /**
   * @param {HTMLVideoElement} video
   * @param infer sends an image file to the model, and returns the result or null
   * @param model the one in use
   * @param near true if the service is on the same machine
   */
  constructor(video, { infer, model, rates, near }) {
    this.near = near;
    this.video = video;
    this.infer = infer;
    this.model = model;
    this.rates = rates;
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.running = false;
    this.busy = false;
    this.repeat = false;
    this.cancel = () => {};
    this.sentTime = null; // the time in the video of the frame that was sent last
    // Browsers may show the first frame of a paused video, or the frame after a seek, without calling back.
    for (const event of ["pause", "loadeddata", "seeked"]) video.addEventListener(event, () => this.again());
  }

  /** Starts, or restarts the counts. */
  start() {
    this.times = [];
    this.latencies = [];
    this.dropped = 0;
    this.counted = 0;
    this.presented = null;
    this.sentTime = null;
    if (this.running) return;
    this.running = true;
    this.next();
  }

  stop() {
    this.running = false;
    this.cancel();
  }

  /** Sends the visible frame again, if no other frame will come. */
  again() {
    this.repeat = this.stands() && this.ready();
    if (this.repeat && this.running && !this.busy) this.send();
  }

  /** True if the visible frame is not sent yet, and no other frame will follow it. */
  stands() {
    return this.video.paused && this.video.currentTime !== this.sentTime;
  }

  /** True if there is a frame. */
  ready() {
    return this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && this.video.videoWidth > 0;
  }

  next() {
    if (!this.running) return;
    const { video } = this;
    if (video.requestVideoFrameCallback) {
      const call = video.requestVideoFrameCallback((_, about) => this.frame(about.presentedFrames));
      this.cancel = () => video.cancelVideoFrameCallback(call);
    } else {
      const timer = setTimeout(() => this.frame(null), 33);
      this.cancel = () => clearTimeout(timer);
    }
  }

  frame(presented) {
    if (!this.running) return;
    // Frames that the browser showed without calling back count as dropped, too.
    const passed = presented !== null && this.presented !== null ? Math.max(1, presented - this.presented) : 1;
    this.presented = presented;
    const ready = this.ready();
    const isSent = this.video.paused && !this.stands(); // an event has sent it
    if (!isSent && (this.busy || !ready)) {
      this.dropped += ready ? passed : 0;
      this.repeat = this.stands();
    } else if (!isSent) {
      this.dropped += passed - 1;
      this.send();
    }
    this.next();
  }

  async send() {
    this.busy = true;
    this.repeat = false;
    try {
      const [width, height] = sizeFor(this.model(), this.video.videoWidth, this.video.videoHeight);
      if (this.canvas.width !== width) this.canvas.width = width;
      if (this.canvas.height !== height) this.canvas.height = height;
      this.sentTime = this.video.currentTime;
      this.context.drawImage(this.video, 0, 0, width, height);
      const file = await frameFile(this.canvas, this.context, this.near);
      const found = file && (await this.infer(file));
      if (found && this.running) this.count(found);
      else await pause(50);
    } finally {
      this.busy = false;
    }
    if (this.repeat && this.running) this.send();
  }

  count(found) {
    const now = performance.now();
    this.counted += 1;
    this.times.push(now);
    while (this.times[0] < now - SPAN) this.times.shift();
    this.latencies.push(found.roundTrip);
    if (this.latencies.length > 25) this.latencies.shift();
    const sorted = [...this.latencies].sort((one, other) => one - other);
    const spanned = now - this.times[0];
    this.rates({
      rate: this.times.length > 2 ? (1000 * (this.times.length - 1)) / spanned : null,
      latency: sorted[Math.floor(sorted.length / 2)],
      computing: found.milliseconds,
      dropped: this.dropped,
      frames: this.counted,
    });
  }
}
