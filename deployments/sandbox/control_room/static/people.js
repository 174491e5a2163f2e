// What people hear of it: the chat, the pager, the tickets.

import { block, marked } from "./chat_text.js";
import { clock, h, link } from "./dom.js";
import { empty } from "./tables.js";

const AT = (ts) => clock(Number(ts) * 1000);

export function chat({ channels, messages }) {
  const names = new Map(channels.map((channel) => [channel.id, channel.name]));
  const replies = new Map();
  for (const message of messages) if (message.thread_ts) replies.set(message.thread_ts, [...(replies.get(message.thread_ts) || []), message]);
  const known = new Set(messages.map((message) => message.ts));
  const first = messages.filter((message) => !known.has(message.thread_ts));
  return [
    h("h3", {}, h("span", {}, "Slack"), h("span", { class: "faint" }, messages.length === 1 ? "1 message" : `${messages.length || "no"} messages`)),
    h("div", { class: "scroll messages", "data-pinned": true },
      first.length ? first.map((message) => said(message, names.get(message.channel), replies.get(message.ts))) : empty("Quiet so far. Promotions will report here.")),
  ];
}

function said(message, channel, answers) {
  return h("article", { class: "message", key: message.ts },
    h("div", { class: "avatar" }, String(message.username || "?").slice(0, 1)),
    h("div", { class: "said" },
      h("div", { class: "who" }, h("b", {}, message.username), h("span", { class: "faint" }, channel ? `#${channel}` : ""),
        h("time", { class: "faint num" }, AT(message.ts)), message.edited && h("span", { class: "faint" }, "(edited)")),
      content(message),
      answers && h("div", { class: "thread" }, answers.map((answer) => h("div", { key: answer.ts },
        h("time", { class: "faint num" }, AT(answer.ts)), content(answer))))));
}

function content(message) {
  return h("div", { class: "content" },
    message.blocks.length ? message.blocks.map(block) : h("div", { class: "b-section" }, marked(message.text)),
    message.attachments.map((item) => h("div", { class: "attachment", style: { "border-color": colour(item.color) } },
      item.blocks ? item.blocks.map(block) : marked(item.text || item.fallback || ""))));
}

const colour = (value) => ({ good: "#34d399", danger: "#ff6b7a", warning: "#fbbf24" }[value] || (/^#?[0-9a-f]{6}$/i.test(value || "") ? `#${value.replace("#", "")}` : "#475069"));

export function pager({ incidents, changes }) {
  const open = incidents.filter((incident) => incident.status !== "resolved");
  return [
    h("h3", {}, h("span", {}, "PagerDuty"), open.length ? h("span", { class: "pill bad" }, `${open.length} open`) : h("span", { class: "pill good" }, "nobody woken")),
    h("div", { class: "scroll short" },
      [...incidents].reverse().map((incident) => h("div", { class: `incident ${incident.status}`, key: incident.dedup_key + incident.created_at },
        h("div", { class: "who" }, h("span", { class: `pill ${incident.status === "resolved" ? "good" : incident.status === "triggered" ? "bad" : "warning"}` }, incident.status),
          h("span", { class: "faint" }, incident.severity), incident.alerts > 1 && h("span", { class: "faint" }, `${incident.alerts} alerts`),
          h("span", { class: "grow" }), h("time", { class: "faint num" }, clock(incident.created_at))),
        h("div", {}, incident.summary),
        h("div", { class: "faint" }, incident.source, incident.links.map((item) => [" · ", link(item.href, item.text)])))),
      [...changes].reverse().slice(0, 8).map((change) => h("div", { class: "incident change", key: change.at },
        h("div", { class: "who" }, h("span", { class: "pill" }, "change"), h("span", { class: "grow" }), h("time", { class: "faint num" }, clock(change.at))),
        h("div", {}, change.summary)))),
  ];
}

export function tickets(list) {
  const tone = { Approved: "good", Done: "good", Declined: "bad", "Awaiting approval": "warning", Implementing: "live" };
  return [
    h("h3", {}, h("span", {}, "Jira"), h("span", { class: "faint" }, "change tickets"), h("span", { class: "grow" }),
      h("button", { class: "button tiny", "data-act": "ticket", title: "a new change ticket, approved" }, "New")),
    h("div", { class: "scroll medium" }, [...list].reverse().map((ticket) => h("div", { class: "ticket", key: ticket.key },
      h("div", { class: "who" }, h("b", { class: "mono" }, ticket.key), h("span", { class: `pill ${tone[ticket.status] || ""}` }, ticket.status.toLowerCase()),
        h("span", { class: "grow" }),
        ticket.category !== "done" && ticket.transitions.map((move) => h("button", {
          class: "button tiny", "data-act": "move", "data-key-of": ticket.key, "data-transition": move.id,
        }, move.name))),
      h("div", { title: ticket.description }, ticket.summary),
      ticket.links.map((item) => h("div", { class: "faint" }, "↳ ", link(item.url, item.title))),
      ticket.comments.slice(-2).map((comment) => h("div", { class: "comment" }, h("span", { class: "faint" }, `${comment.author}: `), comment.text))))),
  ];
}
