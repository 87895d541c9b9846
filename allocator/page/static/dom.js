// Elements from values. Text becomes text and nothing else: names come from objects that anybody may have written, and
// there is no way here to make HTML of them (the page's policy of content forbids it too).

export const byId = (id) => document.getElementById(id);

/** An element: its tag and classes as `li.row.wide`, attributes and properties, and children (elements or text). */
export function h(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** A stranger's name, which doesn't change how what stands beside it is read. */
export function name(text, kind = "bdi") {
  return h(kind, { title: text.length > 28 ? text : null }, text);
}

/** An icon of the page's own, drawn as a path. */
export function icon(path) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("viewBox", "0 0 16 16");
  drawing.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(space, "path");
  line.setAttribute("d", path);
  drawing.append(line);
  return drawing;
}

/** Makes an element's children these, but leaves it alone where they are the same already. */
export function fill(parent, children) {
  const now = parent.childNodes;
  if (now.length === children.length && children.every((child, index) => child === now[index])) return;
  parent.replaceChildren(...children);
}

/** Keeps an element per key, and makes it anew only when what it is made of has changed. */
export class Kept {
  #made = new Map();

  /** The elements of these rows, in their order; `make` is given a row and whether it was there before. */
  of(rows, make, extra = () => "") {
    const kept = new Map();
    for (const row of rows) {
      const before = this.#made.get(row.key);
      const more = extra(row);
      if (before && before.row === row && before.more === more) kept.set(row.key, before);
      else kept.set(row.key, { row, more, element: make(row, before !== undefined && before.row !== row) });
    }
    this.#made = kept;
    return [...kept.values()].map((one) => one.element);
  }
}
