// What the allocator tells, by server-sent events, kept as it stands. Nothing is asked of anybody else.

import { clock } from "./rows.js";

const SILENCE = 40_000; // milliseconds after which a connection that says nothing is dead: the server says something each 15 s

export const tables = { pools: new Map(), vips: new Map(), nodes: new Map(), moves: new Map() };
export const told = { head: null };
let skew = -Infinity; // seconds that the allocator's clock is ahead of ours: what it says was so a little before
let heardAt = 0; // of the allocator's clock
export const now = () => Date.now() / 1000 + skew;

let show = () => {};
let source = null;
let retry = 0;
let silence = 0;

/** Follow the allocator, for as long as the page is open; `shown` is called whenever something is news. */
export function follow(shown) {
  show = shown;
  connect();
}

function connect() {
  clearTimeout(retry);
  source?.close();
  source = new EventSource("events");
  source.addEventListener("view", (event) => {
    for (const table of Object.values(tables)) table.clear();
    skew = -Infinity; // either clock may have been set since
    take(JSON.parse(event.data));
  });
  source.addEventListener("delta", (event) => take(JSON.parse(event.data)));
  source.addEventListener("beat", heard);
  source.onerror = () => {
    live("lost", "reconnecting");
    if (source.readyState === EventSource.CLOSED) retry = setTimeout(connect, 2000 + 3000 * Math.random());
  };
  watch();
}

function watch() {
  clearTimeout(silence);
  silence = setTimeout(connect, SILENCE);
}

function heard() {
  watch();
  live("live", "live");
}

function take(said) {
  skew = Math.max(skew, said.at - Date.now() / 1000);
  heardAt = said.at;
  told.head = said.head ?? told.head;
  for (const [table, rows] of Object.entries(said.set ?? {})) for (const row of rows) tables[table]?.set(row.key, row);
  for (const [table, keys] of Object.entries(said.drop ?? {})) for (const key of keys) tables[table]?.delete(key);
  heard();
  show();
}

function live(state, text) {
  document.getElementById("live").dataset.state = state;
  const words = document.getElementById("live-text");
  const said = state === "lost" && heardAt ? `${text}; as of ${clock(heardAt)}` : text;
  if (words.textContent !== said) words.textContent = said;
  document.body.classList.toggle("stale", state === "lost");
}
