// What becomes of a node's addresses when it dies, in a dialog that follows what is told.

import { byId, fill, h, name } from "./dom.js";
import { compareVips, inheritance, many, plural, shortNames } from "./rows.js";
import { tables, told } from "./told.js";

const NAMED = 60; // addresses that "what if" names

let asked = "";
const dialog = byId("what-if");
dialog.addEventListener("close", () => { asked = ""; });
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

/** Opens it. */
export function ask(node) {
  asked = node;
  showWhatIf();
  dialog.showModal();
}

/** Shows it anew, where it is open. */
export function showWhatIf() {
  if (!asked) return;
  const short = shortNames([...tables.nodes.values()].map((node) => node.name));
  fill(byId("what-if-title"), ["If ", name(short(asked)), " dies"]);
  const { affected, heirs } = inheritance(tables.vips.values(), asked);
  const routed = told.head.states.Routed;
  const most = Math.max(1, ...heirs.map(([, number]) => number));
  const said = [h("p.lead", {}, affected.length
    ? `${plural(affected.length, "address moves", "addresses move")}, within half a second, by the agents’ own rule:`
    : "No address moves: it announces none.")];
  if (heirs.length)
    said.push(h("ul.heirs", {}, ...heirs.map(([heir, number]) => {
      const bar = h("div.meter-bar");
      bar.style.inlineSize = `${(100 * number) / most}%`;
      const who = heir === "?" ? "not known" : heir === "" ? "nobody: they answer no more" : short(heir);
      return h("li", { "data-level": heir === "" ? "full" : "fine" }, name(who), h("div.meter", { "aria-hidden": "true" }, bar), h("b", {}, many(number)));
    })));
  if (routed) said.push(h("p.about", {}, `${plural(routed, "routed address stays", "routed addresses stay")} on the other nodes; routers stop sending to this one.`));
  if (affected.length) {
    affected.sort(compareVips);
    const more = affected.length - NAMED;
    said.push(h("details", {}, h("summary", {}, "Which"), h("ul.which", {},
      ...affected.slice(0, NAMED).map((vip) => h("li", {}, h("code", {}, vip.address), " ", name(vip.services[0] ?? ""),
        h("span.dim", {}, vip.next === null ? "" : vip.next === "" ? "nobody" : ` → ${short(vip.next)}`)))),
      more > 0 ? h("p.about", {}, `and ${many(more)} more`) : null));
  }
  const open = byId("what-if-body").querySelector("details")?.open;
  byId("what-if-body").replaceChildren(...said);
  if (open) byId("what-if-body").querySelector("details")?.setAttribute("open", "");
}
