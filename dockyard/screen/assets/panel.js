// The check as a panel: criteria as sentences, with what was expected and found, and hints.

const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function render({ model, el }) {
  const words = model.get("words");
  const ask = (what) => () => model.send(what);

  const button = make("button", { type: "button", class: "dy-check", click: ask({ do: "check" }) });
  const automatic = make("input", { type: "checkbox", change: () => {
    model.set("automatic", automatic.checked);
    model.save_changes();
  } });
  const help = make("button", { type: "button", class: "dy-ask", click: ask({ do: "help" }) }, words.ask);
  const bar = make("progress", { "aria-label": words.panel, max: "1", value: "0" });
  const total = make("span", { class: "dy-total", role: "status", "aria-live": "polite" });
  const looked = make("span", { class: "dy-looked" });
  const list = make("div", { class: "dy-tasks" });
  const strip = make("div", { class: "dy-stage", tabindex: "0", "aria-label": words.look_back, role: "img" });
  const moments = make("ol", { class: "dy-moments", tabindex: "0", "aria-label": words.look_back });
  const back = make("details", { class: "dy-back", toggle: () => back.open && model.send({ do: "look-back" }) },
    make("summary", {}, words.look_back), strip,
    make("details", {}, make("summary", {}, words.look_back_list), moments));
  el.classList.add("dockyard");
  el.append(
    make("section", { class: "dy-panel", "aria-label": words.panel },
      make("div", { class: "dy-tools" }, button, bar, total, looked, help,
        make("label", {}, automatic, words.automatic)),
      list, back));

  function draw() {
    const busy = model.get("busy");
    const [number, of] = model.get("step");
    button.textContent = !busy ? words.check
      : of ? fill(words.checking_step, { number, of }) : words.checking;
    button.disabled = busy;
    automatic.checked = model.get("automatic");
    help.hidden = !model.get("heard") && !model.get("asking");
    help.setAttribute("aria-pressed", model.get("asking"));
    help.textContent = model.get("asking") ? words.asking : words.ask;
    const { points = null, max_points = 1, criteria = [] } = model.get("report");
    const note = model.get("note");
    bar.max = max_points;
    bar.value = points ?? 0;
    if (!busy || criteria.length)
      total.textContent = note || (!criteria.length ? words.never
        : points === null ? words.unknown : fill(words.points, { points, max_points }));
    looked.textContent = model.get("looked") ? fill(words.looked, { when: model.get("looked") }) : "";
    const focused = list.contains(document.activeElement) && document.activeElement.dataset.criterion;
    list.replaceChildren(...model.get("tasks").map(([id, title]) => {
      const mine = criteria.filter((each) => each.task === id);
      return mine.length ? task(title, mine) : "";
    }));
    if (focused) list.querySelector(`[data-criterion="${CSS.escape(focused)}"]`)?.focus();
  }

  function task(title, criteria) {
    const met = criteria.filter((each) => each.outcome === "passed").length;
    return make("section", {},
      make("h4", {}, `${title} (${met}/${criteria.length})`),
      make("ul", {}, ...criteria.map(criterion)));
  }

  function criterion(each) {
    const outcome = each.skipped ? "skipped" : each.outcome;
    const earlier = model.get("earlier")[each.id];
    const hint = model.get("given")[each.id], cost = model.get("hint_cost");
    const facts = make("dl");
    const fact = (name, value) => facts.append(make("dt", {}, name), make("dd", {}, value));
    if (["failed", "error"].includes(outcome)) {
      fact(words.expected, each.expected);
      fact(words.found, each.found);
      fact(words.look, make("code", {}, each.look));
    } else if (outcome !== "passed") fact(words[outcome], each.found);
    return make("li", { class: `dy-${outcome}` },
      make("span", { class: "dy-sign", "aria-hidden": "true" }, SIGNS[outcome]),
      make("div", {},
        make("div", {},
          make("span", { class: "dy-outcome" }, `${words[outcome]}: `),
          make("span", { class: "dy-sentence" }, each.title),
          make("span", { class: "dy-points" }, ` ${each.points}/${each.max_points}`)),
        earlier ? make("div", { class: "dy-earlier" }, fill(words.earlier, { when: earlier })) : "",
        facts,
        hint ? make("p", { class: "dy-hint", role: "status" }, hint) : "",
        outcome === "failed"
          ? make("button", {
              type: "button", "data-criterion": each.id, click: ask({ do: "hint", criterion: each.id }),
              "aria-label": fill(words.hint_label, { title: each.title }),
            }, cost ? fill(words.hint_costs, { cost }) : words.hint)
          : ""));
  }

  function lookBack() {
    const lines = model.get("moments");
    strip.replaceChildren(lines.length ? drawing(model.get("strip")) : words.nothing_yet);
    moments.replaceChildren(...lines.map((line) => make("li", {}, line)));
  }

  const lost = () => { total.textContent = words.lost; el.classList.add("dy-lost"); };
  for (const name of ["report", "busy", "step", "note", "given", "earlier", "automatic", "heard", "asking"])
    model.on(`change:${name}`, draw);
  model.on("change:moments", lookBack);
  model.on("comm_live_update", lost);
  model.send({ hello: true });
  draw();
}

export default { render };
