"use strict";
const root = document.documentElement;
root.classList.add("scripted");

function remembered(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(name);
    localStorage.setItem(name, value);
  } catch { /* a page opened from a file may not remember */ }
  return null;
}

function followTheme() {
  const chosen = remembered("convoscope-theme");
  if (chosen) root.dataset.theme = chosen;
  document.querySelector(".theme").addEventListener("click", () => {
    const dark = getComputedStyle(root).colorScheme === "dark";
    root.dataset.theme = dark ? "light" : "dark";
    remembered("convoscope-theme", root.dataset.theme);
  });
}

function copyCommand(button) {
  const words = button.parentElement.querySelector("code");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(words.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(words);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending" || (column === 0 && !head.hasAttribute("aria-sort"));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[column].textContent.trim();
      const number = (row) => parseFloat(value(row).replaceAll(",", "").replace("\u2212", "-"));
      const all = [...table.tBodies[0].rows];
      const isText = column === 0 || all.every((row) => !Number.isFinite(number(row)));
      const order = (a, b) => isText
        ? value(a).localeCompare(value(b), undefined, { numeric: true })
        : (number(a) || 0) - (number(b) || 0);
      const rows = all.sort((a, b) => (up ? 1 : -1) * order(a, b));
      table.tBodies[0].append(...rows);
    });
  });
}

function searching(input) {
  const rows = [...document.getElementById(input.dataset.table).tBodies[0].rows];
  const said = input.parentElement.querySelector("[role=status]");
  input.addEventListener("input", () => {
    const words = input.value.trim().toLowerCase();
    const isNumber = /^\d+$/.test(words);
    rows.forEach((row) => {
      const first = row.cells[0].textContent.trim();
      row.hidden = isNumber ? first !== words : !row.textContent.toLowerCase().includes(words);
    });
    said.textContent = words ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
  });
}

function markSection() {
  const links = [...document.querySelectorAll(".top nav a")];
  const sections = links.map((link) => document.querySelector(link.getAttribute("href")));
  const mark = () => {
    let current = -1;
    sections.forEach((section, k) => { if (section.getBoundingClientRect().top < 140) current = k; });
    links.forEach((link, k) => link.toggleAttribute("aria-current", k === current));
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
}

followTheme();
document.querySelectorAll(".copy").forEach(copyCommand);
document.querySelectorAll("table.sortable").forEach(sortable);
document.querySelectorAll("input[data-table]").forEach(searching);
markSection();
