// The orders: releases into an environment, and things that break.

import { h } from "./dom.js";

export const RELEASES = [
  ["good", "Good", "healthy in every way"],
  ["bad", "Bad", "one answer in five is an error, once it is promoted"],
  ["slow", "Slow", "answers after seconds, once it is promoted"],
  ["crash", "Crash", "ends right after its start, once it is promoted"],
  ["leak", "Leak", "needs more memory with every request"],
  ["unhealthy", "Unhealthy", "works, but its health check says no"],
];
export const CANARIES = [
  ["canary-good", "Good", "like the version before, with a real service's spread of times"],
  ["canary-errors", "5 % errors", "one answer in twenty is an error, once it is promoted"],
  ["canary-slow", "Three times slower", "its 95th percentile is three times that of the version before"],
  ["canary-dead", "Dead", "every answer is an error, once it is promoted"],
  ["canary-leak", "Leak", "the longer it runs the more of its answers are errors"],
  ["canary-silent", "Silent", "it serves, and its metrics never arrive"],
];
export const GATED = [
  ["regression-fails", "Test fails", "a test of the team's own suite failed"],
  ["regression-empty", "No tests", "the suite's result has no test in it"],
  ["slow-under-load", "Slow under load", "quick enough for one visitor, too slow for a load test"],
  ["vulnerable", "Vulnerable", "the registry found a critical hole in an image"],
  ["scan-empty", "Empty scan", "a scanner left an empty result"],
  ["secret-found", "Secret", "a key stands in the source"],
  ["schema-breaks", "Schema", "somebody changed the first environment's database by hand"],
  ["migration-unsafe", "Migration", "a migration renames a column that the old code reads"],
  ["migration-fails-on-data", "Migration on data", "a migration runs on empty tables only"],
];
export const AGES = [["180", "3 hours ago"], ["30", "30 minutes ago"], ["0", "now"]];
export const FAULTS = [
  ["Throttle AWS", { target: "aws", kind: "throttle" }],
  ["AWS errors", { target: "aws", kind: "error", times: 5 }],
  ["LaunchDarkly down", { target: "launchdarkly", kind: "error" }],
  ["LaunchDarkly slow", { target: "launchdarkly", kind: "slow", seconds: 4 }],
  ["Jira down", { target: "jira", kind: "error" }],
  ["Slack down", { target: "slack", kind: "error" }],
  ["Slack hangs", { target: "slack", kind: "timeout", seconds: 20 }],
  ["PagerDuty garbage", { target: "pagerduty", kind: "garbage" }],
  ["GitHub down", { target: "github", kind: "error" }],
];

export function desk(state, choice) {
  return [
    h("div", { class: "orders" },
      h("span", { class: "label" }, "Release into"),
      choices("into", state.environments.map((e) => [e.name, e.name]), choice.into),
      h("span", { class: "label" }, "deployed"),
      choices("age", AGES, choice.age),
      h("span", { class: "buttons" }, RELEASES.map(([behaviour, name, about]) => h("button", {
        class: `button ${behaviour === "good" ? "good" : behaviour === "slow" || behaviour === "leak" ? "warning" : "bad"}`,
        "data-act": "release", "data-behaviour": behaviour, title: about,
      }, name))),
      h("button", { class: "button", "data-act": "pass", title: "what runs there has been running for so long: production wants it stable" }, "Let 3 hours pass")),
    h("div", { class: "orders" },
      h("span", { class: "label" }, "for a canary"),
      h("span", { class: "buttons" }, CANARIES.map(([behaviour, name, about]) => h("button", {
        class: `button ${behaviour === "canary-good" ? "good" : "warning"}`, "data-act": "release", "data-behaviour": behaviour, title: about,
      }, name)))),
    h("div", { class: "orders" },
      h("span", { class: "label" }, "for a gate"),
      h("span", { class: "buttons" }, GATED.map(([behaviour, name, about]) => h("button", {
        class: "button bad", "data-act": "release", "data-behaviour": behaviour, title: about,
      }, name)))),
    h("div", { class: "orders" },
      h("span", { class: "label" }, "Break"),
      h("span", { class: "buttons" }, FAULTS.map(([name], place) => h("button", { class: "button", "data-act": "fault", "data-place": place }, name))),
      state.faults.length ? h("button", { class: "button good", "data-act": "repair" }, "Repair all") : null,
      [...counted(state.faults.map(described))].map(([text, times]) => h("span", { class: "pill bad", key: text }, times > 1 ? `${text} (${times})` : text))),
  ];
}

function counted(texts) {
  const counts = new Map();
  for (const text of texts) counts.set(text, (counts.get(text) || 0) + 1);
  return counts;
}

const described = (fault) => [fault.target, fault.kind, fault.operation !== "*" && fault.operation, fault.times && `${fault.times}×`].filter(Boolean).join(" · ");

function choices(name, list, chosen) {
  return h("span", { class: "choices", role: "group" }, list.map(([value, text]) => h("button", {
    "data-act": "choose", "data-name": name, "data-value": value, "aria-pressed": value === chosen ? "true" : "false",
  }, text)));
}
