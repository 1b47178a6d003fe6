// Open loop: a new request every 1/RATE seconds whether or not earlier ones were answered, so that a stall is felt by
// every request it delays. An iteration that finds no free virtual user is dropped and counted, never put off.
import http from 'k6/http';
import { check } from 'k6';
import { SharedArray } from 'k6/data';
import exec from 'k6/execution';

const bodies = new SharedArray('bodies', () => open(__ENV.BODIES).split('\n').filter((line) => line));
const params = { headers: { 'Content-Type': 'application/json' }, timeout: '10s' };

export const options = {
  scenarios: {
    decisions: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE),
      timeUnit: '1s',
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: Math.max(150, Number(__ENV.RATE) / 5),
      maxVUs: Math.max(150, Number(__ENV.RATE) / 5),
    },
  },
  summaryTrendStats: ['p(50)', 'p(95)', 'p(99)', 'p(99.9)', 'max'],
};

export default function () {
  const at = Number(__ENV.FIRST) + exec.scenario.iterationInTest;
  const response = http.post(__ENV.URL, bodies[at % bodies.length], params);
  check(response, { 'decided by the model': (r) => r.status === 200 && r.body.includes('"fallback":"none"') });
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data.metrics) };
}
