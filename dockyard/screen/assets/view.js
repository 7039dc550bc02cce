// The lab as a live picture: shows the SVG that the kernel draws, and tells it what was clicked.

const LARGEST = 3, SMALLEST = 1, STEP = 1.25; // zoom; below 1, text would be under 12 pixels
// What has a name can be reached by keyboard; a host's box can be clicked on, too.
const NAMED = "[data-host][aria-label]";

// What identifies a thing in the picture, across its redrawings.
const key = (thing) => thing ? Object.values(parts(thing.dataset)).join(" ") : "";
const parts = ({ host = "", container = "", service = "", port = "" }) => ({ host, container, service, port });

// Links that cells have printed, too. Whoever comes first changes them; the others find them changed.
document.addEventListener("click", (event) => {
  const anchor = event.target.closest?.("a[href^='http://127.0.0.1:']");
  if (anchor) anchor.href = reachable(anchor.href);
}, true);

const same = (one, other) => Boolean(other) && Object.keys(one).every((name) => one[name] === other[name]);

function render({ model, el, signal }) {
  const words = model.get("words");
  let zoom = 1;
  let selected = null; // what a Thing of the kernel is

  const stage = make("div", { class: "dy-stage" });
  const news = make("p", { class: "dy-news", role: "status", "aria-live": "polite" });
  const details = make("section", { class: "dy-details", "aria-live": "polite", hidden: "" });
  const button = (text, label, work) =>
    make("button", { type: "button", title: label, "aria-label": label, click: work }, text);
  const tools = make("div", { class: "dy-tools", role: "toolbar", "aria-label": words.picture },
    make("strong", {}, words.picture),
    make("span", { class: "dy-how" }, words.how),
    button("−", words.away, () => scale(zoom / STEP)),
    button("+", words.closer, () => scale(zoom * STEP)),
    button("1:1", words.actual, () => scale(1)),
    make("button", { type: "button", click: startOver }, words.start_over));
  el.classList.add("dockyard");
  el.append(tools, stage, news, details);

  function scale(to) {
    zoom = Math.min(Math.max(to, SMALLEST), LARGEST);
    const svg = stage.firstElementChild;
    if (!svg) return;
    svg.style.width = `${svg.viewBox.baseVal.width * zoom}px`;
    svg.style.height = `${svg.viewBox.baseVal.height * zoom}px`;
  }

  function draw() {
    const source = model.get("svg");
    if (!source) return;
    const svg = drawing(source);
    const focused = key(stage.contains(document.activeElement) && document.activeElement);
    svg.setAttribute("role", "group");
    for (const thing of svg.querySelectorAll(NAMED)) prepare(thing);
    stage.replaceChildren(svg);
    scale(zoom);
    if (focused.trim())
      [...svg.querySelectorAll(NAMED)].find((each) => key(each) === focused)?.focus();
    mark();
  }

  function prepare(thing) {
    const { host, port } = thing.dataset;
    const link = port && model.get("links")[host]?.[port];
    if (link) {
      const anchor = document.createElementNS("http://www.w3.org/2000/svg", "a");
      for (const [name, value] of Object.entries({
        href: reachable(link), target: "_blank", rel: "noopener",
        "aria-label": `${thing.getAttribute("aria-label")}, ${words.opens}`,
      })) anchor.setAttribute(name, value);
      Object.assign(anchor.dataset, thing.dataset);
      thing.replaceWith(anchor);
      anchor.append(thing);
      delete thing.dataset.host;
      thing.removeAttribute("aria-label");
    } else if (!port) {
      thing.setAttribute("role", "button");
      thing.setAttribute("tabindex", "0");
    }
  }

  // Clicks and keys

  function chosen(event) {
    const thing = event.target.closest?.("[data-host]");
    return thing && !thing.dataset.port ? thing : null;
  }

  function open(thing) {
    selected = parts(thing.dataset);
    details.hidden = false;
    details.replaceChildren(make("p", {}, words.working));
    mark();
    model.send(selected);
  }

  function mark() {
    for (const each of stage.querySelectorAll("[data-host]"))
      each.classList.toggle("dy-selected", same(parts(each.dataset), selected));
  }

  function close() {
    selected = null;
    details.hidden = true;
    mark();
  }

  stage.addEventListener("click", (event) => {
    if (!dragged && chosen(event)) open(chosen(event));
  });
  el.addEventListener("keydown", (event) => {
    const thing = chosen(event);
    if (thing && (event.key === "Enter" || event.key === " ")) open(thing);
    else if (event.key === "Escape" && selected) close();
    else if (stage.contains(event.target) && event.key === "+") scale(zoom * STEP);
    else if (stage.contains(event.target) && event.key === "-") scale(zoom / STEP);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return; // without it, the page scrolls
    event.preventDefault();
    scale(event.deltaY < 0 ? zoom * STEP : zoom / STEP);
  }, { passive: false });

  let dragged = false;
  stage.addEventListener("pointerdown", (start) => {
    dragged = false;
    const { scrollLeft, scrollTop } = stage;
    const move = (event) => {
      dragged ||= Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > 4;
      stage.scrollLeft = scrollLeft + start.clientX - event.clientX;
      stage.scrollTop = scrollTop + start.clientY - event.clientY;
    };
    const end = new AbortController();
    window.addEventListener("pointermove", move, { signal: end.signal });
    for (const name of ["pointerup", "pointercancel"])
      window.addEventListener(name, () => end.abort(), { signal: end.signal });
  });

  // Details

  function show(found) {
    if (!same(parts(found.thing), selected)) return;
    const act = (action) => () => {
      model.send({ ...selected, act: action.name });
      for (const each of details.querySelectorAll("button[data-act]")) each.disabled = true;
      status.textContent = words.working;
    };
    const status = make("span", { class: "dy-status", role: "status" });
    const facts = make("dl");
    for (const [name, value] of found.facts)
      facts.append(make("dt", {}, name), make("dd", {}, value));
    const criteria = make("ul", { class: "dy-criteria", "aria-label": words.criteria },
      ...found.criteria.map(([outcome, title]) => make("li", { class: `dy-${outcome}` },
        make("span", { class: "dy-sign", "aria-hidden": "true" }, SIGNS[outcome]),
        make("span", { class: "dy-outcome" }, `${words[outcome]}: `), title)));
    const log = make("pre", { tabindex: "0", "aria-label": words.log }, found.log || words.no_log);
    details.setAttribute("aria-label", found.title);
    details.replaceChildren(
      make("header", {}, make("strong", {}, found.title), button("×", words.close, close)),
      facts, found.criteria.length ? criteria : "",
      make("div", { class: "dy-actions" },
        ...found.actions.map((action) =>
          make("button", { type: "button", "data-act": action.name, click: act(action) }, action.title)),
        status),
      make("div", { class: "dy-shell" }, make("span", {}, `${words.shell}: `), make("code", {}, found.shell),
        ...(window.jupyterapp
          ? [make("button", { type: "button", click: () => terminal(found.shell) }, words.open_terminal)]
          : [])),
      make("div", {}, words.log), log);
    log.scrollTop = log.scrollHeight;
  }

  async function terminal(command) {
    const opened = await window.jupyterapp.commands.execute("terminal:create-new");
    window.jupyterapp.shell.add(opened, "main", { mode: "split-bottom" }); // the picture stays in sight
    const session = opened.content.session;
    const type = () => session.send({ type: "stdin", content: [`${command}\r`] });
    if (session.connectionStatus === "connected") type();
    else session.connectionStatusChanged.connect(function once(_, status) {
      if (status !== "connected") return;
      session.connectionStatusChanged.disconnect(once);
      type();
    });
  }

  function say(sentence, ...buttons) {
    details.hidden = false;
    details.replaceChildren(
      make("header", {}, make("strong", {}, sentence), button("×", words.close, close)),
      make("div", { class: "dy-actions" }, ...buttons));
  }

  function startOver() {
    const hosts = Object.keys(model.get("links")).join(", ");
    const no = make("button", { type: "button", click: close }, words.start_over_no);
    const yes = make("button", { type: "button", click: () => {
      say(words.working);
      model.send({ act: "start-over" });
    } }, words.start_over_yes);
    selected = null;
    mark();
    say(words.start_over_asks.replace("{hosts}", hosts), yes, no);
    no.focus();
  }

  function told(message) {
    if (message.details) show(message.details);
    if (message.said) say(message.said);
  }

  // Its life

  const redraw = () => draw();
  const tell = () => { news.textContent = model.get("news"); };
  const lost = () => { news.textContent = words.lost; el.classList.add("dy-lost"); };
  const width = new ResizeObserver(() => {
    const { host, gap, margin } = model.get("sizes");
    const columns = Math.max(Math.floor((stage.clientWidth - 2 * margin + gap) / (host + gap)), 1);
    if (stage.clientWidth && columns !== model.get("columns")) {
      model.set("columns", columns);
      model.save_changes();
    }
  });
  width.observe(stage);
  model.on("change:svg", redraw);
  model.on("change:news", tell);
  model.on("msg:custom", told);
  model.on("comm_live_update", lost);
  model.send({ hello: true });
  signal?.addEventListener("abort", () => width.disconnect());
  draw();
  tell();
  return () => width.disconnect();
}

export default { render };
