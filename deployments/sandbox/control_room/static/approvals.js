// Promotions that wait for people or for their time, and who may approve. Codes are shown in a sandbox only.

import { h, left, link } from "./dom.js";
import { empty } from "./tables.js";

export function approvals(waiting, approvers, now) {
  const awaited = new Set(waiting.flatMap((run) => run.awaited));
  return [
    h("h3", {}, h("span", {}, "Approvals"),
      waiting.length ? h("span", { class: "pill live" }, `${waiting.length} waiting`) : h("span", { class: "faint" }, "nothing waits")),
    waiting.length
      ? waiting.map((run) => waits(run, now))
      : empty("A promotion to production asks people here; they answer in the Prefect UI, by Resume."),
    h("div", { class: "approvers" }, approvers.map((person) => approver(person, awaited.has(person.name))),
      h("p", { class: "faint" }, "Their codes are to be seen in a sandbox only. A code works once; click it to copy it.")),
  ];
}

function waits(run, now) {
  const until = run.until || run.deadline;
  return h("div", { class: "ticket", key: run.run_id },
    h("div", { class: "who" }, h("b", { class: "mono" }, run.version.slice(0, 7)), h("span", { class: "faint" }, `→ ${run.environment}`),
      h("span", { class: "grow" }),
      h("span", { class: `pill ${run.until ? "good" : "warning"}` }, run.until ? `begins in ${span(until, now)}` : `${span(until, now)} left`)),
    run.awaited.length ? h("div", {}, "awaited: ", run.awaited.join(" or ")) : h("div", {}, "approved; it waits for its time"),
    run.approved.length ? h("div", { class: "faint" }, `approved by ${run.approved.join(", ")}`) : null,
    run.url ? h("div", { class: "faint" }, "↳ ", link(run.url, "open it, then ⋮ and Resume")) : null);
}

/** Days and hours where there are any, else as `left` says it. */
function span(at, now) {
  const hours = (Date.parse(at) - now) / 3600000;
  return hours >= 48 ? `${Math.floor(hours / 24)} days` : hours >= 2 ? `${Math.floor(hours)} h` : left(at, now);
}

function approver(person, awaited) {
  return h("div", { class: "approver", key: person.id, title: person.id },
    h("span", { class: `dot ${awaited ? "starting" : ""}` }),
    h("span", { class: "cut" }, person.name), h("span", { class: "faint cut" }, person.groups.join(", ")), h("span", { class: "grow" }),
    h("button", { class: "button tiny mono", "data-act": "copy", "data-text": person.code, title: "copy the code" }, person.code),
    h("span", { class: "faint num" }, `${Math.ceil(person.seconds)} s`));
}
