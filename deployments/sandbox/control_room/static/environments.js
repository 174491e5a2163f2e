// The three environments: what runs where, which share of the traffic it gets, and what visitors see of it.

import { ago, clock, h, left, link } from "./dom.js";

const ENDED = { SUCCESSFUL: "good", ROLLBACK_SUCCESSFUL: "bad", ROLLBACK_FAILED: "bad", STOPPED: "bad" };
const words = (text) => String(text || "").replaceAll("_", " ").toLowerCase();

export function environment(view, hue, now) {
  return h("article", { class: "environment panel", key: view.name },
    h("header", {},
      h("h2", {}, view.name),
      view.role !== view.name && h("span", { class: "tag" }, view.role),
      h("span", { class: "grow" }),
      whole(view, hue)),
    h("div", { class: "under" },
      h("span", { class: "mono faint" }, view.account),
      link(view.url, "visit ↗", { class: "faint" }),
      h("span", { class: "grow" }),
      alarms(view.alarms)),
    traffic(view.traffic),
    h("div", { class: "services" }, view.services.map((item) => service(item, hue, now))));
}

/** One chip when every service runs the same version, else how many there are. */
function whole(view, hue) {
  const versions = new Set(view.services.flatMap((item) => item.revisions.filter((r) => r.weight > 0).map((r) => r.version)));
  if (versions.size === 1) return chip([...versions][0], hue, "large");
  return versions.size ? h("span", { class: "chip mixed" }, `${versions.size} versions`) : h("span", { class: "chip mixed" }, "nothing runs");
}

function chip(version, hue, kind) {
  return h("span", { class: `chip mono ${kind || ""}`, style: { "--hue": hue(version) }, title: version }, version ? version.slice(0, 7) : "unknown");
}

function alarms(list) {
  const loud = list.filter((alarm) => alarm.state === "ALARM");
  if (loud.length) return h("span", { class: "pill bad", title: loud.map((alarm) => alarm.name).join("\n") }, `${loud.length} in alarm`);
  return list.length ? h("span", { class: "pill good" }, "alarms quiet") : null;
}

function service(item, hue, now) {
  const serving = item.revisions.filter((revision) => revision.weight > 0);
  const arriving = item.revisions.some((revision) => revision.role === "new");
  const moving = serving.length > 1 || (arriving && item.deployment && !item.deployment.finished_at);
  return h("div", { class: `service ${moving ? "moving" : ""}`, key: item.id },
    h("div", { class: "line" },
      h("i", { class: `dot ${item.health}`, title: item.health }),
      h("span", { class: "name", title: item.name }, item.id),
      progress(item, now),
      h("span", { class: "grow" }),
      (moving ? item.revisions : serving).map((revision) => labelled(revision, hue, moving)),
      !moving && h("span", { class: "age faint", title: `since ${item.deployed_at}` }, ago(item.deployed_at, now))),
    h("div", { class: "bar" }, item.revisions.map((revision) => h("span", {
      class: revision.role, key: revision.revision, title: `${revision.version} ${percent(revision.weight)}`,
      style: { "--hue": hue(revision.version), width: percent(revision.weight) },
    }))));
}

function labelled(revision, hue, moving) {
  return h("span", { class: `labelled ${moving ? revision.role : ""}`, key: revision.revision, title: about(revision) },
    chip(revision.version, hue),
    moving && h("b", { class: "num" }, percent(revision.weight)),
    behaviour(revision) !== "good" && h("span", { class: "behaviour", title: revision.behaviour }, behaviour(revision)),
    (moving || revision.healthy < revision.desired) && h("span", {
      class: `tasks num ${revision.healthy < revision.desired ? "short" : "faint"}`,
    }, `${revision.healthy}/${revision.desired}`));
}

/** Whether it was made for a canary is of no interest beside its name, where there is little room. */
const behaviour = (revision) => (revision.behaviour || "good").replace(/^canary-/, "");

const about = (r) => `${r.revision}\n${r.digest}\n${r.healthy} of ${r.desired} healthy, ${r.running} running (${r.role})`;

/** Where a roll-out stands, or how the last one ended if that is worth knowing. */
function progress(item, now) {
  const deployment = item.deployment;
  if (!deployment) return null;
  if (!deployment.finished_at) {
    return [
      h("span", { class: "pill live", title: deployment.reason }, words(deployment.stage || deployment.status)),
      pause(deployment, now),
    ];
  }
  const tone = ENDED[deployment.status] || "bad";
  if (tone === "good" && now - Date.parse(deployment.finished_at) > 60000) return null;
  return h("span", { class: `pill ${tone}`, title: deployment.reason }, tone === "good" ? "arrived" : words(deployment.status));
}

/** A canary waits for somebody's word at each step. Without one it does by itself what its hook was told. */
function pause(deployment, now) {
  const waits = deployment.pause;
  if (!waits) return null;
  const then = waits.goes_back ? "back" : "on";
  return h("span", {
    class: "pill warning num",
    title: `${words(deployment.strategy)}, ${deployment.weights.map((weight) => `${weight} %`).join(", ")}\n`
      + `waits for a word; without one it goes ${then} at ${clock(waits.expires_at)}`,
  }, `${then} in ${left(waits.expires_at, now)}`);
}

const percent = (share) => `${Math.round(share * 100)}%`;

const WIDE = 300, HIGH = 44;

/** Requests as an area, errors as red on top of it, and the last ten seconds in numbers. */
function traffic(samples) {
  const recent = samples.slice(-11, -1);
  const requests = recent.reduce((sum, s) => sum + s.requests, 0);
  const errors = recent.reduce((sum, s) => sum + s.errors, 0);
  const slowest = Math.max(0, ...recent.map((s) => s.p95_ms || 0));
  const share = requests ? (100 * errors) / requests : 0;
  return h("div", { class: "traffic" },
    sparkline(samples.slice(-90, -1)),
    h("div", { class: "numbers" },
      number(recent.length ? (requests / recent.length).toFixed(1) : "–", "req/s"),
      number(requests ? share.toFixed(share < 10 ? 1 : 0) : "–", "% errors", share >= 1 ? "bad" : ""),
      number(slowest ? Math.round(slowest) : "–", "ms p95", slowest > 1000 ? "warning" : "")));
}

function number(value, unit, tone) {
  return h("div", { class: `number ${tone || ""}` }, h("b", { class: "num" }, value), h("span", { class: "faint" }, unit));
}

function sparkline(samples) {
  const most = Math.max(4, ...samples.map((s) => s.requests)) * 1.15;
  const step = WIDE / Math.max(1, samples.length - 1);
  const line = (pick) => samples.map((s, i) => `${(i * step).toFixed(1)},${(HIGH - (pick(s) / most) * HIGH).toFixed(1)}`).join(" L");
  const area = (pick) => (samples.length > 1 ? `M0,${HIGH} L${line(pick)} L${WIDE},${HIGH} Z` : "");
  return h("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", class: "spark", role: "img", "aria-label": "requests per second" },
    h("path", { class: "area", d: area((s) => s.requests) }),
    h("path", { class: "edge", d: samples.length > 1 ? `M${line((s) => s.requests)}` : "" }),
    h("path", { class: "errors", d: area((s) => s.errors) }));
}
