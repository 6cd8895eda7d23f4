/* One coordinate of the points over time, with a cursor at the playhead. Colours come from the sheet, in both themes. */
import { colour, sharp } from "/console/assets/track.js";

const LEFT = 44;
const BOTTOM = 4;

export class Traces {
  /* `seek` is told which frame somebody has pointed at. */
  constructor(canvas, coord, seek) {
    Object.assign(this, { canvas, coord, seek, track: null, points: [], cut: null, frame: 0 });
    this.drawn = document.createElement("canvas");
    const point = (event) => {
      if (!this.track || !(event.buttons & 1)) return;
      const box = canvas.getBoundingClientRect();
      const share = (event.clientX - box.left - LEFT) / Math.max(box.width - LEFT, 1);
      seek(Math.round(Math.min(Math.max(share, 0), 1) * (this.track.frames - 1)));
    };
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); point(event); });
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("keydown", (event) => {
      const last = (this.track?.frames ?? 1) - 1;
      const to = { ArrowLeft: this.frame - 1, ArrowRight: this.frame + 1, PageUp: this.frame - 10, PageDown: this.frame + 10, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      seek(to);
    });
  }

  show(track, points, cut) {
    Object.assign(this, { track, points, cut });
    this.canvas.setAttribute("aria-valuemax", String(Math.max(track.frames - 1, 0)));
    this.paint();
  }

  at(frame) {
    this.frame = frame;
    this.canvas.setAttribute("aria-valuenow", String(frame));
    this.canvas.setAttribute("aria-valuetext", `frame ${frame}`);
    this.blit();
  }

  /* Everything but the cursor, once. */
  paint() {
    if (!this.track) return;
    const { pen, width, height } = sharp(this.canvas);
    const style = getComputedStyle(this.canvas);
    const likely = this.coord === 2;
    const [low, high] = likely ? [0, 1] : this.track.range(this.coord, this.points);
    const down = (value) => height - BOTTOM - ((value - low) / (high - low || 1)) * (height - 2 * BOTTOM);
    if (likely) this.shade(pen, width, height, style.outlineColor);
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    pen.lineWidth = 1;
    for (const value of [low, (low + high) / 2, high]) {
      pen.strokeStyle = style.borderTopColor;
      pen.beginPath();
      pen.moveTo(LEFT, down(value));
      pen.lineTo(width, down(value));
      pen.stroke();
      pen.fillStyle = style.color;
      pen.fillText(likely ? value.toFixed(1) : value.toFixed(0), LEFT - 8, Math.min(Math.max(down(value), 7), height - 7));
    }
    for (const point of this.points) this.line(pen, point, width, down);
    if (likely && this.cut > 0) {
      pen.strokeStyle = style.color;
      pen.lineWidth = 1;
      pen.setLineDash([4, 4]);
      pen.beginPath();
      pen.moveTo(LEFT, down(this.cut));
      pen.lineTo(width, down(this.cut));
      pen.stroke();
      pen.setLineDash([]);
    }
    this.drawn.width = this.canvas.width;
    this.drawn.height = this.canvas.height;
    this.drawn.getContext("2d").drawImage(this.canvas, 0, 0);
    this.blit();
  }

  across(frame, width) {
    return LEFT + (frame / Math.max(this.track.frames - 1, 1)) * (width - LEFT - 1);
  }

  /* Of many frames in a column of pixels, the least and the most: no peak is lost. */
  line(pen, point, width, down) {
    pen.strokeStyle = colour(point, this.track.points.length);
    pen.lineWidth = 1.25;
    pen.beginPath();
    const step = Math.max(1, Math.floor(this.track.frames / Math.max(width - LEFT, 1)));
    let drawing = false;
    for (let start = 0; start < this.track.frames; start += step) {
      let [low, high] = [Infinity, -Infinity];
      for (let frame = start; frame < Math.min(start + step, this.track.frames); frame += 1) {
        const value = this.track.at(frame, point, this.coord);
        if (value < low) low = value;
        if (value > high) high = value;
      }
      if (low > high) { drawing = false; continue; }
      const x = this.across(start, width);
      if (drawing) pen.lineTo(x, down(low)); else pen.moveTo(x, down(low));
      if (high > low) pen.lineTo(x, down(high));
      drawing = true;
    }
    pen.stroke();
  }

  shade(pen, width, height, wash) {
    pen.fillStyle = wash;
    const one = Math.max((width - LEFT) / Math.max(this.track.frames, 1), 1);
    for (let frame = 0; frame < this.track.frames; frame += 1) {
      if (this.points.some((point) => !this.track.seen(frame, point, this.cut))) {
        pen.fillRect(this.across(frame, width) - one / 2, 0, one, height);
      }
    }
  }

  blit() {
    if (!this.track || !this.drawn.width) return;
    const { pen, width, height } = sharp(this.canvas);
    pen.drawImage(this.drawn, 0, 0, width, height);
    pen.strokeStyle = getComputedStyle(this.canvas).caretColor;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(this.across(this.frame, width), 0);
    pen.lineTo(this.across(this.frame, width), height);
    pen.stroke();
  }
}
