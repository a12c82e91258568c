// The process that runs functions in TypeScript: it listens on the Unix socket it is given, gives its permission to do
// so back, and serves connections until its standard input ends, which is when its worker has gone.

import { recordConsole } from "./console.ts";
import { recordFetch } from "./context.ts";
import { told } from "./errors.ts";
import { Channel, ERROR, INVOKE, LOAD, LOADED, MOST_BYTES, PING, PONG, REPLY, RESULT } from "./frames.ts";
import { load, run } from "./functions.ts";
import { current, Invocation, type Mode, within } from "./invocation.ts";
import { forbid, record } from "./platform.ts";
import { recordJSON, written } from "./values.ts";

interface Asked extends Mode {
  key: string;
  input: unknown;
}

async function serve(conn: Deno.Conn): Promise<void> {
  const channel = new Channel(conn);
  let invocation: Invocation | null = null;
  for (let frame = await channel.read(); frame; frame = await channel.read()) {
    if (frame.type === REPLY) invocation?.replied(frame.call, frame.text);
    else if (frame.type === INVOKE) {
      invocation?.end();
      invocation = begin(channel, JSON.parse(frame.text));
    } else if (frame.type === LOAD) tell(channel, JSON.parse(frame.text).file);
    else if (frame.type === PING) channel.send(PONG, 0, "null");
  }
  invocation?.end();
  channel.close();
}

function begin(channel: Channel, asked: Asked): Invocation {
  const invocation = new Invocation(channel, asked);
  within(invocation, () => answer(channel, invocation, asked));
  return invocation;
}

async function answer(channel: Channel, invocation: Invocation, { key, input }: Asked): Promise<void> {
  let type = RESULT, text: string;
  try {
    text = await written(await run(key, invocation, input));
  } catch (error) {
    type = ERROR;
    text = JSON.stringify(told(error));
  }
  if (invocation.ended) return;
  invocation.flush();
  invocation.end();
  const tape = tapeOf(invocation);
  if (channel.send(type, 0, text, invocation.deliveries, tape)) return;
  const message = `the result is larger than ${MOST_BYTES / 2 ** 20} MiB`;
  channel.send(ERROR, 0, JSON.stringify({ type: "RangeError", message }), invocation.deliveries, tape);
}

function tapeOf(invocation: Invocation): string {
  const tape = invocation.tapes.piece();
  if (!invocation.diverged) return tape;
  return JSON.stringify({ ...(tape ? JSON.parse(tape) : {}), diverged: invocation.diverged });
}

async function tell(channel: Channel, file: string): Promise<void> {
  try {
    channel.send(LOADED, 0, JSON.stringify(await load(file)));
  } catch (error) {
    channel.send(ERROR, 0, JSON.stringify(told(error)));
  }
}

/** What nobody caught would end the process of everybody; it is a line in the log of the request it came from. */
function survive(): void {
  const tell = (event: Event, what: string, error: unknown) => {
    event.preventDefault();
    const invocation = current();
    if (invocation) invocation.uncaught(what, error);
    else console.error(what, error);
  };
  globalThis.addEventListener("unhandledrejection", (event) => tell(event, "unhandled rejection", event.reason));
  globalThis.addEventListener("error", (event) => tell(event, "uncaught", event.error));
}

async function endWithWorker(): Promise<void> {
  const exit = Deno.exit, reader = Deno.stdin.readable.getReader();
  while (!(await reader.read()).done);
  exit(0);
}

const [socket] = Deno.args;
const listener = Deno.listen({ transport: "unix", path: socket });
await Deno.permissions.revoke({ name: "net" });
await Deno.permissions.revoke({ name: "write" });
await Deno.permissions.revoke({ name: "read", path: socket });
endWithWorker();
Error.stackTraceLimit = 30;
recordJSON();
recordFetch();
recordConsole();
record();
forbid();
survive();
for await (const conn of listener) serve(conn);
