// Open loop, as in decision_latency.js. Every transaction has an id of its own; each answer is one sample of `answered`
// that names it.
import http from 'k6/http';
import { Counter } from 'k6/metrics';
import { SharedArray } from 'k6/data';
import exec from 'k6/execution';

const bodies = new SharedArray('bodies', () =>
  open(__ENV.BODIES).split('\n').filter((line) => line).map((line) => JSON.parse(line)));
const params = { headers: { 'Content-Type': 'application/json' }, timeout: '10s' };
const answered = new Counter('answered');

export const options = {
  scenarios: {
    decisions: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE),
      timeUnit: '1s',
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: 200,
      maxVUs: 200,
    },
  },
};

export default function () {
  const at = exec.scenario.iterationInTest;
  const id = `t-${at}`;
  const body = JSON.stringify(Object.assign({}, bodies[at % bodies.length], { transaction_id: id }));
  const response = http.post(__ENV.URL, body, params);
  if (response.status === 200) {
    answered.add(1, { id });
  }
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data.metrics) };
}
