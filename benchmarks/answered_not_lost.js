// Open loop. Every transaction has an id of its own; each answer is one sample of `answered` that names it.
import http from 'k6/http';
import { Counter } from 'k6/metrics';
import { SharedArray } from 'k6/data';
import exec from 'k6/execution';
import { bodies, handleSummary, openLoop, params } from './load.js';

export { handleSummary };

const transactions = new SharedArray('transactions', () => bodies.map((body) => JSON.parse(body)));
const answered = new Counter('answered');

export const options = { scenarios: openLoop(200) };

export default function () {
  const at = exec.scenario.iterationInTest;
  const id = `t-${at}`;
  const body = JSON.stringify(Object.assign({}, transactions[at % transactions.length], { transaction_id: id }));
  const response = http.post(__ENV.URL, body, params);
  if (response.status === 200) {
    answered.add(1, { id });
  }
}
