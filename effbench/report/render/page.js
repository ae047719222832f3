"use strict";
const report = JSON.parse(document.getElementById("report").textContent);

/** An element with children; text stays text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function makeTable(titles, rows, label) {
  const head = make("tr", {}, ...titles.map(title => make("th", { scope: "col" }, title)));
  const body = rows.map(row => make("tr", {}, ...row.map(text => make("td", {}, text))));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, table);
}

// --- light and dark -----------------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.getElementById("theme");
let chosen = null;
try {
  chosen = localStorage.getItem("effbench-theme");
} catch { /* a file may not remember anything */ }

function theme() {
  return chosen ?? (dark.matches ? "dark" : "light");
}

function applyTheme() {
  if (chosen) document.documentElement.dataset.theme = chosen;
  themeButton.textContent = theme() === "dark" ? "Light" : "Dark";
  themeButton.hidden = false;
  for (const plot of views.keys()) draw(plot);
}

themeButton.addEventListener("click", () => {
  chosen = theme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("effbench-theme", chosen);
  } catch { /* as above */ }
  applyTheme();
});
dark.addEventListener("change", applyTheme);

// --- plots --------------------------------------------------------------------------------------

const views = new Map();

/** The data of a plot, which came by column, as records. */
function records({ data }) {
  const names = Object.keys(data);
  return data[names[0]].map((_, row) => Object.fromEntries(names.map(name => [name, data[name][row]])));
}

/** Draws a plot, or draws it again; `ast` does without eval, which the page forbids. */
async function draw(plot) {
  const figure = report.figures[plot.dataset.figure];
  const { description } = figure;
  const spec = { ...report.specs[figure.spec], description, datasets: { records: records(figure) } };
  const config = { ...report.themes[theme()], background: "transparent" };
  views.get(plot)?.finalize();
  const drawn = await vegaEmbed(plot, spec, { config, renderer: "svg", actions: false, ast: true });
  views.set(plot, drawn);
  drawn.view.addEventListener("pointerover", (_, item) => pick(plot, item?.datum?.row ?? ""));
  drawn.view.addEventListener("pointerout", () => pick(plot, ""));
}

/** Brings out one row in all plots of its section; "" brings out all. */
function pick(where, row) {
  for (const plot of where.closest("section").querySelectorAll(".plot")) {
    const drawn = views.get(plot);
    if (drawn?.spec.params) drawn.view.signal("picked", row).runAsync();
  }
}

// A page about a thousand runs draws what is looked at.
const seen = new IntersectionObserver(entries => {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting) {
      seen.unobserve(target);
      draw(target);
    }
  }
}, { rootMargin: "600px" });
for (const plot of document.querySelectorAll(".plot")) seen.observe(plot);
addEventListener("beforeprint", () => document.querySelectorAll(".plot").forEach(draw));

for (const row of document.querySelectorAll("tr[data-row]")) {
  row.addEventListener("pointerenter", () => pick(row, row.dataset.row));
  row.addEventListener("pointerleave", () => pick(row, ""));
}

for (const details of document.querySelectorAll("details.data")) {
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    const figure = report.figures[details.closest("figure").id];
    const names = Object.keys(figure.titles);
    const rows = records(figure).map(record => names.map(name => record[name] ?? ""));
    details.append(makeTable(Object.values(figure.titles), rows, `Data: ${figure.description}`));
  });
}

// --- sorting ------------------------------------------------------------------------------------

// What is missing comes last in both directions.
function compare(first, second, numeric, sign) {
  if (!numeric) return sign * first.localeCompare(second, "en", { numeric: true });
  const [a, b] = [first, second].map(text => text.replace(/,(?=\d{3})/g, "").split(", ").map(parseFloat));
  const missing = Number.isNaN(a[0]) - Number.isNaN(b[0]);
  return missing || sign * (a[0] - b[0] || a.at(-1) - b.at(-1) || 0);
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => head.firstElementChild.addEventListener("click", () => {
    const numeric = head.classList.contains("number");
    const first = numeric ? "descending" : "ascending";
    const second = numeric ? "ascending" : "descending";
    const order = head.getAttribute("aria-sort") === first ? second : first;
    heads.forEach(each => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const text = row => row.cells[place].textContent.trim();
    const rows = [...table.tBodies[0].rows];
    table.tBodies[0].append(...rows.sort((a, b) => compare(text(a), text(b), numeric, sign)));
  }));
}

// --- how a run came about -----------------------------------------------------------------------

const dialog = document.getElementById("run");

function show(key) {
  const { runs, shared, scores, history } = report.provenance;
  const run = runs[key];
  const facts = { ...run.facts, ...shared[run.shared] };
  const list = Object.entries(facts).flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]);
  const content = [make("dl", {}, ...list)];
  if (run.scores) {
    content.push(make("h3", {}, "Scores"), makeTable(scores, run.scores, "Scores"));
    for (const [title, head, rows] of [["History", history, run.history], ...run.more]) {
      if (rows?.length) content.push(make("h3", {}, title), makeTable(head, rows, title));
    }
  }
  document.getElementById("run-title").textContent = key;
  document.getElementById("run-content").replaceChildren(...content);
  dialog.showModal();
}

for (const button of document.querySelectorAll("button.run")) {
  button.addEventListener("click", () => show(button.dataset.run));
}

applyTheme();
