// What BATbern's visitors do, as a load test: two journeys side by side, each at a steady rate whatever the answers
// take. Addresses, release and environment come from who runs it: BASE_URL, RELEASE, ENVIRONMENT.
import http from "k6/http";
import { check } from "k6";

const base = __ENV.BASE_URL;
const rate = Number(__ENV.RATE || 20); // requests a second, both journeys together
const duration = `${Number(__ENV.SECONDS || 60)}s`;

function journey(exec) {
  return { executor: "constant-arrival-rate", rate: rate / 2, duration, preAllocatedVUs: 20, maxVUs: 100, exec };
}

export const options = {
  discardResponseBodies: false,
  scenarios: { browse: journey("browse"), plan: journey("plan") },
};

function get(path, name) {
  const answer = http.get(`${base}${path}`, { tags: { name }, timeout: "10s" });
  check(answer, { "answers with data": (it) => it.status === 200 && it.body.length > 2 });
}

export function browse() {
  get("/api/events", "events");
}

export function plan() {
  get("/api/speakers", "speakers");
}
