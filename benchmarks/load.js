// What the load scripts share. An open loop sends a request every 1/RATE seconds whether or not earlier ones were answered,
// so that a stall is felt by every request it delays. One that finds no free virtual user is dropped and counted, never put
// off.
import { SharedArray } from 'k6/data';

export const params = { headers: { 'Content-Type': 'application/json' }, timeout: '10s' };
export const bodies = new SharedArray('bodies', () => open(__ENV.BODIES).split('\n').filter((line) => line));

// A body for request `number`, by default round and round, as a transaction of its own: one that comes again is answered
// from memory.
export function body(number, at = number) {
  return bodies[at % bodies.length].replace('"transaction_id":"', `"transaction_id":"${__ENV.RUN}-${number}-`);
}

export function openLoop(users) {
  return {
    decisions: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE),
      timeUnit: '1s',
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: users,
      maxVUs: users,
    },
  };
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data.metrics) };
}
