/* A film with its points: the overlay, the plots, the table and the view in space all show the frame on the screen. */
import { Space } from "/console/assets/space.js";
import { Track, colour, sharp } from "/console/assets/track.js";
import { Traces } from "/console/assets/traces.js";

const root = document.querySelector("[data-analysis]");
const part = (name) => root.querySelector(`[data-${name}]`);
const about = JSON.parse(root.dataset.analysis);
const film = part("film");
const overlay = part("overlay");
const wrong = part("wrong");
const tell = (text) => { wrong.textContent = text; wrong.hidden = !text; };

let track = null;
let frame = 0;
let cut = about.pcutoff;
const hidden = new Set();
const rate = () => (track && film.duration ? track.frames / film.duration : 0);
const visible = () => track.points.map((_, n) => n).filter((n) => !hidden.has(track.points[n]));

const seek = (to) => {
  if (!rate()) return;
  film.pause();
  film.currentTime = (Math.min(Math.max(to, 0), track.frames - 1) + 0.5) / rate();
};
const plots = [0, 1, 2].map((coord) => new Traces(root.querySelector(`[data-trace="${coord}"]`), coord, seek));
const space = about.space ? new Space(part("space")) : null;

const draw = () => {
  const { pen, width } = sharp(overlay);
  if (!track || !film.videoWidth || !part("points").checked) return;
  const scale = width / film.videoWidth;
  const place = (n) => [(track.at(frame, n, 0) + 0.5) * scale, (track.at(frame, n, 1) + 0.5) * scale];
  const there = (n) => !hidden.has(track.points[n]) && track.seen(frame, n, cut);
  pen.lineWidth = 2;
  pen.strokeStyle = "rgb(255 255 255 / 0.75)";
  for (const pair of about.skeleton) {
    const [from, to] = pair.map((name) => track.points.indexOf(name));
    if (from < 0 || to < 0 || !there(from) || !there(to)) continue;
    pen.beginPath();
    pen.moveTo(...place(from));
    pen.lineTo(...place(to));
    pen.stroke();
  }
  for (let n = 0; n < track.points.length; n += 1) {
    if (!there(n)) continue;
    pen.beginPath();
    pen.arc(...place(n), Math.max(4, 3 * scale), 0, 2 * Math.PI);
    pen.fillStyle = colour(n, track.points.length);
    pen.fill();
    pen.lineWidth = 1.5;
    pen.strokeStyle = "#fff";
    pen.stroke();
  }
};

const number = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : "–");
const list = () => {
  for (const row of part("values").rows) {
    const n = Number(row.dataset.point);
    [0, 1, 2].forEach((coord) => { row.cells[coord + 1].textContent = number(track.at(frame, n, coord), coord === 2 ? 3 : 1); });
    row.classList.toggle("unsure", !track.seen(frame, n, cut));
  }
};

const shown = (now) => {
  if (!track) return;
  frame = Math.min(Math.max(now, 0), track.frames - 1);
  root.dataset.frame = String(frame);
  part("where").textContent = `frame ${frame} of ${track.frames} · ${film.currentTime.toFixed(2)} s`;
  draw();
  list();
  for (const plot of plots) plot.at(frame);
  space?.at(Math.min(frame, space.track ? space.track.frames - 1 : 0));
};
const everything = () => {
  if (!track) return;
  for (const plot of plots) plot.show(track, visible(), cut);
  shown(frame);
  space?.paint();
};

/* The frame that is on the screen, as the browser says it; where it does not, by the clock of the film. */
const follow = () => film.requestVideoFrameCallback((_, about_frame) => {
  shown(Math.round(about_frame.mediaTime * rate() - 1e-3));
  follow();
});
if (film.requestVideoFrameCallback) follow();
film.addEventListener("seeked", () => shown(Math.floor(film.currentTime * rate() + 1e-6)));
film.addEventListener("loadedmetadata", () => everything());
film.addEventListener("error", () => {
  const other = about.views.findIndex((view) => view.labelled);
  if (other > 0 && part("view").value !== String(other)) {
    part("view").value = String(other);
    choose();
    tell("This browser cannot play the source; here is the labelled film.");
  } else tell("This browser cannot play this film. Download it, or label it: a labelled film plays everywhere.");
});

const legend = () => {
  const [box, rows] = [part("bodyparts"), part("values")];
  box.replaceChildren();
  rows.replaceChildren();
  track.points.forEach((name, n) => {
    const label = document.createElement("label");
    label.className = "check";
    const [tick, swatch] = [document.createElement("input"), document.createElement("i")];
    tick.type = "checkbox";
    tick.checked = !hidden.has(name);
    tick.addEventListener("change", () => { if (tick.checked) hidden.delete(name); else hidden.add(name); everything(); });
    swatch.style.background = colour(n, track.points.length);
    label.append(tick, swatch, name);
    box.append(label);
    const row = rows.insertRow();
    row.dataset.point = String(n);
    for (const text of [name, "", "", ""]) row.insertCell().textContent = text;
  });
};

const choose = async () => {
  const view = about.views[Number(part("view").value)];
  tell("");
  delete root.dataset.ready;
  const at = frame;
  film.src = view.video;
  part("points").checked = !view.labelled;
  try {
    track = view.table ? await Track.load(view.table) : null;
  } catch (error) {
    return tell(String(error.message));
  }
  if (!track) return tell("There are no coordinates for this film.");
  legend();
  everything();
  seek(at);
  root.dataset.ready = "yes";
};

const unsure = () => {
  for (let n = frame + 1; n < track.frames; n += 1) {
    if (visible().some((point) => !track.seen(n, point, cut))) return seek(n);
  }
  tell("No later frame has a point below the cut.");
};
const acts = { back: () => seek(frame - 1), next: () => seek(frame + 1), unsure, play: () => (film.paused ? film.play() : film.pause()) };
const keys = { ",": "back", ".": "next", n: "unsure" };
for (const [name, act] of Object.entries(acts)) part(name).addEventListener("click", act);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]):not([type=range]), textarea, select")) return;
  if (keys[event.key]) acts[keys[event.key]]();
});
film.addEventListener("play", () => { part("play").textContent = "Pause"; });
film.addEventListener("pause", () => { part("play").textContent = "Play"; });
part("view").addEventListener("change", choose);
part("points").addEventListener("change", draw);
part("speed").addEventListener("change", () => { film.playbackRate = Number(part("speed").value); });
part("cut").addEventListener("input", () => {
  cut = Number(part("cut").value);
  part("cut-value").textContent = cut.toFixed(2);
  everything();
});
part("turn-back")?.addEventListener("click", () => space.reset());
new ResizeObserver(everything).observe(root);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", everything);
document.addEventListener("click", (event) => { if (event.target.closest("[data-theme-button]")) everything(); });

if (about.space) Track.load(about.space).then((found) => space.show(found, about.skeleton)).catch((error) => tell(String(error.message)));
if (about.views.length) choose();
