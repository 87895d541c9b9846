// Light and dark: as the system has them, or as the reader chose.

import { byId } from "./dom.js";

const THEMES = { auto: "as the system has them", light: "light", dark: "dark" };

function kept() {
  try {
    return localStorage.getItem("purelb-theme");
  } catch {
    return null; // a browser that keeps nothing
  }
}

function wear(theme) {
  document.documentElement.dataset.theme = theme;
  const label = `Colours: ${THEMES[theme]}`;
  byId("theme").setAttribute("aria-label", label);
  byId("theme").title = label;
}

byId("theme").addEventListener("click", () => {
  const all = Object.keys(THEMES);
  const next = all[(all.indexOf(document.documentElement.dataset.theme) + 1) % all.length];
  wear(next);
  try {
    localStorage.setItem("purelb-theme", next);
  } catch {
    // it is so until the page is closed
  }
});

wear(Object.hasOwn(THEMES, kept() ?? "") ? kept() : "auto");
