const SVG = "http://www.w3.org/2000/svg";
const MARGIN = 8;
const LETTER = 13;
const DRAWN = ["fill", "fill-opacity", "opacity", "stroke", "stroke-width", "stroke-opacity",
  "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "font-family", "font-size", "font-weight",
  "text-anchor", "shape-rendering"];

/** A copy of a drawing that carries its own colours; what the page hides is left out. */
function frozen(svg) {
  const copy = svg.cloneNode(true);
  const originals = svg.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((node, k) => {
    const style = getComputedStyle(originals[k]);
    if (style.display === "none") node.dataset.hidden = "";
    DRAWN.forEach((name) => node.setAttribute(name, style.getPropertyValue(name)));
    node.removeAttribute("class");
  });
  copy.querySelectorAll("[data-hidden], .crosshair").forEach((node) => node.remove());
  copy.removeAttribute("data-hover");
  copy.removeAttribute("style");
  return copy;
}

/** Gives a drawing room for all that it shows, also beyond its own edge, on paper with a margin. */
function framed(svg, { x, y, right, bottom }) {
  const paper = document.createElementNS(SVG, "rect");
  const size = { width: right - x + 2 * MARGIN, height: bottom - y + 2 * MARGIN };
  const place = { x: x - MARGIN, y: y - MARGIN, ...size };
  for (const [name, value] of Object.entries(size)) svg.setAttribute(name, value);
  for (const [name, value] of Object.entries(place)) paper.setAttribute(name, value);
  paper.setAttribute("fill", getComputedStyle(root).getPropertyValue("--paper"));
  svg.setAttribute("viewBox", Object.values(place).join(" "));
  svg.prepend(paper);
  return svg;
}

/** What a drawing covers: its own size, and whatever stands out beyond it. */
function extent(svg) {
  const own = svg.viewBox.baseVal, drawn = svg.getBBox();
  return {
    x: Math.min(own.x, drawn.x),
    y: Math.min(own.y, drawn.y),
    right: Math.max(own.x + own.width, drawn.x + drawn.width),
    bottom: Math.max(own.y + own.height, drawn.y + drawn.height),
  };
}

/** One drawing of what a box holds; a matrix is put together from its panes. */
function drawing(box) {
  const panes = ["columns", "rows", "cells"].map((name) => box.querySelector(`.${name} > svg`));
  if (!panes[0]) {
    const svg = box.querySelector("svg");
    return framed(frozen(svg), extent(svg));
  }
  box.classList.add("saving");
  const whole = joined(...panes);
  box.classList.remove("saving");
  return whole;
}

/** The panes of a matrix as one drawing, around whose cells stand all names and what they are. */
function joined(columns, rows, cells) {
  const size = cells.viewBox.baseVal.width;
  const { x } = extent(rows), { y } = extent(columns);
  const side = rows.viewBox.baseVal.width - x, head = columns.viewBox.baseVal.height - y;
  const whole = document.createElementNS(SVG, "svg");
  whole.setAttribute("xmlns", SVG);
  const parts = [[columns, 0, -head, size, head, y], [rows, -side, 0, side, size, 0, x], [cells, 0, 0, size, size]];
  for (const [pane, left, top, width, height, from = 0, start = 0] of parts) {
    const part = frozen(pane);
    if (pane !== cells) part.querySelectorAll("text").forEach(centred);
    const place = { x: left, y: top, width, height, viewBox: [start, from, width, height].join(" ") };
    for (const [name, value] of Object.entries(place)) part.setAttribute(name, value);
    whole.append(part);
  }
  const letters = Math.max(LETTER, size / 50);
  whole.append(axisTitle("taken for", letters, `translate(${size / 2} ${-head - letters / 2})`));
  whole.append(axisTitle("true class", letters, `translate(${-side - letters / 2} ${size / 2}) rotate(-90)`));
  return framed(whole, { x: -side - 1.5 * letters, y: -head - 1.5 * letters, right: size, bottom: size });
}

/** A name in larger letters than it was drawn for still stands in the middle of its row. */
function centred(name) {
  name.setAttribute("dy", 0.35 * (Number.parseFloat(name.getAttribute("font-size")) - LETTER));
}

function axisTitle(words, letters, transform) {
  const title = document.createElementNS(SVG, "text");
  const style = getComputedStyle(document.body);
  const drawn = { "font-size": letters, "font-family": style.fontFamily, "text-anchor": "middle",
    fill: style.getPropertyValue("--muted"), transform };
  for (const [name, value] of Object.entries(drawn)) title.setAttribute(name, value);
  title.textContent = words;
  return title;
}

function save(address, name) {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

function svgAddress(svg) {
  return "data:image/svg+xml;charset=utf-8," + encodeURIComponent(new XMLSerializer().serializeToString(svg));
}

async function pngAddress(svg) {
  const image = new Image();
  image.src = svgAddress(svg);
  await image.decode();
  const scale = Math.min(3, 8000 / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = image.width * scale;
  canvas.height = image.height * scale;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png");
}

function saveable(box) {
  const bar = document.createElement("div");
  bar.className = "save";
  const name = box.dataset.name.replace(/[^\p{L}\p{N}._-]+/gu, "_");
  for (const kind of ["SVG", "PNG"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = kind;
    button.setAttribute("aria-label", `Save ${name} as ${kind}`);
    button.addEventListener("click", async () => {
      const svg = drawing(box);
      save(kind === "SVG" ? svgAddress(svg) : await pngAddress(svg), `${name}.${kind.toLowerCase()}`);
    });
    bar.append(button);
  }
  (box.querySelector(".beside") ?? box).append(bar);
}

/** A line at the epoch under the pointer, and its scores beside it. */
function hoverable(svg) {
  const said = JSON.parse(svg.dataset.hover);
  const line = document.createElementNS(SVG, "line");
  line.setAttribute("class", "axis crosshair");
  line.setAttribute("y1", said.top);
  line.setAttribute("y2", said.bottom);
  const tip = document.createElement("div");
  tip.className = "tip";
  const leave = () => { line.remove(); tip.remove(); };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    let near = 0;
    said.x.forEach((at, k) => { if (Math.abs(at - x) < Math.abs(said.x[near] - x)) near = k; });
    line.setAttribute("x1", said.x[near]);
    line.setAttribute("x2", said.x[near]);
    svg.append(line);
    tip.replaceChildren(`epoch ${said.epochs[near]}`);
    said.curves.forEach((curve) => tip.append(document.createElement("br"), `${curve.name} ${curve.said[near]}`));
    const right = x > svg.viewBox.baseVal.width / 2;
    const place = said.x[near] / svg.viewBox.baseVal.width * box.width;
    tip.style.left = right ? "auto" : `${place + 12}px`;
    tip.style.right = right ? `${svg.parentElement.clientWidth - place + 12}px` : "auto";
    svg.parentElement.append(tip);
  });
  svg.addEventListener("pointerleave", leave);
}

/** Lets the rows and columns of a matrix change places together. */
function orderable(matrix) {
  const orders = JSON.parse(matrix.dataset.orders);
  const select = matrix.querySelector(".order");
  select.addEventListener("change", () => {
    const order = orders[select.value];
    const place = [];
    order.forEach((k, at) => { place[k] = at; });
    const cells = matrix.querySelector(".cells > svg");
    const cell = cells.viewBox.baseVal.width / order.length;
    const at = (word) => (word === undefined ? 0 : place[Number(word)] * cell);
    matrix.querySelectorAll("g[data-row], g[data-column]").forEach((node) => {
      node.setAttribute("transform", `translate(${at(node.dataset.column)} ${at(node.dataset.row)})`);
    });
  });
}

document.querySelectorAll(".drawing, .matrix").forEach(saveable);
document.querySelectorAll("svg[data-hover]").forEach(hoverable);
document.querySelectorAll(".matrix").forEach(orderable);
