// The class at a glance. What learners' machines have sent is shown as text, never as markup.

const MARKS = { ...SIGNS, unseen: "·" };
const LONG = 10 * 60; // seconds on one criterion after which somebody may be stuck
const AGAIN = 1000; // milliseconds until a board that has ended is looked for again

const at = (id) => document.getElementById(id);
const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const number = (points) => String(Math.round(points * 100) / 100);

const grouped = (things, key) => {
  const groups = new Map();
  for (const each of things) groups.set(key(each), [...(groups.get(key(each)) ?? []), each]);
  return groups;
};
const hand = () => make("span", { class: "hand", "aria-hidden": "true" }, "?");

let words = {}, exercises = [], live;
const learners = new Map(); // label → { row, name, now, cells: exercise → cell }
let open = null; // [label, exercise] of the details
let back = null; // what had the focus before they opened
const order = new Intl.Collator(undefined, { numeric: true }).compare;
const cellOf = ([learner, exercise]) => learners.get(learner)?.cells.get(exercise);
const exerciseOf = (id) => exercises.find((each) => each.id === id);

function since(moment) {
  const minutes = Math.floor((Date.now() / 1000 - moment) / 60);
  if (minutes < 1) return words.moment;
  return minutes < 60 ? fill(words.minutes, { minutes })
    : fill(words.hours, { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
}

const isLong = (cell) => cell.on && Date.now() / 1000 - cell.since >= LONG;
const titleOf = (exercise, cell) => exercise.criteria.find((each) => each.id === cell.on)?.title ?? "";

function sums(exercise, cell) {
  const most = exercise.criteria.reduce((sum, each) => sum + each.points, 0);
  const points = Object.values(cell.criteria).reduce((sum, each) => sum + each.points, 0);
  return { points, most, values: { points: number(points), max_points: number(most) } };
}

// The table

function heads() {
  const seen = exercises.filter((each) => [...learners.values()].some(({ cells }) => cells.has(each.id)));
  at("heads").replaceChildren(
    make("th", { scope: "col" }, words.learner),
    make("th", { scope: "col" }, words.now),
    make("th", { scope: "col", class: "since" }, words.since),
    ...seen.map(({ id, title }) => make("th", { scope: "col", title, class: "points" }, id)));
  return seen;
}

let shown = []; // exercises that have a column

function drawAll() {
  shown = heads();
  const labels = [...learners.keys()].sort(order);
  at("rows").replaceChildren(...labels.map((label) => {
    const learner = learners.get(label);
    learner.row = make("tr", {},
      make("th", { scope: "row" }, make("bdi", {}, label)),
      make("td", { class: "now" }), make("td", { class: "since" }),
      ...shown.map(({ id }) => make("td", { class: "points", "data-exercise": id })));
    drawRow(label);
    return learner.row;
  }));
  if (!at("rows").querySelector('[tabindex="0"]')) at("rows").querySelector("button")?.setAttribute("tabindex", "0");
}

function drawRow(label) {
  const { row, cells } = learners.get(label);
  for (const td of row.querySelectorAll("td[data-exercise]")) drawCell(td, label, cells);
  row.classList.toggle("asks", [...cells.values()].some((cell) => cell.help));
  drawNow(label);
}

// What they were seen at last.
const nowOf = ({ cells }) => [...cells].reduce((one, other) => (other[1].heard > one[1].heard ? other : one));

function drawNow(label) {
  const { row, cells } = learners.get(label), [id, cell] = nowOf({ cells });
  const exercise = exerciseOf(id);
  const sentence = cell.on ? titleOf(exercise, cell) : words.done;
  const [, now, time] = row.children;
  now.title = sentence;
  now.replaceChildren(make("span", { class: "id" }, `${id.split("_")[0]} `), sentence);
  now.classList.toggle("done", !cell.on);
  time.textContent = cell.on ? since(cell.since) : "";
  time.classList.toggle("long", Boolean(isLong(cell)));
}

function drawCell(td, label, cells) {
  const id = td.dataset.exercise, cell = cells.get(id);
  if (!cell) {
    td.replaceChildren(make("span", { class: "heard" }, words.not_begun));
    return;
  }
  const exercise = exerciseOf(id), { points, most, values } = sums(exercise, cell);
  const said = [fill(words.cell, { learner: label, exercise: id, ...values })];
  said.push(cell.on ? fill(words.cell_on, { criterion: titleOf(exercise, cell), since: since(cell.since) }) : words.done);
  if (cell.help) said.push(words.cell_help);
  let button = td.querySelector("button");
  if (!button) {
    button = make("button", { type: "button", tabindex: "-1", click: () => show([label, id]) },
      make("span", { class: "bar" }, make("span")), make("span", { class: "text" }));
    td.replaceChildren(button);
  }
  const [bar, text] = button.children;
  bar.firstChild.style.width = `${100 * points / (most || 1)}%`;
  const isError = Object.values(cell.criteria).some((each) => each.outcome === "error");
  text.replaceChildren(cell.help ? hand() : "",
    `${isError ? "! " : cell.on ? "" : "✓ "}${values.points}/${values.max_points}`);
  button.setAttribute("aria-label", said.join(", "));
  button.className = cell.help ? "asks" : cell.on ? "" : "done";
}

// Where the class is: the tasks of the exercise that most are at.

function drawWhere() {
  const now = grouped([...learners.values()].map(nowOf), ([id]) => id);
  const [id, there] = [...now].reduce((one, other) => (other[1].length > one[1].length ? other : one), ["", []]);
  const exercise = exerciseOf(id);
  at("where").hidden = !exercise;
  if (!exercise) return;
  const taskOf = ([, cell]) => exercise.criteria.find((each) => each.id === cell.on)?.task ?? "";
  const counts = grouped(there, taskOf);
  at("exercise").textContent = id;
  at("tasks").replaceChildren(...[...Object.entries(exercise.tasks), ["", words.done]].map(([task, title]) => {
    const count = counts.get(task)?.length ?? 0;
    const part = make("li", { title, class: task ? "" : "done" }, make("b", {}, String(count)),
      make("span", { class: count ? "" : "heard" }, ` ${title}`));
    part.style.flexGrow = count;
    part.classList.toggle("none", !count);
    return part;
  }));
}

// Who asks for help: the one who waits longest is first.

const asking = new Map(); // "label\nexercise" → [label, exercise]

function drawQueue(announce) {
  const now = new Map();
  for (const [label, { cells }] of learners)
    for (const [id, cell] of cells) if (cell.help) now.set(`${label}\n${id}`, [label, id]);
  const news = [];
  for (const [key, [learner, exercise]] of now) if (!asking.has(key)) news.push(fill(words.asked, { learner, exercise }));
  for (const [key, [learner]] of asking) if (!now.has(key)) news.push(fill(words.taken_back, { learner }));
  asking.clear();
  for (const [key, value] of now) asking.set(key, value);
  if (announce && news.length) at("news").textContent = news.join(" ");
  const queue = [...now.values()].sort((one, other) => cellOf(one).help - cellOf(other).help);
  const focused = at("queue").contains(document.activeElement) && document.activeElement.dataset.key;
  at("queue").replaceChildren(...queue.map((key) =>
    make("li", {}, make("button", { type: "button", "data-key": key.join("\n"), click: () => show(key) },
      hand(), make("bdi", {}, key[0]),
      make("span", { class: "id" }, ` ${key[1].split("_")[0]} · ${since(cellOf(key).help)}`)))));
  if (focused) [...at("queue").querySelectorAll("button")].find((each) => each.dataset.key === focused)?.focus();
  at("asks").textContent = queue.length ? `${words.asks}: ${queue.length}` : words.nobody_asks;
  at("counts").textContent = fill(words.learners, { learners: learners.size });
}

// What was expected and found

function show(key) {
  if (!open) back = document.activeElement;
  open = key;
  drawDetails();
  at("who").focus();
  const on = at("details").querySelector(".on");
  at("details").scrollTop = on ? on.offsetTop - at("details").clientHeight / 2 : 0;
}

function hide() {
  open = null;
  drawDetails();
  if (back?.isConnected) back.focus();
}

function drawDetails() {
  const cell = open && cellOf(open);
  at("details").hidden = !cell;
  for (const each of document.querySelectorAll(".open")) each.classList.remove("open");
  if (!cell) return at("details").replaceChildren();
  const [learner, id] = open, exercise = exerciseOf(id);
  learners.get(learner).row.querySelector(`[data-exercise="${CSS.escape(id)}"]`)?.classList.add("open");
  const focused = at("details").contains(document.activeElement) && document.activeElement.id;
  const scrolled = at("details").scrollTop;
  const send = (what) => () => live.send(JSON.stringify(what));
  const tools = make("div", { class: "tools" },
    cell.help ? make("button", { type: "button", id: "helped", click: send({ learner, exercise: id }) }, words.helped) : "",
    make("button", { type: "button", id: "forget", click: send({ learner }) }, words.forget),
    make("button", { type: "button", id: "close", click: hide }, words.close));
  at("details").replaceChildren(
    make("div", { class: "top" },
      make("h2", { id: "who", tabindex: "-1" }, make("bdi", {}, learner)),
      make("p", { class: "total" }, `${exercise.title}: ${fill(words.points, sums(exercise, cell).values)}. `,
        fill(words.told, { since: since(cell.heard) })),
      tools),
    ...Object.entries(exercise.tasks).map(([task, title]) => make("section", {}, make("h3", {}, title),
      make("ul", {}, ...exercise.criteria.filter((each) => each.task === task).map((each) => criterion(each, cell))))));
  at("details").scrollTop = scrolled;
  if (focused) (at(focused) ?? at("who")).focus();
}

function criterion(known, cell) {
  const each = cell.criteria[known.id];
  const outcome = !each ? "unseen" : each.skipped ? "skipped" : each.outcome;
  const facts = make("dl");
  const fact = (name, value) => facts.append(make("dt", {}, name), make("dd", {}, value));
  if (["failed", "error"].includes(outcome)) {
    fact(words.expected, each.expected);
    fact(words.found, each.found);
    fact(words.look, make("code", {}, known.look));
  } else if (outcome === "blocked") fact(words.blocked, each.found);
  return make("li", { class: `${outcome}${known.id === cell.on ? " on" : ""}` },
    make("span", { class: "sign", "aria-hidden": "true" }, MARKS[outcome]),
    make("div", {},
      make("span", { class: "outcome" }, `${words[outcome]}: `), known.title,
      known.id === cell.on ? make("span", { class: "long" }, ` ${since(cell.since)}`) : "",
      facts.children.length ? facts : ""));
}

// What comes in

function take(cells, announce) {
  let columns = learners.size === 0;
  const touched = new Set();
  for (const [label, exercise, cell] of cells) {
    if (cell === null) {
      columns = learners.delete(label) || columns;
      continue;
    }
    if (!learners.has(label)) {
      learners.set(label, { cells: new Map() });
      columns = true;
    }
    columns ||= !shown.some((each) => each.id === exercise);
    learners.get(label).cells.set(exercise, { criteria: {}, on: "", since: 0, help: 0, ...cell });
    touched.add(label);
  }
  const focused = at("rows").contains(document.activeElement) ? whereIs(document.activeElement) : null;
  if (columns) drawAll();
  else for (const label of touched) if (learners.has(label)) drawRow(label);
  if (focused) buttonAt(focused)?.focus();
  drawQueue(announce);
  drawWhere();
  if (open && !cellOf(open)) hide();
  else if (open && touched.has(open[0])) drawDetails();
  at("table").hidden = at("clear").hidden = !learners.size;
  at("nobody").hidden = learners.size > 0;
}

function begin(told) {
  ({ words, exercises } = told);
  learners.clear();
  for (const [id, text] of [["title", words.title], ["nobody", words.nobody_yet], ["keys", words.keys], ["lost", words.lost],
    ["clear", words.clear]])
    at(id).textContent = text;
  at("join").hidden = !told.join;
  at("join").replaceChildren(`${words.join} `, make("code", {}, told.join));
  at("lost").hidden = true;
  take(told.cells, false);
}

function connect() {
  live = new WebSocket(`ws://${location.host}/live${location.search}`);
  live.onmessage = ({ data }) => {
    const told = JSON.parse(data);
    if (told.words) begin(told);
    else take(told.cells, true);
  };
  live.onclose = () => {
    at("lost").hidden = !words.lost;
    setTimeout(connect, AGAIN);
  };
}

// Keys: one stop for Tab in the table, arrows within it

const buttons = () => [...at("rows").querySelectorAll("button")];
const whereIs = (button) => {
  const label = button.closest("tr")?.querySelector("th").textContent;
  return label && [label, button.closest("td").dataset.exercise];
};
const buttonAt = ([label, exercise]) =>
  learners.get(label)?.row.querySelector(`[data-exercise="${CSS.escape(exercise)}"] button`);

function nextTo(button, key) {
  const row = [...button.closest("tr").querySelectorAll("button")], all = buttons();
  const id = button.closest("td").dataset.exercise;
  const column = all.filter((each) => each.closest("td").dataset.exercise === id);
  const beside = (list, step) => list[list.indexOf(button) + step];
  switch (key) {
    case "ArrowRight": return beside(row, 1);
    case "ArrowLeft": return beside(row, -1);
    case "ArrowDown": return beside(column, 1);
    case "ArrowUp": return beside(column, -1);
    case "Home": return row[0];
    case "End": return row.at(-1);
  }
}

at("rows").addEventListener("keydown", (event) => {
  const next = event.target.closest("button") && nextTo(event.target, event.key);
  if (next) {
    event.preventDefault();
    next.focus();
  }
});
at("rows").addEventListener("focusin", ({ target }) => {
  for (const each of at("rows").querySelectorAll('[tabindex="0"]')) each.setAttribute("tabindex", "-1");
  target.setAttribute("tabindex", "0");
});
at("clear").addEventListener("click", () => {
  if (confirm(fill(words.clear_asks, { learners: learners.size }))) live.send("{}");
});
document.addEventListener("keydown", ({ key }) => key === "Escape" && open && hide());

setInterval(() => {
  for (const label of learners.keys()) drawNow(label);
  if (learners.size) drawQueue(false);
}, 15_000);
connect();
