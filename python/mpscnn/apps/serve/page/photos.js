// Shows the dropped or chosen photos as a strip, and sends them to the model one at a time.

const THUMBNAIL = 128; // pixels
// Larger photos are made smaller before they are sent; no model's input is as large.
const MAX_BYTES = 12e6;
const MAX_PIXELS = 24e6;
const REDUCED = 2048;

export class Photos {
  constructor({ infer, shown }) {
    this.strip = document.getElementById("strip");
    this.infer = infer;
    this.shown = shown; // called with the selected photo whenever it changes
    this.all = [];
    this.selected = null;
    this.working = false;
  }

  /** Replaces all photos. */
  put(files) {
    this.clear();
    this.all = files.map((file) => ({ file, url: URL.createObjectURL(file), state: "waits", found: null, error: "" }));
    this.strip.hidden = this.all.length < 2;
    for (const photo of this.all) this.strip.append(this.tile(photo));
    this.select(this.all[0]);
    this.work();
  }

  clear() {
    for (const photo of this.all) URL.revokeObjectURL(photo.url);
    this.all = [];
    this.selected = null;
    this.strip.replaceChildren();
    this.strip.hidden = true;
  }

  /** Computes the photos again, with another model. */
  again() {
    for (const photo of this.all) {
      photo.state = "waits";
      this.mark(photo);
    }
    this.work();
  }

  select(photo) {
    this.selected = photo;
    for (const each of this.all) this.mark(each);
    this.shown(photo);
  }

  tile(photo) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    photo.picture = document.createElement("canvas");
    photo.picture.setAttribute("aria-hidden", "true");
    photo.caption = document.createElement("span");
    button.append(photo.picture, photo.caption);
    button.addEventListener("click", () => this.select(photo));
    item.append(button);
    photo.button = button;
    return item;
  }

  mark(photo) {
    const found = photo.found?.entries[0]?.label ?? "nothing found";
    const text = { waits: "waiting", sent: "working", done: found, failed: "not read" }[photo.state];
    photo.caption.textContent = text;
    photo.button.setAttribute("aria-label", `${photo.file.name}: ${text}`);
    photo.button.setAttribute("aria-current", String(photo === this.selected));
  }

  async work() {
    if (this.working) return;
    this.working = true;
    const waits = (photo) => photo?.state === "waits";
    for (let photo; (photo = waits(this.selected) ? this.selected : this.all.find(waits)); ) {
      photo.state = "sent";
      try {
        const found = await this.infer(await this.prepared(photo));
        if (photo.state !== "sent") continue; // the model has changed meanwhile, so the photo is sent again
        photo.found = found;
        photo.state = found ? "done" : "waits";
        photo.error = "";
      } catch (error) {
        photo.found = null;
        photo.error = error.message;
        photo.state = "failed";
      }
      if (!this.all.includes(photo)) continue;
      this.mark(photo);
      if (photo === this.selected) this.shown(photo);
    }
    this.working = false;
  }

  /** Returns the file to send. */
  async prepared(photo) {
    let picture;
    try {
      picture = await createImageBitmap(photo.file);
    } catch {
      photo.unseen = true;
      return photo.file; // the service reads formats that browsers do not, and says what is wrong
    }
    try {
      if (this.all.length > 1) draw(photo.picture, picture, THUMBNAIL);
      if (photo.file.size <= MAX_BYTES && picture.width * picture.height <= MAX_PIXELS) return photo.file;
      const canvas = document.createElement("canvas");
      draw(canvas, picture, REDUCED);
      return await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
    } finally {
      picture.close();
    }
  }
}

function draw(canvas, picture, longest) {
  const factor = Math.min(1, longest / Math.max(picture.width, picture.height));
  canvas.width = Math.max(1, Math.round(picture.width * factor));
  canvas.height = Math.max(1, Math.round(picture.height * factor));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
}
