// Opens the browser's camera. Browsers allow this only for pages from this machine or over HTTPS.

const MESSAGES = {
  NotAllowedError: "The browser does not give this page the camera. Allow it beside the address, then choose Camera again.",
  NotFoundError: "There is no camera.",
  OverconstrainedError: "There is no such camera any more.",
  NotReadableError: "The camera cannot be read; another program may be using it.",
  AbortError: "The camera cannot be read; another program may be using it.",
};
const NOT_HERE = "Browsers give the camera only to pages of the same machine or over HTTPS.";

const element = (id) => document.getElementById(id);

export class Camera {
  constructor(video, { notice, ended }) {
    this.video = video;
    this.notice = notice;
    this.ended = ended;
    this.stream = null;
    this.asked = 0;
  }

  /** Starts the camera. Returns false if it does not start; then a notice says why. */
  async start(which) {
    const mine = ++this.asked;
    this.notice("camera", "");
    if (!navigator.mediaDevices?.getUserMedia) {
      this.notice("camera", NOT_HERE);
      return false;
    }
    const wanted = { width: { ideal: 1280 }, height: { ideal: 720 } };
    Object.assign(wanted, which ? { deviceId: { exact: which } } : { facingMode: { ideal: "environment" } });
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      if (mine !== this.asked) {
        for (const track of stream.getTracks()) track.stop();
        return false;
      }
      this.stream = stream;
      stream.getVideoTracks()[0].addEventListener("ended", () => this.stream === stream && this.ended());
      this.video.srcObject = stream;
      await this.video.play();
      await this.list();
      return this.stream === stream;
    } catch (error) {
      if (mine === this.asked) {
        this.stop();
        this.notice("camera", MESSAGES[error.name] ?? `The camera does not start: ${error.message}`);
      }
      return false;
    }
  }

  stop() {
    this.asked += 1;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
    element("which").hidden = true;
  }

  async list() {
    const all = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "videoinput");
    const used = this.stream?.getVideoTracks()[0]?.getSettings().deviceId;
    element("cameras").replaceChildren(
      ...all.map((device, i) => new Option(device.label || `Camera ${i + 1}`, device.deviceId, false, device.deviceId === used)),
    );
    element("which").hidden = all.length < 2;
  }
}
