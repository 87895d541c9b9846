// The page: shows what the allocator tells, anew whenever it is another.

import { byId, fill, h, icon, Kept, name } from "./dom.js";
import { ago, CAUSES, clock, compare, compareVips, instant, many, moment, plural, shortNames, taken } from "./rows.js";
import { follow, now, tables, told } from "./told.js";
import { ask, showWhatIf } from "./whatif.js";
import "./theme.js";

const STEP = 200; // rows of the table that are shown, and more at a time
const LATEST = 4; // moves that are shown at first

let isDue = false;

/** Shows everything anew, once for all that is told until the next frame. */
function show() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    if (!told.head) return;
    const nodes = [...tables.nodes.values()].sort((one, other) => compare(one.name, other.name));
    const short = shortNames(nodes.map((node) => node.name));
    showSummary();
    showPools();
    showNodes(nodes, short);
    showVips(nodes, short);
    showMoves(short);
    showWhatIf();
  });
}

function time(seconds, text) {
  return h("time", { datetime: instant(seconds), title: moment(seconds) }, text);
}

const badge = (text) => h("span.badge", { "data-of": text }, text === "Absent" ? "No agent" : text);

function showSummary() {
  const { head } = told;
  const { states, troubles } = head;
  const wrong = troubles.length + head.more;
  const verdict = byId("verdict");
  const placed = states.Announced + states.Routed;
  verdict.dataset.state = wrong ? "wrong" : "well";
  const text = wrong
    ? `${plural(wrong, "thing isn’t well", "things aren’t well")}`
    : placed ? `${placed === 1 ? "The one address is" : `All ${many(placed)} addresses are`} where ${placed === 1 ? "it" : "they"} should be`
    : "All is well, and no Service has an address yet";
  if (verdict.textContent !== text) verdict.textContent = text;
  document.title = wrong ? `(${wrong}) PureLB` : "PureLB";
  byId("troubles").hidden = !wrong;
  fill(byId("troubles"), [
    ...troubles.map((one) => h("li", {}, name(one.about, "strong"), " ", h("bdi", {}, one.why))),
    ...(head.more ? [h("li", {}, `and ${many(head.more)} more`)] : []),
  ]);
  const figures = [
    ["Announced", states.Announced, "by one node each"],
    ["Routed", states.Routed, "by every node"],
    ["Nowhere", states.Nowhere, "on no node"],
    ["Waiting", states.Pending, "for an address"],
    ["Nodes", `${many(head.serving)}/${many(head.members)}`, "serving"],
    ["Pools", tables.pools.size, fullest()],
  ];
  fill(byId("figures"), figures.map(([label, value, note]) => {
    const isBad = (label === "Nowhere" || label === "Waiting") && value > 0;
    return h(`div.figure${isBad ? ".bad" : ""}`, {}, h("dt", {}, label),
      h("dd", {}, h("b", {}, typeof value === "number" ? many(value) : value), h("span", {}, note)));
  }));
  fill(byId("teller"), ["Told by ", name(head.identity, "b"), head.leads ? ", which leads" : ", which stands by"]);
  byId("foot").textContent = `PureLB ${head.version}. This page only reads: kubectl purelb does the rest.`;
}

function fullest() {
  let most = 0;
  for (const pool of tables.pools.values())
    for (const [, used, free] of pool.fill) if (free !== null && used + free) most = Math.max(most, used / (used + free));
  return tables.pools.size ? `the fullest ${Math.round(100 * most)} %` : "none yet";
}

const keptPools = new Kept();

function showPools() {
  const pools = [...tables.pools.values()].sort((one, other) => compare(one.name, other.name));
  byId("pools-aside").textContent = "";
  fill(byId("pools-list"), pools.length ? keptPools.of(pools, poolCard) : [empty("There is no ServiceGroup yet.")]);
}

function poolCard(pool) {
  const state = pool.is_served === false ? badge("Refused") : pool.is_served === null ? badge("Unseen") : null;
  const about = [pool.namespace, pool.announce && `${pool.announce.toLowerCase()} addresses`, pool.source !== "Cluster" && pool.source];
  return h("article.card", {},
    h("header", {}, h("h3", {}, name(pool.name)), state),
    pool.trouble ? h("p.trouble", {}, h("bdi", {}, pool.trouble)) : null,
    ...pool.fill.map(([family, used, free]) => meter(pool.name, family, used, free)),
    pool.ranges.length ? h("p.ranges", {}, ...pool.ranges.map((range) => h("code", {}, range))) : null,
    h("p.about", {}, h("bdi", {}, about.filter(Boolean).join(" · "))),
  );
}

function meter(pool, family, used, free) {
  const size = free === null ? null : used + free;
  const share = size ? Math.min(1, used / size) : 0;
  const bar = h("div.meter-bar");
  bar.style.inlineSize = `${used ? Math.max(1.5, 100 * share) : 0}%`;
  const text = size === null ? `${many(used)} used` : `${many(used)} of ${many(size)}`;
  const level = share >= 1 ? "full" : share >= 0.85 ? "high" : "fine";
  return h("div.fill", { "data-level": level },
    h("span", {}, family),
    h("div.meter", {
      role: "meter", "aria-label": `${pool}, ${family} addresses in use`, "aria-valuemin": 0,
      "aria-valuemax": size ?? used, "aria-valuenow": used, "aria-valuetext": text,
    }, bar),
    h("b", {}, text));
}

const keptNodes = new Kept();

function showNodes(nodes, short) {
  const most = Math.max(1, ...nodes.map((node) => node.vips));
  byId("nodes-aside").textContent = nodes.length ? `${many(told.head.serving)} of ${many(nodes.length)} serve` : "";
  fill(byId("nodes-list"), nodes.length
    ? keptNodes.of(nodes, (node) => nodeCard(node, short, most), (node) => `${most} ${short(node.name)}`)
    : [empty("No agent has said yet which nodes take part.", "li")]);
}

function nodeCard(node, short, most) {
  const bar = h("div.meter-bar");
  bar.style.inlineSize = `${(100 * node.vips) / most}%`;
  const called = short(node.name);
  const notes = [
    node.version && `agent ${node.version}`, node.weight !== 1 && `weight ${node.weight}`,
    node.is_behind && "behind the API server", called !== node.name && node.name,
  ];
  return h("li.card.node", { "data-standing": node.standing },
    h("header", {}, h("h3", {}, name(called)), badge(node.standing)),
    node.reason ? h("p.reason", {}, h("bdi", {}, node.reason)) : null,
    node.standing === "Absent" ? null : h("div.fill", {},
      h("div.meter", { "aria-hidden": "true" }, bar), h("b", {}, plural(node.vips, "address", "addresses"))),
    node.subnets.length ? h("p.ranges", {}, ...node.subnets.map((subnet) => h("code", {}, subnet))) : null,
    h("p.about", {}, h("bdi", {}, notes.filter(Boolean).join(" · "))),
    node.standing === "Absent" ? null
      : h("button.plain", { type: "button", onclick: () => ask(node.name), "aria-label": `What if ${node.name} dies?` }, "What if it dies?"),
  );
}

const empty = (text, kind = "p") => h(`${kind}.empty`, {}, text);

// --- the table of addresses ------------------------------------------------------------------------------------------

const COLUMNS = [
  { key: "address", title: "Address", of: compareVips },
  { key: "services", title: "Service", of: (one, other) => compare(one.services[0] ?? "", other.services[0] ?? "") },
  { key: "node", title: "Where", of: (one, other) => compare(one.node, other.node) || compareVips(one, other) },
  { key: "next", title: "Next", of: (one, other) => compare(one.next ?? "", other.next ?? "") || compareVips(one, other) },
  { key: "state", title: "State", of: (one, other) => compare(one.state, other.state) || compareVips(one, other) },
  { key: "since", title: "Since", of: (one, other) => (other.since ?? 0) - (one.since ?? 0) || compareVips(one, other) },
  { key: "pool", title: "Pool", of: (one, other) => compare(one.pool, other.pool) || compareVips(one, other) },
];
const STATES = { Announced: "Announced", Routed: "Routed", Nowhere: "Nowhere", Pending: "Waiting", Unknown: "Unknown", Foreign: "Foreign" };
let order = { column: COLUMNS[0], sign: 1 };
let limit = STEP;

for (const column of COLUMNS)
  byId("vips-head").append(h("th", { scope: "col", "data-column": column.key },
    h("button", { type: "button", onclick: () => sortBy(column) }, column.title)));
for (const [value, text] of Object.entries(STATES)) byId("state").append(h("option", { value }, text));

function sortBy(column) {
  order = { column, sign: order.column === column ? -order.sign : 1 };
  show();
}

for (const id of ["search", "state", "node"])
  byId(id).addEventListener("input", () => {
    limit = STEP;
    show();
  });
byId("more").addEventListener("click", () => {
  limit += 5 * STEP;
  show();
});

const keptVips = new Kept();

function showVips(nodes, short) {
  for (const heading of byId("vips-head").children) {
    const isIt = heading.dataset.column === order.column.key;
    heading.setAttribute("aria-sort", isIt ? (order.sign > 0 ? "ascending" : "descending") : "none");
  }
  offerNodes(nodes);
  const wanted = byId("search").value.trim().toLowerCase();
  const [state, node] = [byId("state").value, byId("node").value];
  const found = [];
  for (const vip of tables.vips.values())
    if ((!state || vip.state === state) && (!node || vip.node === node) && (!wanted || speaksOf(vip, wanted))) found.push(vip);
  found.sort((one, other) => order.sign * order.column.of(one, other));
  const shown = found.slice(0, limit);
  const rows = shown.length ? keptVips.of(shown, (vip, isNews) => vipRow(vip, short, isNews), (vip) => short(vip.node))
    : [h("tr", {}, h("td.empty", { colspan: COLUMNS.length }, tables.vips.size ? "Nothing is like that." : "No Service has an address yet."))];
  fill(byId("vips-body"), rows);
  const all = tables.vips.size;
  byId("vips-aside").textContent = found.length === all ? (all ? many(all) : "") : `${many(found.length)} of ${many(all)}`;
  byId("more").hidden = found.length <= limit;
  byId("more").textContent = `Show ${many(Math.min(5 * STEP, found.length - limit))} more of ${many(found.length)}`;
}

function offerNodes(nodes) {
  const select = byId("node");
  const names = nodes.map((node) => node.name);
  const offered = [...select.options].slice(1).map((option) => option.value);
  if (names.length === offered.length && names.every((one, index) => one === offered[index])) return;
  const chosen = select.value;
  select.replaceChildren(select.options[0], ...names.map((one) => h("option", { value: one }, one)));
  select.value = names.includes(chosen) ? chosen : "";
}

const speaksOf = (vip, text) =>
  [vip.address, ...vip.services, vip.node, vip.pool, vip.interface].some((one) => one.toLowerCase().includes(text));

function vipRow(vip, short, isNews) {
  const services = vip.services.map((service) => h("div", {}, name(service)));
  if (vip.more) services.push(h("div.dim", {}, `and ${many(vip.more)} more`));
  const where = vip.state === "Routed" ? [h("span.dim", {}, "every node"), " "] : vip.node ? [name(short(vip.node)), " "] : ["–"];
  const next = vip.next === null ? "–" : vip.next === "" ? h("span.bad", {}, "nobody") : name(short(vip.next));
  return h(isNews ? "tr.news" : "tr", { role: "row", "data-key": vip.key, "data-state": vip.state },
    h("th", { scope: "row", role: "rowheader", "data-title": "Address" }, vip.address ? h("code", {}, vip.address) : h("span.dim", {}, "none yet")),
    h("td", { role: "cell", "data-title": "Service" }, ...services),
    h("td", { role: "cell", "data-title": "Where" }, ...where, vip.interface ? h("code.dim", {}, vip.interface) : null),
    h("td", { role: "cell", "data-title": "Next" }, next),
    h("td", { role: "cell", "data-title": "State" }, h("span.badge", { "data-of": vip.state }, STATES[vip.state] ?? vip.state),
      vip.state !== "Routed" && vip.why ? h("div.why", {}, h("bdi", {}, vip.why)) : null),
    h("td.since", { role: "cell", "data-title": "Since" }, vip.since === null ? "–" : since(vip.since)),
    h("td", { role: "cell", "data-title": "Pool" }, vip.pool ? name(vip.pool) : "–"),
  );
}

function since(seconds) {
  const element = time(seconds, ago(now() - seconds));
  element.dataset.since = seconds;
  return element;
}

setInterval(() => {
  for (const element of document.querySelectorAll("time[data-since]")) {
    const text = ago(now() - Number(element.dataset.since));
    if (element.textContent !== text) element.textContent = text;
  }
}, 5000);

// --- moves -----------------------------------------------------------------------------------------------------------

const WAYS = { // icons, by what kind of cause it is
  bad: "M8 1.5 15 14H1zM8 6v4M8 12v.5",
  calm: "M2 8h11M9 4l4 4-4 4",
};
const BAD = new Set(["gone", "failing", "lost", "unknown"]);
const keptMoves = new Kept();
let areAllMoves = false;
byId("moves-more").addEventListener("click", () => {
  areAllMoves = true;
  show();
});

function showMoves(short) {
  const moves = [...tables.moves.values()].sort((one, other) => Number(other.key) - Number(one.key));
  fill(byId("moves-aside"), ["as seen since ", time(told.head.begun, clock(told.head.begun))]);
  const shown = areAllMoves ? moves : moves.slice(0, LATEST);
  byId("moves-more").hidden = shown.length === moves.length;
  byId("moves-more").textContent = `Show ${plural(moves.length - shown.length, "earlier one", "earlier ones")}`;
  fill(byId("moves-list"), shown.length ? keptMoves.of(shown, (move) => moveItem(move, short), (move) => short(move.node))
    : [empty("No address has moved.", "li")]);
}

function moveItem(move, short) {
  const isBad = BAD.has(move.cause);
  const to = move.to.flatMap(([node, number], index) => [
    index ? ", " : "", name(short(node), "b"), move.to.length > 1 ? ` (${many(number)})` : "",
  ]);
  const why = move.why || (CAUSES[move.cause] ?? move.cause);
  const reason = h("bdi", {}, why[0].toUpperCase() + why.slice(1));
  const isOne = move.moved === 1 && move.addresses.length === 1;
  const more = move.moved - move.addresses.length;
  return h("li", { "data-kind": isBad ? "bad" : "calm", "data-key": move.key },
    h("span.way", {}, icon(isBad ? WAYS.bad : WAYS.calm)),
    time(move.at, clock(move.at)),
    h("div", {},
      h("p", {}, isOne ? h("code", {}, move.addresses[0]) : plural(move.moved, "address", "addresses"),
        " from ", name(short(move.node), "b"), " to ", ...to),
      isOne ? h("p.about", {}, reason)
        : h("details", {}, h("summary", {}, reason), h("p.ranges", {},
          ...move.addresses.map((address) => h("code", {}, address)), more > 0 ? ` and ${many(more)} more` : ""))),
    h("span.took", { title: "From the cause to the new node’s word, as this allocator heard of both" }, taken(move.least, move.most)),
  );
}

follow(show);
