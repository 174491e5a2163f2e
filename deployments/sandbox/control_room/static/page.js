// Asks for the state each second, shows it, and sends what is ordered.

import { approvals } from "./approvals.js";
import { FAULTS, desk } from "./desk.js";
import { clock, colours, h, link, show } from "./dom.js";
import { environment } from "./environments.js";
import { chat, pager, tickets } from "./people.js";
import { tables } from "./tables.js";

const place = (id) => document.getElementById(id);
const choice = { into: "", age: "180", tab: location.hash.slice(1) || "flags" };
let state = null;
let approvers = [];
let trouble = "";

function draw() {
  if (!state) {
    show(place("top"), h("h1", {}, "Control room"), h("span", { class: "pill warning" }, trouble || "waiting for the world…"));
    return;
  }
  const now = Date.parse(state.now);
  const hue = colours(state.environments.flatMap((e) => e.services.flatMap((s) => s.revisions.map((r) => r.version))));
  choice.into ||= state.environments[0]?.name || "";
  show(place("top"), top());
  show(place("desk"), desk(state, choice));
  show(place("environments"), state.environments.map((view) => environment(view, hue, now)));
  show(place("tables"), tables(state, choice.tab));
  show(place("approvals"), approvals(state.waiting || [], approvers, now));
  show(place("chat"), chat(state.vendors.chat));
  show(place("pager"), pager(state.vendors.pager));
  show(place("tickets"), tickets(state.vendors.tickets));
}

function top() {
  const minute = state.minute_seconds === 60 ? "real time" : `1 minute lasts ${state.minute_seconds} s`;
  return [
    h("h1", {}, h("span", { class: "mark" }, h("i", {}), h("i", {}), h("i", {})), state.application, h("span", { class: "faint" }, "control room")),
    h("span", { class: `pill ${trouble ? "bad" : "good"}` }, trouble || "live"),
    h("span", { class: "grow" }),
    h("span", { class: "faint" }, minute),
    h("time", { class: "num" }, clock(state.now)),
    state.prefect_url && link(state.prefect_url, "Prefect UI ↗", { class: "button accent" }),
  ];
}

async function look() {
  try {
    [state, { approvers }] = await Promise.all([asked("state"), asked("approvers")]);
    document.title = `${state.application} · control room`;
    trouble = "";
  } catch (error) {
    trouble = `no connection: ${error.message}`;
  }
  try {
    draw();
  } finally {
    setTimeout(look, document.hidden ? 4000 : 1000);
  }
}

async function asked(path) {
  const answer = await fetch(`api/${path}`, { cache: "no-store", signal: AbortSignal.timeout(10000) });
  if (!answer.ok) throw new Error(`the world answers ${answer.status}`);
  return answer.json();
}

async function order(method, path, body, done) {
  try {
    const answer = await fetch(`api/${path}`, { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error || `refused with ${answer.status}`);
    notice(typeof done === "function" ? done(said) : done, "good");
  } catch (error) {
    notice(error.message, "bad");
  }
}

function notice(text, tone) {
  const note = h("div", { class: `notice ${tone}` }, text);
  place("notices").append(note);
  setTimeout(() => note.remove(), 6000);
}

const ACTS = {
  choose: ({ name, value }) => { choice[name] = value; },
  tab: ({ tab }) => { choice.tab = tab; history.replaceState(null, "", `#${tab}`); },
  release: ({ behaviour }) => order("POST", "releases", { environment: choice.into, behaviour, age_minutes: Number(choice.age) },
    (placed) => `Release ${placed.version} (${behaviour}) now runs in ${choice.into}.`),
  fault: ({ place: number }) => order("POST", "faults", FAULTS[Number(number)][1], `${FAULTS[Number(number)][0]}: in force.`),
  repair: () => order("DELETE", "faults", null, "Everything works again."),
  approve: ({ id }) => order("POST", "flags/approve", { id }, "Approved as the release manager."),
  approvals: ({ environment: name, required }) => order("POST", "flags/approvals", { environment: name, required: required === "yes" },
    `Flag changes in ${name} ${required === "yes" ? "need approval" : "are free"} now.`),
  pass: () => order("POST", "ages", { environment: choice.into, age_minutes: 180 }, `What runs in ${choice.into} has been running for 3 hours.`),
  ticket: () => order("POST", "tickets", { summary: "Release to production", status: "Approved" }, (made) => `${made.key} is approved.`),
  copy: async ({ text }) => {
    try {
      await navigator.clipboard.writeText(text);
      notice(`${text} is copied.`, "good");
    } catch (error) {
      notice(`It could not be copied: ${error.message}`, "bad");
    }
  },
  move: ({ keyOf, transition }) => order("POST", "tickets/move", { key: keyOf, transition }, `${keyOf} was moved.`),
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  ACTS[button.dataset.act](button.dataset);
  draw();
});

draw();
look();
