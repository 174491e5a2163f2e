// What differs between the environments: flags, parameters, alarms; and what happened.

import { clock, h } from "./dom.js";

const TABS = ["flags", "parameters", "alarms", "activity"];

export function tables(state, tab) {
  const count = { flags: pending(state).length, alarms: loud(state).length };
  return [
    h("nav", { class: "tabs", role: "tablist" }, TABS.map((name) => h("button", {
      role: "tab", "data-act": "tab", "data-tab": name, "aria-selected": name === tab ? "true" : "false",
    }, name, count[name] ? h("span", { class: "count" }, count[name]) : null)),
    h("span", { class: "grow" }), h("span", { class: "faint hint" }, HINTS[tab])),
    h("div", { class: "scroll tab-body", key: tab }, { flags, parameters, alarms, activity }[tab](state)),
  ];
}

const HINTS = {
  flags: "LaunchDarkly · flags tagged promote travel with a release",
  parameters: "SSM Parameter Store · a dot marks a value that differs from the environment before",
  alarms: "CloudWatch alarms", activity: "newest first",
};

const pending = (state) => state.vendors.flags.approvals.filter((request) => request.status === "pending");
const loud = (state) => state.environments.flatMap((e) => e.alarms).filter((alarm) => alarm.state === "ALARM");

function flags(state) {
  const { flags: list, environments, approvals } = state.vendors.flags;
  return [
    pending(state).map((request) => h("div", { class: "waiting", key: request.id },
      h("span", { class: `pill ${request.review === "approved" ? "good" : "live"}` }, request.review === "approved" ? "approved" : "approval wanted"),
      h("b", {}, request.flag), h("span", { class: "faint" }, `in ${request.environment}`),
      h("span", { class: "grow cut", title: request.description }, request.description),
      request.review === "pending" && h("button", { class: "button good small", "data-act": "approve", "data-id": request.id }, "Approve"))),
    h("table", {},
      h("thead", {}, h("tr", {}, h("th", {}, "flag"), environments.map((environment) => h("th", {}, environment.key, " ",
        h("button", {
          class: `lock ${environment.approval_required ? "on" : ""}`, "data-act": "approvals",
          "data-environment": environment.key, "data-required": environment.approval_required ? "" : "yes",
          title: environment.approval_required ? "Changes need approval here; click to lift" : "Click so that changes need approval here",
        }, environment.approval_required ? "approval" : "free"))))),
      h("tbody", {}, list.map((flag) => h("tr", { key: flag.key },
        h("td", { title: flag.description }, h("span", { class: "mono" }, flag.key), " ",
          flag.tags.map((tag) => h("span", { class: `tag ${tag === "promote" ? "accent" : ""}` }, tag))),
        environments.map((environment) => h("td", {}, setting(flag, flag.environments[environment.key]))))))),
    approvals.length ? null : h("p", { class: "faint note" }, "No approval of a flag was asked for yet."),
  ];
}

function setting(flag, config) {
  if (!config) return "–";
  const extra = [
    config.rules.length && `${config.rules.length} rule${config.rules.length > 1 ? "s" : ""}`,
    (config.targets.length + config.contextTargets.length) && "targets",
    config.prerequisites.length && "needs " + config.prerequisites.map((item) => item.key).join(", "),
  ].filter(Boolean).join(" · ");
  return h("span", { class: "setting", title: `version ${config.version}` },
    h("i", { class: `switch ${config.on ? "on" : ""}` }),
    h("span", {}, served(flag, config)), extra && h("span", { class: "faint cut" }, extra));
}

function served(flag, config) {
  const name = (index) => flag.variations[index]?.name ?? "?";
  if (!config.on) return h("span", { class: "faint" }, name(config.offVariation));
  const rollout = config.fallthrough.rollout;
  if (!rollout) return name(config.fallthrough.variation);
  return rollout.variations.filter((part) => part.weight).map((part) => `${part.weight / 1000}% ${name(part.variation)}`).join(", ");
}

function parameters(state) {
  const columns = state.environments.map((environment) => new Map(environment.parameters.map((p) => [relative(p.name, environment.name), p])));
  const keys = [...new Set(columns.flatMap((column) => [...column.keys()]))].sort();
  return h("table", {},
    h("thead", {}, h("tr", {}, h("th", {}, "parameter"), state.environments.map((e) => h("th", {}, e.name)))),
    h("tbody", {}, keys.map((key) => h("tr", { key },
      h("td", { class: "mono" }, key),
      columns.map((column, place) => cell(column.get(key), place ? columns[place - 1].get(key) : column.get(key)))))));
}

const relative = (name, environment) => name.includes(`/${environment}/`) ? name.slice(name.indexOf(`/${environment}/`) + environment.length + 2) : name;

function cell(parameter, before) {
  if (!parameter) return h("td", { class: "faint" }, before ? h("span", { class: "pill warning" }, "missing") : "–");
  if (parameter.type === "SecureString") return h("td", { class: "faint mono", title: `SecureString, version ${parameter.version}` }, parameter.value, " ", h("span", { class: "tag" }, "secret"));
  const differs = before && before.value !== parameter.value;
  return h("td", { class: `mono value ${differs || !before ? "differs" : ""}`, title: `${parameter.value}\n${parameter.type}, version ${parameter.version}` },
    h("span", { class: "cut" }, parameter.value || "(empty)"));
}

function alarms(state) {
  const rows = state.environments.flatMap((environment) => environment.alarms.map((alarm) => ({ ...alarm, environment: environment.name })));
  if (!rows.length) return empty("No alarm is set up.");
  const tone = { OK: "good", ALARM: "bad" };
  return h("table", {},
    h("thead", {}, h("tr", {}, ["environment", "alarm", "state", "reason"].map((name) => h("th", {}, name)))),
    h("tbody", {}, rows.map((alarm) => h("tr", { key: `${alarm.environment} ${alarm.name}` },
      h("td", {}, alarm.environment), h("td", { class: "mono" }, alarm.name),
      h("td", {}, h("span", { class: `pill ${tone[alarm.state] || ""}` }, alarm.state.replaceAll("_", " ").toLowerCase())),
      h("td", { class: "faint" }, alarm.reason)))));
}

function activity(state) {
  const list = [...(state.activity || [])].reverse();
  if (!list.length) return empty("Nothing happened yet.");
  return h("ol", { class: "events" }, list.map((event) => h("li", { class: event.tone, key: `${event.at} ${event.environment} ${event.sentence}` },
    h("time", { class: "num faint" }, clock(event.at)), h("span", { class: "tag" }, event.environment), h("span", {}, event.sentence))));
}

export const empty = (text) => h("p", { class: "empty" }, text);
