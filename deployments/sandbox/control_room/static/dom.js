// Builds and updates the page. All text goes in as text nodes, so what looks like HTML stays text.

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "path", "rect", "line", "polyline"]);

/** An element. `props`: attributes; `style` is an object, `key` names a child among its siblings. */
export function h(tag, props, ...children) {
  const node = DRAWN.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style") for (const [rule, to] of Object.entries(value)) node.style.setProperty(rule, to);
    else if (name === "key") node.setAttribute("data-key", value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false || child === "") continue;
    if (Array.isArray(child)) append(node, child);
    else node.append(child instanceof Node ? child : String(child));
  }
}

/** A link for web addresses only; anything else is shown as text. */
export function link(address, text, props) {
  const safe = /^https?:\/\//i.test(address || "");
  return safe
    ? h("a", { ...props, href: address, target: "_blank", rel: "noreferrer noopener" }, text)
    : h("span", props, text);
}

/** Makes the children of `place` look like `wanted`, touching only what differs: bars glide, scrolling stays. */
export function show(place, ...wanted) {
  const next = place.cloneNode(false);
  append(next, wanted);
  const pinned = place.querySelector("[data-pinned]");
  const atEnd = !pinned || pinned.scrollHeight - pinned.scrollTop - pinned.clientHeight < 40;
  morphChildren(place, next);
  const list = place.querySelector("[data-pinned]");
  if (list && atEnd) list.scrollTop = list.scrollHeight;
}

function morphChildren(old, next) {
  const keyed = new Map();
  for (const child of old.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
  let place = old.firstChild;
  for (const wanted of [...next.childNodes]) {
    const key = wanted.nodeType === 1 && wanted.dataset.key;
    const match = key ? keyed.get(key) : place && !(place.dataset && place.dataset.key) ? place : null;
    if (match && match.nodeName === wanted.nodeName) {
      if (match !== place) old.insertBefore(match, place);
      else place = place.nextSibling;
      morph(match, wanted);
    } else old.insertBefore(wanted, place);
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

function morph(old, next) {
  if (old.nodeType !== 1) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of [...next.attributes]) {
    if (name !== "style" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old.style.cssText !== next.style.cssText) old.style.cssText = next.style.cssText;
  morphChildren(old, next);
}

/** How long ago, in the two largest units. */
export function ago(at, now) {
  if (!at) return "";
  const seconds = Math.max(0, (now - Date.parse(at)) / 1000);
  if (seconds < 60) return `${Math.floor(seconds)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h ${minutes % 60}m` : `${Math.floor(hours / 24)}d`;
}

/** How long until then, to the second in the last ten minutes. */
export function left(at, now) {
  const seconds = Math.max(0, Math.ceil((Date.parse(at) - now) / 1000));
  if (seconds >= 600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m ${String(seconds % 60).padStart(2, "0")}s`;
}

export function clock(at) {
  const moment = new Date(at);
  return Number.isNaN(moment.getTime()) ? "" : moment.toLocaleTimeString("en-GB");
}

const HUES = [217, 268, 168, 300, 190, 45, 245, 95, 205, 282];

/** A colour for every version on the page, the same wherever it runs. */
export function colours(versions) {
  const taken = new Map();
  const used = new Set();
  for (const version of [...new Set(versions)].sort()) {
    let place = [...version].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7) % HUES.length;
    while (used.has(place) && used.size < HUES.length) place = (place + 1) % HUES.length;
    used.add(place);
    taken.set(version, HUES[place]);
  }
  return (version) => String(taken.get(version) ?? 220);
}
