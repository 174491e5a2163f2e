// Slack's way of writing, as elements.

import { h, link } from "./dom.js";

// The signs that matter are drawn from plain symbols, so they look alike on machines without an emoji font.
const SIGNS = {
  white_check_mark: ["✔", "good"], heavy_check_mark: ["✔", "good"], large_green_circle: ["●", "good"], green_circle: ["●", "good"],
  x: ["✖", "bad"], no_entry: ["✖", "bad"], no_entry_sign: ["✖", "bad"], octagonal_sign: ["■", "bad"], red_circle: ["●", "bad"],
  rotating_light: ["▲", "bad"], fire: ["▲", "bad"], warning: ["▲", "warning"], large_yellow_circle: ["●", "warning"],
  hourglass: ["◔", "live"], hourglass_flowing_sand: ["◔", "live"], rocket: ["➤", "live"], bell: ["◆", "warning"],
  heavy_minus_sign: ["–", "warning"], leftwards_arrow_with_hook: ["↩", "warning"], rewind: ["↩", "warning"], lock: ["◆", "live"], tada: ["★", "good"],
  hatching_chick: ["○", "live"], baby_chick: ["◔", "live"], arrow_forward: ["➤", "live"], raised_hand: ["◆", "warning"],
  ballot_box_with_check: ["✔", "good"], wastebasket: ["✖", "warning"], alarm_clock: ["◔", "warning"], fast_forward: ["➤", "warning"],
};
const sign = (name) => SIGNS[name] && h("span", { class: `sign ${SIGNS[name][1]}`, title: name }, SIGNS[name][0]);

const MARK = /```([\s\S]+?)```|`([^`\n]+)`|<([^>|\n]+)(?:\|([^>\n]*))?>|(?<![\w*])\*([^*\n]+)\*(?!\w)|(?<!\w)_([^_\n]+)_(?!\w)|(?<!\w)~([^~\n]+)~(?!\w)|:([a-z0-9_+-]+):/g;

const plain = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

/** Marked-up text as nodes. */
export function marked(text) {
  const nodes = [];
  let last = 0;
  for (const found of String(text).matchAll(MARK)) {
    nodes.push(plain(text.slice(last, found.index)), mark(found));
    last = found.index + found[0].length;
  }
  nodes.push(plain(String(text).slice(last)));
  return nodes;
}

function mark([whole, pre, code, address, label, bold, italic, gone, emoji]) {
  if (pre) return h("pre", {}, plain(pre.replace(/^\n|\n$/g, "")));
  if (code) return h("code", {}, plain(code));
  if (address) return /^[!@#]/.test(address) ? h("b", {}, label || address) : link(plain(address), plain(label || address));
  if (bold) return h("b", {}, marked(bold));
  if (italic) return h("i", {}, marked(italic));
  if (gone) return h("s", {}, marked(gone));
  return sign(emoji) || whole;
}

const written = (text) => (text ? (text.type === "plain_text" ? signed(text) : marked(text.text)) : "");

/** Plain text has no marks, but Slack draws its signs unless it is told not to. */
const signed = ({ text, emoji }) =>
  emoji === false ? text : String(text).split(/(:[a-z0-9_+-]+:)/).map((part) => sign(part.slice(1, -1)) || part);

/** One block of a message. */
export function block(item) {
  const kind = item && item.type;
  if (kind === "header") return h("div", { class: "b-header" }, written(item.text));
  if (kind === "divider") return h("hr", {});
  if (kind === "context") return h("div", { class: "b-context" }, (item.elements || []).map((part) => h("span", {}, written(part))));
  if (kind === "actions") {
    return h("div", { class: "b-actions" }, (item.elements || []).map((part) => link(part.url, written(part.text), { class: "button small" })));
  }
  if (kind === "section") {
    return h("div", { class: "b-section" },
      item.text && h("div", {}, written(item.text)),
      item.fields && h("div", { class: "b-fields" }, item.fields.map((field) => h("div", {}, written(field)))));
  }
  return null;
}
