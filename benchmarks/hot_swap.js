// Open loop, as in decision_latency.js. What each version answers to each body was asked before: an answer whose score is
// not its version's is a mixed one.
import http from 'k6/http';
import { Counter } from 'k6/metrics';
import exec from 'k6/execution';

const { bodies, scores } = JSON.parse(open(__ENV.EXPECTED));
const params = { headers: { 'Content-Type': 'application/json' }, timeout: '10s' };
const failed = new Counter('failed');
const mixed = new Counter('mixed');
const fellBack = new Counter('fell_back');
const answers = new Counter('answers');

export const options = {
  scenarios: {
    decisions: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE),
      timeUnit: '1s',
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: 100,
      maxVUs: 200,
    },
  },
  summaryTrendStats: ['p(50)', 'p(99)', 'p(99.9)', 'max'],
};

export default function () {
  const at = exec.scenario.iterationInTest % bodies.length;
  const response = http.post(__ENV.URL, bodies[at], params);
  if (response.status !== 200) {
    failed.add(1);
    return;
  }
  const decision = response.json();
  answers.add(1, { version: String(decision.model_version) });
  if (decision.fallback !== 'none') {
    fellBack.add(1);
  } else if (decision.score !== scores[decision.model_version][at]) {
    mixed.add(1);
  }
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data.metrics) };
}
