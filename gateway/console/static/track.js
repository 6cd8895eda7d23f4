/* A table of points over time, as DeepLabCut writes it: three header lines, then a line for each frame. */
export class Track {
  constructor(text) {
    const lines = text.trimEnd().split("\n");
    const [, points, coords] = lines.splice(0, 3).map((line) => line.split(",").slice(1));
    this.points = [...new Set(points)];
    this.spatial = coords.includes("z");
    this.frames = lines.length;
    this.width = this.points.length * 3;
    this.values = new Float32Array(this.frames * this.width);
    lines.forEach((line, frame) => {
      const cells = line.split(",");
      for (let n = 0; n < this.width; n += 1) {
        const cell = cells[n + 1];
        this.values[frame * this.width + n] = cell === "" || cell === undefined ? NaN : Number(cell);
      }
    });
  }

  static async load(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`The coordinates are not there (${answer.status}).`);
    return new Track(await answer.text());
  }

  at(frame, point, coord) {
    return this.values[frame * this.width + point * 3 + coord];
  }

  /* Whether a point is there: in the plane with at least this likelihood, in space at all. */
  seen(frame, point, cut) {
    const third = this.at(frame, point, 2);
    return this.spatial ? Number.isFinite(third) : third >= cut;
  }

  range(coord, points) {
    let [low, high] = [Infinity, -Infinity];
    for (let frame = 0; frame < this.frames; frame += 1) {
      for (const point of points) {
        const value = this.at(frame, point, coord);
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    return low <= high ? [low, high] : [0, 1];
  }
}

export const colour = (n, count) => `hsl(${Math.round((360 * n) / Math.max(count, 1))} 75% 52%)`;

/* A canvas as sharp as the screen; drawing is in CSS pixels. */
export const sharp = (canvas) => {
  const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio || 1];
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
};
