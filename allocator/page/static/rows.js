// Words and figures for people. No element is made here.

const count = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const many = (number) => (number < 1e6 ? count.format(number) : short.format(number));
export const plural = (number, one, more = `${one}s`) => `${many(number)} ${number === 1 ? one : more}`;

/** How long ago, in one figure. */
export function ago(seconds) {
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400 * 2) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

export const instant = (seconds) => new Date(seconds * 1000).toISOString();

/** The first label of a node's name, where that says which it is. */
export function shortNames(names) {
  const firsts = new Map();
  for (const one of names) {
    const first = one.split(".")[0];
    firsts.set(first, (firsts.get(first) ?? 0) + 1);
  }
  return (one) => {
    const first = one.split(".")[0];
    return (firsts.get(first) ?? 0) > 1 ? one : first;
  };
}

/** Why addresses left a node, as the end of "n addresses left NODE: ...". */
export const CAUSES = {
  gone: "it died, or nobody hears it any more",
  leaving: "its agent shuts down",
  excluded: "it is cordoned or excluded",
  failing: "its data path doesn't work",
  starting: "its agent has just begun",
  lost: "it can't have them any more",
  preferred: "they should rather be elsewhere",
  apart: "they are kept apart from others",
  share: "it had more than its share",
  planned: "planned",
  unknown: "nothing was heard that explains it",
};

/** How long a move took: from its cause to the new node's word, as the allocator heard of both. */
export function taken(least, most) {
  if (least === null) return "at once";
  const figure = (seconds) => (seconds < 0.1 ? "<0.1" : seconds.toFixed(1));
  if (figure(least) === figure(most)) return `${figure(least)} s`;
  return `${figure(least)}–${figure(most)} s`;
}

/** What becomes of a node's addresses when it dies: [who has them then, how many], the most first. */
export function inheritance(vips, node) {
  const heirs = new Map();
  const affected = [];
  for (const vip of vips) {
    if (vip.state !== "Announced" || vip.node !== node) continue;
    affected.push(vip);
    const heir = vip.next === null ? "?" : vip.next;
    heirs.set(heir, (heirs.get(heir) ?? 0) + 1);
  }
  return { affected, heirs: [...heirs].sort((one, other) => other[1] - one[1] || compare(one[0], other[0])) };
}

const collator = new Intl.Collator("en", { numeric: true });
export const compare = (one, other) => collator.compare(one, other);

/** Sorts addresses by number: IPv4 first, then IPv6; Services without one come first of all. */
export function compareVips(one, other) {
  const sixes = one.address.includes(":") - other.address.includes(":");
  return sixes || compare(one.address, other.address) || compare(one.key, other.key);
}
