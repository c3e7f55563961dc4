// The browser's half of the time slider: an ES module as anywidget takes it, used as it is written here.
//
// The model's `about` says what there is, `step` what to show. Only `index` is sent back. One request is on its way at a
// time; of those that people make meanwhile by dragging on, the last one is sent when the answer is there.
//
// Text is put into the page with textContent only, so whatever an event holds is shown and never run.

const SVG = "http://www.w3.org/2000/svg";
const PATIENCE = 5000; // milliseconds after which a kernel that does not answer is told of

const STYLE = `
.eskit-travel {
  --line: rgba(128, 128, 128, .35); --mark: rgba(230, 159, 0, .25); --edge: #e69f00; --wrong: #d55e00;
  box-sizing: border-box; padding: 12px 14px; border: 1px solid var(--line); border-radius: 6px;
  font: 13px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  color: var(--jp-ui-font-color1, var(--vscode-editor-foreground, inherit));
  background: var(--jp-layout-color0, var(--vscode-editor-background, transparent));
}
.eskit-travel *, .eskit-travel *::before { box-sizing: border-box; }
.eskit-travel header, .eskit-travel .ends {
  display: flex; justify-content: space-between; gap: 1em; flex-wrap: wrap; margin: 0;
}
.eskit-travel header { align-items: baseline; margin-bottom: 8px; }
.eskit-travel h3 { font-size: 14px; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
.eskit-travel h4 { font-size: 12px; font-weight: 600; margin: 0 0 4px; opacity: .75; }
.eskit-travel .count { font-variant-numeric: tabular-nums; }
.eskit-travel svg { display: block; width: 100%; height: 26px; cursor: pointer; }
.eskit-travel input { display: block; width: 100%; margin: 6px 0 4px; accent-color: #0072b2; cursor: pointer; }
.eskit-travel .ends { font-size: 11px; opacity: .75; font-variant-numeric: tabular-nums; }
.eskit-travel .legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 12px; margin: 6px 0 0; }
.eskit-travel .swatch { display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 5px; }
.eskit-travel .notes p { margin: 8px 0 0; padding: 4px 8px; border-left: 3px solid var(--edge); background: var(--mark); }
.eskit-travel .notes p.problem { border-color: var(--wrong); background: rgba(213, 94, 0, .18); }
.eskit-travel .panes { display: flex; flex-wrap: wrap; gap: 14px 22px; margin-top: 12px; }
.eskit-travel .panes > * { flex: 1 1 20em; min-width: 0; }
.eskit-travel .panes > :first-child { flex-grow: 1.3; }
.eskit-travel dl { display: grid; grid-template-columns: max-content 1fr; gap: 1px 12px; margin: 0 0 12px; }
.eskit-travel dt { font-weight: 400; opacity: .75; margin: 0; }
.eskit-travel dd { margin: 0; overflow-wrap: anywhere; user-select: all; font-variant-numeric: tabular-nums; }
.eskit-travel code, .eskit-travel pre {
  font: 12px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; color: inherit; background: none;
  padding: 0; border: 0;
}
.eskit-travel ul { list-style: none; margin: 0; padding: 0; max-height: 18em; overflow: auto; }
.eskit-travel li { margin: 0; padding: 4px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.eskit-travel li .path { display: block; }
.eskit-travel li .arrow { opacity: .6; padding: 0 .5em; }
.eskit-travel del { opacity: .75; text-decoration-thickness: 1px; }
.eskit-travel ins { text-decoration: none; background: var(--mark); border-radius: 2px; padding: 0 2px; }
.eskit-travel pre {
  margin: 0; padding: 6px 0; border: 1px solid var(--line); border-radius: 4px; height: 18em; overflow: auto;
  resize: vertical;
}
.eskit-travel pre span, .eskit-travel pre mark { display: block; padding: 0 10px; border-left: 3px solid transparent;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.eskit-travel pre mark { color: inherit; background: var(--mark); border-left-color: var(--edge); }
.eskit-travel .quiet { opacity: .65; }
.eskit-travel.waiting .panes { opacity: .55; }
.eskit-travel :focus-visible { outline: 2px solid #56b4e9; outline-offset: 2px; }
`;

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children); // text becomes text nodes
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function swatch(colour) {
  const made = make("span", { class: "swatch", "aria-hidden": "true" });
  made.style.background = colour;
  return made;
}

function thousands(number) {
  return number.toLocaleString("en");
}

/** The line of time: a tick for each event, a cursor where we are. A pointer may jump; keys go by the slider below. */
function timeline(ticks, goTo) {
  const svg = shape("svg", { viewBox: "0 0 1000 26", preserveAspectRatio: "none", "aria-hidden": "true" });
  const x = (share) => 3 + share * 994;
  svg.append(shape("line", { x1: 0, x2: 1000, y1: 23, y2: 23, stroke: "currentColor", "stroke-opacity": 0.4 }));
  for (const [share, , colour] of ticks) {
    svg.append(shape("rect", { x: x(share) - 1, y: 6, width: 2, height: 16, fill: colour, "fill-opacity": 0.85 }));
  }
  const cursor = shape("rect", { y: 0, width: 3, height: 26, fill: "currentColor", visibility: "hidden" });
  svg.append(cursor);
  svg.addEventListener("pointerdown", (event) => {
    const box = svg.getBoundingClientRect();
    const asked = (event.clientX - box.left) / box.width;
    const distance = (tick) => Math.abs(x(tick[0]) / 1000 - asked);
    if (ticks.length) goTo(ticks.reduce((best, tick) => (distance(tick) < distance(best) ? tick : best))[1]);
  });
  const show = (share) => {
    cursor.setAttribute("visibility", share === null ? "hidden" : "visible");
    if (share !== null) cursor.setAttribute("x", x(share) - 1.5);
  };
  return { svg, show };
}

function change([op, path, source, old, now]) {
  const item = make("li", {}, make("code", { class: "path" }, path || "the whole state"));
  const values = make("code");
  if (source !== null) values.append("from ", source);
  if (old !== null) values.append(make("del", {}, old));
  if (old !== null && now !== null) values.append(make("span", { class: "arrow", "aria-label": "becomes" }, "→"));
  if (now !== null) values.append(make("ins", {}, now));
  item.append(make("span", { class: "quiet" }, { add: "new ", remove: "gone ", move: "moved " }[op] ?? ""), values);
  return item;
}

function leftOut(count, what) {
  return count > 0 ? [make("span", { class: "quiet" }, `… ${thousands(count)} ${what}`)] : [];
}

function render({ model, el }) {
  const about = model.get("about");
  const style = make("style");
  style.textContent = STYLE;

  const count = make("span", { class: "count" });
  const slider = make("input", {
    type: "range", min: 0, max: about.count, step: 1, "aria-label": "Event", value: model.get("index"),
  });
  const line = timeline(about.ticks, (index) => goTo(index));
  const shares = new Map(about.ticks.map(([share, position]) => [position, share]));
  const colours = new Map(about.types);
  const notes = make("div", { class: "notes", role: "status" });
  const facts = make("dl");
  const changesTitle = make("h4");
  const changes = make("ul", { tabindex: 0, "aria-label": "Changes" });
  const state = make("pre", { tabindex: 0, "aria-label": "State as JSON" });

  // JupyterLab takes the arrow keys for its cells, unless an element says that they are its own; others listen further out.
  const root = make("section", { class: "eskit-travel", "aria-label": about.title, "data-lm-suppress-shortcuts": "true" },
    make("header", {}, make("h3", {}, about.title), count),
    line.svg,
    slider,
    make("div", { class: "ends" }, ...about.ends.map((end) => make("span", {}, end))),
    make("div", { class: "legend" }, ...about.types.map(([name, colour]) => make("span", {}, swatch(colour), name))),
    notes,
    make("div", { class: "panes" },
      make("div", {}, facts, changesTitle, changes),
      make("div", {}, make("h4", {}, "State after it"), state)));
  el.append(style, root);

  let wanted = null; // where to go next, once Python has answered
  let asked = null; // what Python was asked for
  let patience;

  function note(...lines) {
    const all = about.stopped ? [[about.stopped, ""], ...lines] : lines;
    notes.replaceChildren(...all.map(([text, kind]) => make("p", { class: kind }, text)));
  }

  function name(index) {
    const place = index === 0 ? "before the first event" : `event ${thousands(index)}`;
    count.textContent = index === 0 ? `before the first of ${thousands(about.count)}`
      : `${thousands(index)} of ${thousands(about.count)}`;
    slider.setAttribute("aria-valuetext", `${place} of ${thousands(about.count)}`);
  }

  function goTo(index) {
    wanted = index;
    slider.value = index;
    name(index);
    if (asked === null) ask();
  }

  function ask() {
    if (wanted === model.get("step").index) {
      wanted = null;
      return;
    }
    asked = wanted;
    wanted = null;
    root.classList.add("waiting");
    clearTimeout(patience);
    patience = setTimeout(() => {
      asked = null; // so that the next move asks again
      note(["Python does not answer. Is its kernel running, and not busy? Then run the cell again.", "problem"]);
    }, PATIENCE);
    model.set("index", asked);
    model.save_changes();
  }

  function show() {
    const step = model.get("step");
    clearTimeout(patience);
    asked = null;
    if (wanted !== null) { // somebody has dragged on meanwhile
      ask();
      if (asked !== null) return;
    }
    root.classList.remove("waiting");
    slider.value = step.index;
    name(step.index);
    if (step.problem) {
      note([step.problem, "problem"]);
      facts.replaceChildren();
      changes.replaceChildren();
      state.replaceChildren();
      return;
    }
    note(...(step.note ? [[step.note, ""]] : []));
    line.show(nearest(step.index));
    facts.replaceChildren(...step.facts.flatMap(([key, value]) => {
      const shown = make("dd", {}, value);
      if (key === "type" && colours.has(value)) shown.prepend(swatch(colours.get(value)));
      return [make("dt", {}, key), shown];
    }));
    if (step.type) slider.setAttribute("aria-valuetext", `${slider.getAttribute("aria-valuetext")}, ${step.type}`);
    changesTitle.textContent = step.index === 0 ? "No event yet" : step.changes.length ? "What it changed" : "It changed nothing";
    changes.replaceChildren(...step.changes.map(change), ...leftOut(step.more, "more changes").map((it) => make("li", {}, it)));
    changes.hidden = step.changes.length === 0;
    const lines = step.lines.map(([text, changed]) => make(changed ? "mark" : "span", {}, text));
    state.replaceChildren(...leftOut(step.above, "lines above"), ...lines, ...leftOut(step.below, "lines below"));
    const first = state.querySelector("mark");
    state.scrollTop = first ? Math.max(0, first.offsetTop - state.offsetTop - state.clientHeight / 3) : 0;
  }

  /** Where on the line of time a place is: its own tick, or where those are thinned, the last one before it. */
  function nearest(index) {
    if (shares.has(index)) return shares.get(index);
    const before = about.ticks.filter(([, position]) => position < index);
    return index === 0 || before.length === 0 ? null : before[before.length - 1][0];
  }

  slider.addEventListener("keydown", (event) => event.stopPropagation());
  slider.addEventListener("input", () => goTo(Number(slider.value)));
  model.on("change:step", show);
  show();
  return () => {
    model.off("change:step", show);
    clearTimeout(patience);
  };
}

export default { render };
