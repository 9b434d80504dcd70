// Opens the folders of the treemap. Without it the page has the same figures, in its pictures and tables.
"use strict";
(() => {
  const source = document.getElementById("treemap-data");
  const trail = document.querySelector(".trail");
  if (!source || !trail) return;
  const { nodes, views } = JSON.parse(source.textContent);
  const pictures = [...document.querySelectorAll(".treemap")];
  const pointed = document.querySelector(".pointed");
  const resting = pointed.textContent;
  const NAME = 0, KIND = 1, PARENT = 2, TITLE = 3, IS_FOLDER = 4, HAS_ROW = 5;
  let shown = 0;

  const make = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const visible = () => pictures.find((picture) => picture.getClientRects().length);
  const cellsOf = (picture) => [...picture.querySelectorAll(shown ? ".zoom .cell" : ".top .cell")];
  const cellOf = (number) => cellsOf(visible()).find((cell) => Number(cell.dataset.n) === number);

  const say = (cell) => { pointed.textContent = cell ? nodes[cell.dataset.n][TITLE] : resting; };

  const ring = (picture, cell) => {
    picture.querySelectorAll(".ring, .ring-back").forEach((old) => old.remove());
    if (!cell) return;
    for (const kind of ["ring-back", "ring"]) {
      const place = { class: kind };
      for (const key of ["x", "y", "width", "height"]) place[key] = cell.getAttribute(key);
      picture.append(make("rect", place));
    }
  };

  const rove = (picture, to) => {
    for (const cell of cellsOf(picture)) cell.setAttribute("tabindex", cell === to ? "0" : "-1");
  };

  const goto = (cell) => {
    rove(cell.closest(".treemap"), cell);
    cell.focus();
  };

  const activate = (cell) => {
    const number = Number(cell.dataset.n);
    if (nodes[number][IS_FOLDER]) return show(number, null);
    const row = document.getElementById("m" + number);
    if (!row) return undefined;
    for (let around = row.closest("details"); around; around = around.parentElement.closest("details")) {
      around.open = true;
    }
    location.hash = row.id;
    row.tabIndex = -1;
    return row.focus();
  };

  const onKey = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const cell = event.currentTarget;
    const cells = cellsOf(cell.closest(".treemap"));
    const at = cells.indexOf(cell);
    const steps = {
      ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: cells.length - 1,
    };
    if (event.key in steps) goto(cells[Math.max(0, Math.min(cells.length - 1, steps[event.key]))]);
    else if (event.key === "Enter" || event.key === " ") activate(cell);
    else if ((event.key === "Escape" || event.key === "Backspace") && shown) show(nodes[shown][PARENT], shown);
    else return;
    event.preventDefault();
  };

  const enliven = (cell) => {
    const node = nodes[cell.dataset.n];
    const role = node[IS_FOLDER] ? "button" : node[HAS_ROW] ? "link" : "img";
    cell.setAttribute("role", role);
    cell.setAttribute("aria-label", node[TITLE]);
    cell.setAttribute("tabindex", "-1");
    cell.addEventListener("click", () => activate(cell));
    cell.addEventListener("keydown", onKey);
    cell.addEventListener("focus", () => {
      say(cell);
      if (cell.matches(":focus-visible")) ring(cell.closest(".treemap"), cell);
    });
    cell.addEventListener("blur", () => { ring(cell.closest(".treemap"), null); say(null); });
    cell.addEventListener("mouseenter", () => say(cell));
    cell.addEventListener("mouseleave", () => say(document.activeElement.closest(".cell")));
  };

  const draw = (picture, number) => {
    const [cells, over] = picture.querySelector(".zoom").children;
    cells.replaceChildren();
    over.replaceChildren();
    picture.querySelector(".top").setAttribute("display", number ? "none" : "inline");
    for (const [child, x, y, width, height, lines, short, more] of number ? views[picture.dataset.view][number] : []) {
      const node = nodes[child];
      const place = { x: x + "%", y, width: width + "%", height };
      const cell = make("rect", { class: "cell " + node[KIND], "data-n": child, ...place });
      cell.append(make("title", {}, node[TITLE]));
      enliven(cell);
      cells.append(cell);
      const label = make("svg", place);
      if (lines) label.append(make("text", { x: 6, y: 16 }, short || node[NAME]));
      if (lines > 1) label.append(make("text", { class: "more", x: 6, y: 31 }, more));
      over.append(label);
    }
  };

  const show = (number, from) => {
    shown = number;
    for (const picture of pictures) {
      draw(picture, number);
      rove(picture, cellsOf(picture)[0]);
    }
    const places = [];
    for (let at = number; at !== null; at = nodes[at][PARENT]) places.unshift(at);
    trail.querySelector("ol").replaceChildren(...places.map((place) => {
      const item = document.createElement("li");
      const here = place === number;
      const what = document.createElement(here ? "span" : "button");
      what.textContent = nodes[place][NAME];
      if (here) what.setAttribute("aria-current", "location");
      else {
        what.type = "button";
        what.addEventListener("click", () => show(place, places[places.indexOf(place) + 1]));
      }
      item.append(what);
      return item;
    }));
    const first = from === null ? cellsOf(visible())[0] : cellOf(from);
    if (first) goto(first);
  };

  for (const picture of pictures) {
    picture.setAttribute("role", "group");
    picture.querySelectorAll(".top .cell").forEach(enliven);
    rove(picture, cellsOf(picture)[0]);
  }
  trail.querySelector("ol").append(document.createElement("li"));
  trail.querySelector("li").textContent = nodes[0][NAME];
  trail.hidden = false;
})();
