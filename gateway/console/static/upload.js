/* Files that are dropped or chosen go up in pieces (tus): they survive a lost connection and a closed tab. */
const drop = document.querySelector("[data-drop]");
const list = document.querySelector("[data-queue]");
const said = document.querySelector("#said");
const size = (count) => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
  return `${unit ? count.toFixed(1) : count} ${units[unit]}`;
};

const send = async (file) => {
  const row = document.querySelector("#queued").content.firstElementChild.cloneNode(true);
  const [name, state, button, bar] = ["name", "state", "pause", "bar"].map((part) => row.querySelector(`[data-${part}]`));
  name.textContent = file.name;
  bar.setAttribute("aria-label", `Upload of ${file.name}`);
  list.hidden = false;
  list.querySelector("ul").append(row);
  const begun = performance.now();
  let first = null;
  let running = true;
  const upload = new tus.Upload(file, {
    endpoint: "/v1/resumable",
    chunkSize: 8 * 1024 * 1024,
    retryDelays: [0, 1000, 3000, 5000, 10000],
    removeFingerprintOnSuccess: true,
    metadata: { filename: file.name, filetype: file.type },
    onProgress(sent, total) {
      first ??= sent;
      const seconds = (performance.now() - begun) / 1000;
      const speed = (sent - first) / seconds;
      const left = speed > 0 ? ` · ${Math.ceil((total - sent) / speed)} s left` : "";
      bar.value = total ? sent / total : 1;
      state.textContent = sent < total ? `${size(sent)} of ${size(total)} · ${size(speed)}/s${left}` : "Checking …";
    },
    async onSuccess() {
      bar.value = 1;
      button.remove();
      const answer = await fetch(upload.url, { headers: { Accept: "application/json" } });
      const { file: made } = await answer.json();
      const link = document.createElement("a");
      link.href = `/console/files/${made.sha256}`;
      link.textContent = file.name;
      name.replaceChildren(link);
      state.textContent = "Uploaded";
      row.dataset.done = made.sha256;
      said.textContent = `${file.name}: ${state.textContent}`;
    },
    onError(error) {
      const status = error.originalResponse?.getStatus();
      state.textContent = status === 413 ? "Too large for this system." : status === 401
        ? "The session has ended: sign in again, then choose the file once more. It goes on where it stopped."
        : "No connection. Choose the file once more: it goes on where it stopped.";
      said.textContent = `${file.name}: ${state.textContent}`;
      button.textContent = "Try again";
      running = false;
    },
  });
  button.addEventListener("click", () => {
    running = !running;
    button.textContent = running ? "Pause" : "Resume";
    if (running) upload.start(); else upload.abort();
  });
  const [earlier] = await upload.findPreviousUploads();
  if (earlier) upload.resumeFromPreviousUpload(earlier);
  upload.start();
};

if (drop && window.tus) {
  const chooser = drop.querySelector("input[type=file]");
  drop.querySelector("[data-plain]")?.remove();
  chooser.addEventListener("change", () => { [...chooser.files].forEach(send); chooser.value = ""; });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") [...event.dataTransfer.files].forEach(send);
    });
  }
}
