// Open loop: the rate, for a third of the time a multiple of it, and the rate again. Each answer is one sample of `waited`,
// milliseconds from the moment the request was due, tagged with what the answer was.
import http from 'k6/http';
import { Trend } from 'k6/metrics';
import exec from 'k6/execution';
import { body, handleSummary, params } from './load.js';

export { handleSummary };

const waited = new Trend('waited', true);
const rate = Number(__ENV.RATE);
const users = 500 * Math.max(1, Number(__ENV.TIMES) / 10);
const third = Number(__ENV.SECONDS) / 3;

export const options = {
  scenarios: {
    decisions: {
      executor: 'ramping-arrival-rate',
      startRate: rate,
      timeUnit: '1s',
      stages: [
        { target: rate, duration: `${third}s` },
        { target: rate * Number(__ENV.TIMES), duration: '0s' },
        { target: rate * Number(__ENV.TIMES), duration: `${third}s` },
        { target: rate, duration: '0s' },
        { target: rate, duration: `${third}s` },
      ],
      preAllocatedVUs: users,
      maxVUs: users,
    },
  },
};

function outcome(response) {
  if (response.status === 200) {
    const fallback = response.json('fallback');
    return fallback === 'none' ? 'decided' : fallback;
  }
  return response.status === 503 && response.headers['Retry-After'] ? 'refused_503' : `failed_${response.status}`;
}

export default function () {
  const response = http.post(__ENV.URL, body(exec.scenario.iterationInTest), params);
  waited.add(response.timings.duration, { outcome: outcome(response) });
}
