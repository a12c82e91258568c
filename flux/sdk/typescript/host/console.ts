// console within an invocation: its lines are log lines of the request, with the place they were written at.

import { Console } from "node:console";
import { pathOf } from "./errors.ts";
import { current } from "./invocation.ts";

const scope = globalThis as any;

const LEVELS: Record<string, string> = {
  debug: "debug",
  log: "info",
  info: "info",
  warn: "warning",
  error: "error",
  trace: "debug",
};
const REST = [
  "dir",
  "dirxml",
  "assert",
  "count",
  "countReset",
  "table",
  "time",
  "timeLog",
  "timeEnd",
  "group",
  "groupCollapsed",
  "groupEnd",
];

/** Characters kept of a line, and lines of an invocation. */
const MOST_CHARACTERS = 20_000;
const MOST_LINES = 1_000;

interface Own {
  console: any;
  lines: number;
}

const consoles = new WeakMap<object, Own>();

export function recordConsole(): void {
  const real = scope.console;
  for (const name of [...Object.keys(LEVELS), ...REST]) {
    const method = real[name];
    real[name] = (...given: unknown[]) => {
      const invocation = current();
      if (!invocation) return method.apply(real, given);
      const own = ownOf(invocation);
      own.level = LEVELS[name] ?? (name === "assert" ? "error" : "info");
      own.console[name](...given);
    };
  }
  const write = (level: string, text: string) => {
    const invocation = current();
    if (invocation) ownOf(invocation).write(level, text);
    return true;
  };
  scope.process.stdout.write = (text: unknown) => write("info", String(text));
  scope.process.stderr.write = (text: unknown) => write("error", String(text));
}

function ownOf(invocation: NonNullable<ReturnType<typeof current>>): any {
  const known = consoles.get(invocation);
  if (known) return known;
  const own: any = {
    level: "info",
    lines: 0,
    write(level: string, text: string) {
      if (++own.lines > MOST_LINES) return;
      const message = own.lines === MOST_LINES ? `${MOST_LINES} lines: no more are kept` : text.replace(/\n$/, "");
      invocation.log(level, message.slice(0, MOST_CHARACTERS), place());
    },
  };
  const stream = {
    write: (text: string) => (own.write(own.level, text), true),
    on() {},
    once() {},
    removeListener() {},
    listenerCount: () => 0,
  };
  own.console = new Console({ stdout: stream, stderr: stream, colorMode: false } as any);
  consoles.set(invocation, own);
  return own;
}

const HERE = new URL(".", import.meta.url).href;

/** file:line of the code that writes; "" where it is none of the user's. */
export function place(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 12;
  const stack = new Error().stack ?? "";
  Error.stackTraceLimit = limit;
  for (const line of stack.split("\n").slice(1)) {
    const found = /\(?file:\/\/(.+?):(\d+):\d+\)?$/.exec(line);
    if (found && !line.includes(HERE) && !line.includes("/node_modules/")) {
      return `${pathOf(found[1])}:${found[2]}`;
    }
  }
  return "";
}
