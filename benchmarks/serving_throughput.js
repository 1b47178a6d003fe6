// Closed loop: each of USERS asks again as soon as it was answered, so the server is as busy as it can be. For rates only:
// what a client waits is measured by decision_latency.js.
import http from 'k6/http';
import { check } from 'k6';
import exec from 'k6/execution';
import { body, handleSummary, params } from './load.js';

export { handleSummary };

export const options = {
  scenarios: { calls: { executor: 'constant-vus', vus: Number(__ENV.USERS), duration: `${__ENV.SECONDS}s` } },
  summaryTrendStats: ['p(50)', 'p(99)'],
};

export default function () {
  const sent = body(exec.scenario.iterationInTest);
  const response = __ENV.METHOD === 'GET' ? http.get(__ENV.URL) : http.post(__ENV.URL, sent, params);
  check(response, { answered: (r) => r.status === 200 && r.body.includes(__ENV.EXPECTED) });
}
