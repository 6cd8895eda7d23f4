/* Points in space, seen from any side: drag or press the arrow keys. Up is -y, as the cameras have it. */
import { colour, sharp } from "/console/assets/track.js";

const EDGES = [[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [3, 7], [4, 5], [4, 6], [5, 7], [6, 7]];
const TRAIL = 15;
const AZIMUTH = -0.6;
const ELEVATION = 0.35;

export class Space {
  constructor(canvas) {
    Object.assign(this, { canvas, track: null, bones: [], frame: 0, zoom: 1 });
    this.reset();
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.turn(event.movementX / 120, event.movementY / 120);
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom = Math.min(Math.max(this.zoom * (event.deltaY < 0 ? 1.1 : 0.9), 0.3), 8);
      this.paint();
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
      if (!by) return;
      event.preventDefault();
      this.turn(...by);
    });
  }

  reset() {
    Object.assign(this, { azimuth: AZIMUTH, elevation: ELEVATION, zoom: 1 });
    this.paint();
  }

  turn(around, over) {
    this.azimuth += around;
    this.elevation = Math.min(Math.max(this.elevation + over, -1.57), 1.57);
    this.paint();
  }

  show(track, skeleton) {
    this.track = track;
    this.bones = skeleton.map((pair) => pair.map((name) => track.points.indexOf(name))).filter((pair) => !pair.includes(-1));
    const all = track.points.map((_, n) => n);
    const ranges = [0, 1, 2].map((coord) => track.range(coord, all));
    this.centre = ranges.map(([low, high]) => (low + high) / 2);
    this.half = Math.max(...ranges.map(([low, high]) => high - low)) / 2 || 1;
    this.paint();
  }

  at(frame) {
    this.frame = frame;
    this.paint();
  }

  flat(x, y, z, size) {
    const [sa, ca, se, ce] = [Math.sin(this.azimuth), Math.cos(this.azimuth), Math.sin(this.elevation), Math.cos(this.elevation)];
    const across = ca * x + sa * z;
    const away = -sa * x + ca * z;
    const scale = ((size / 2) * this.zoom) / (this.half * 2);
    return [across * scale, (ce * y - se * away) * scale];
  }

  paint() {
    if (!this.track) return;
    const { pen, width, height } = sharp(this.canvas);
    const style = getComputedStyle(this.canvas);
    const size = Math.min(width, height);
    pen.translate(width / 2, height / 2);
    const corner = (n) => this.flat(...[4, 2, 1].map((bit) => (n & bit ? this.half : -this.half)), size);
    pen.strokeStyle = style.borderTopColor;
    pen.lineWidth = 1;
    pen.beginPath();
    for (const [from, to] of EDGES) {
      pen.moveTo(...corner(from));
      pen.lineTo(...corner(to));
    }
    pen.stroke();
    const place = (frame, point) => this.flat(...[0, 1, 2].map((coord) => this.track.at(frame, point, coord) - this.centre[coord]), size);
    const there = (frame, point) => this.track.seen(frame, point, 0);
    pen.lineWidth = 2;
    pen.strokeStyle = style.color;
    for (const [from, to] of this.bones) {
      if (!there(this.frame, from) || !there(this.frame, to)) continue;
      pen.beginPath();
      pen.moveTo(...place(this.frame, from));
      pen.lineTo(...place(this.frame, to));
      pen.stroke();
    }
    this.track.points.forEach((_, point) => {
      pen.fillStyle = pen.strokeStyle = colour(point, this.track.points.length);
      pen.globalAlpha = 0.35;
      pen.beginPath();
      for (let frame = Math.max(this.frame - TRAIL, 0); frame <= this.frame; frame += 1) {
        if (there(frame, point)) pen.lineTo(...place(frame, point));
      }
      pen.stroke();
      pen.globalAlpha = 1;
      if (!there(this.frame, point)) return;
      pen.beginPath();
      pen.arc(...place(this.frame, point), 5, 0, 2 * Math.PI);
      pen.fill();
    });
  }
}
