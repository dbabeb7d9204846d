// Runs guests by @wapc/host for the conformance suite, one at a time.
//
// Each line of the standard input is a command and each line of the standard output
// what came of it, in JSON, with bytes in base64:
//
//   {"load": MODULE}                 {} or {"refused": TEXT}
//   {"call": OPERATION, "payload"}   {"response"} or {"guestError": TEXT} or {"failed": TEXT}
//
// On the way there may come {"log": LINE}, and {"hostCall": {...}}, which is answered
// by a line {"response"} or {"error": TEXT} before anything else. All of it is read
// and written synchronously, as @wapc/host wants host calls to be.
import { readSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { instantiate } = require('@wapc/host');

let pending = [];

// receive reads a line; undefined at the end of the input.
function receive() {
  for (;;) {
    const last = pending.at(-1);
    const end = last ? last.indexOf(10) : -1;
    if (end >= 0) {
      const line = Buffer.concat([...pending.slice(0, -1), last.subarray(0, end)]);
      pending = [last.subarray(end + 1)];
      return JSON.parse(line.toString());
    }
    const chunk = Buffer.alloc(64 << 10);
    const n = readSync(0, chunk);
    if (n === 0) return undefined;
    pending.push(chunk.subarray(0, n));
  }
}

function send(message) {
  const line = Buffer.from(JSON.stringify(message) + '\n');
  for (let at = 0; at < line.length; ) at += writeSync(1, line, at);
}

const decode = (text) => new Uint8Array(Buffer.from(text ?? '', 'base64'));
const encode = (bytes) => Buffer.from(bytes).toString('base64');

// The host writes a guest's log lines to the console.
console.log = (line) => send({ log: String(line) });

function hostCall(binding, namespace, operation, payload) {
  send({ hostCall: { binding, namespace, operation, payload: encode(payload) } });
  const answer = receive();
  if (answer.error !== undefined) throw answer.error;
  return decode(answer.response);
}

let host;

async function load(module) {
  host = undefined;
  try {
    host = await instantiate(decode(module), hostCall, (text) => send({ log: text }));
    send({});
  } catch (e) {
    send({ refused: String(e) });
  }
}

async function call(operation, payload) {
  try {
    send({ response: encode(await host.invoke(operation, decode(payload))) });
  } catch (e) {
    // The host makes a plain Error of a guest's error, and passes traps on.
    const reported = e instanceof Error && e.constructor === Error;
    send(reported ? { guestError: e.message } : { failed: String(e) });
  }
}

for (let message; (message = receive()); ) {
  if (message.load !== undefined) await load(message.load);
  else await call(message.call, message.payload);
}
