/* What a page does beyond being a page: theme, live updates, copying, filters. Everything works without it, too. */
const root = document.documentElement;
root.classList.add("scripted");

const said = document.querySelector("#said");
const say = (text) => { if (said) said.textContent = text; };

/* The theme: the system's, until somebody says otherwise. */
const themes = ["auto", "light", "dark"];
const theme = () => localStorage.getItem("theme") ?? "auto";
const show = () => {
  if (theme() === "auto") delete root.dataset.theme; else root.dataset.theme = theme();
  for (const button of document.querySelectorAll("[data-theme-button]")) {
    button.querySelector("span").textContent = `Theme: ${theme()}`;
  }
};
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-theme-button]")) return;
  localStorage.setItem("theme", themes[(themes.indexOf(theme()) + 1) % themes.length]);
  show();
});
show();

/* One stream for the page. News come together: regions ask again at most once a second. */
const live = document.querySelector("[data-live]");
if (live && window.htmx) {
  const label = live.querySelector("span");
  let source = null;
  let timer = null;
  const tell = (state, text) => { live.dataset.state = state; label.textContent = text; };
  const news = () => {
    timer = null;
    for (const region of document.querySelectorAll("[data-region]")) htmx.trigger(region, "news");
  };
  /* Items move thousands of times a second and are no events: pages about them ask again in steady intervals. */
  const every = /^every (\d+) s$/.exec(live.dataset.live);
  const ask = () => {
    const clock = setInterval(news, Number(every[1]) * 1000);
    source = { close: () => clearInterval(clock) };
    tell("live", "Live");
  };
  const open = () => {
    if (every) return ask();
    source = new EventSource(live.dataset.live);
    source.onopen = () => {
      tell("live", "Live");
      /* What ended between the page and its stream is in neither: a page that shows something unfinished asks once. */
      if (document.querySelector("[data-region] .state:is(.running, .queued, .scheduled, .pending)")) news();
    };
    source.onmessage = () => { timer ??= setTimeout(news, 1000); };
    source.onerror = () => tell("away", "Reconnecting");
    source.addEventListener("close", () => {});
  };
  const close = () => { clearTimeout(timer); timer = null; source?.close(); source = null; };
  const paused = () => live.getAttribute("aria-pressed") === "true";
  live.addEventListener("click", () => {
    live.setAttribute("aria-pressed", String(!paused()));
    if (paused()) { close(); tell("paused", "Paused"); } else { open(); news(); }
  });
  document.addEventListener("visibilitychange", () => {
    if (paused()) return;
    if (document.hidden) close(); else if (!source) { open(); news(); }
  });
  addEventListener("pagehide", close);
  open();
} else if (live) {
  live.hidden = true;
}

/* On a narrow screen the navigation is one line that scrolls: to where one is. */
const nav = document.querySelector(".side nav");
const current = nav?.querySelector("[aria-current]");
if (current && nav.scrollWidth > nav.clientWidth) nav.scrollLeft = current.offsetLeft - nav.clientWidth / 3;

/* Progress is said aloud at quarters only, and at the end. */
let quarter = null;
document.addEventListener("htmx:after:swap", () => {
  const bar = document.querySelector("[data-announce]");
  if (!bar) return;
  const now = `${bar.dataset.announce} ${Math.floor(Number(bar.dataset.done ?? 0) / 25) * 25} percent`;
  if (quarter !== null && quarter !== now) say(now);
  quarter = now;
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
  say("Copied");
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1200);
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) {
    for (const box of document.querySelectorAll("input[name=ids]")) box.checked = event.target.checked;
  }
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

/* "/" goes to the first filter, as everywhere. */
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, textarea, select")) return;
  const field = document.querySelector("[data-search]");
  if (field) { event.preventDefault(); field.focus(); }
});

/* A sign-in link carries its token behind the #, which no server and no log ever sees. */
const door = document.querySelector("[data-door]");
if (door && location.hash.startsWith("#rm_")) {
  door.elements.token.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
  door.requestSubmit();
}
