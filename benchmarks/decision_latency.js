// Open loop over the bodies from number FIRST on.
import http from 'k6/http';
import { check } from 'k6';
import exec from 'k6/execution';
import { body, handleSummary, openLoop, params } from './load.js';

export { handleSummary };

export const options = {
  scenarios: openLoop(Math.max(150, Number(__ENV.RATE) / 5)),
  summaryTrendStats: ['p(50)', 'p(95)', 'p(99)', 'p(99.9)', 'max'],
};

export default function () {
  const at = Number(__ENV.FIRST) + exec.scenario.iterationInTest;
  const response = http.post(__ENV.URL, body(at), params);
  check(response, { 'scored by the model': (r) => r.status === 200 && r.body.includes(__ENV.EXPECTED) });
}
