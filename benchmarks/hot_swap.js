// Open loop over the few bodies of which EXPECTED has each version's scores, asked before: an answer whose score is not its
// version's is a mixed one.
import http from 'k6/http';
import { Counter } from 'k6/metrics';
import exec from 'k6/execution';
import { body, handleSummary, openLoop, params } from './load.js';

export { handleSummary };

const { asked, scores } = JSON.parse(open(__ENV.EXPECTED));
const failed = new Counter('failed');
const mixed = new Counter('mixed');
const fellBack = new Counter('fell_back');
const answers = new Counter('answers');

export const options = {
  scenarios: openLoop(200),
  summaryTrendStats: ['p(50)', 'p(99)', 'p(99.9)', 'max'],
};

export default function () {
  const number = exec.scenario.iterationInTest;
  const at = number % asked;
  const response = http.post(__ENV.URL, body(number, at), params);
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
