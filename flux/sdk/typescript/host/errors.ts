// Errors on their way to the host and back.

const HERE = new URL(".", import.meta.url).href;

/** What the host knows of an error beside type and message. */
const KNOWN = ["code", "hint", "detail", "table", "column", "constraint", "status", "members", "after", "problems"];

/** Frames told of a stack. */
const MOST_FRAMES = 40;

export interface Told {
  [member: string]: unknown;
  type: string;
  message: string;
  /** Outermost first. */
  frames?: Frame[];
}

interface Frame {
  file: string;
  line: number;
  column: number;
  function: string;
}

/** An error as the host is told it; of one whose own members throw, that. */
export function told(error: unknown): Told {
  try {
    return plainly(error);
  } catch {
    return { type: "Error", message: "threw what cannot be read: its own members throw" };
  }
}

function plainly(error: unknown): Told {
  if (!(error instanceof Error)) {
    return {
      type: "Error",
      message: typeof error === "string" ? error : `threw ${Deno.inspect(error, { depth: 2 }).slice(0, 1000)}`,
    };
  }
  const known = error as any;
  const type = error.name && error.name !== "Error" ? error.name : error.constructor?.name || "Error";
  const found: Told = {
    type,
    message: known[FLUX] ? error.message : message(error),
    frames: frames(String(error.stack ?? "")),
  };
  if (known[FLUX]) {
    for (const name of KNOWN) if (known[name] !== undefined) found[name] = known[name];
  }
  return found;
}

/** Marks the errors of the SDK, whose members mean what the host means by them. */
export const FLUX = Symbol.for("flux.error");

/** An error that the host answered with, of the SDK's class for it where the project uses the SDK. */
export function raised(error: Record<string, unknown>): Error {
  const classes = (globalThis as any)[Symbol.for("flux.errors")] ?? {};
  const type = String(error.type ?? "Error"), text = String(error.message ?? type);
  const Class = classes[type] ?? classes.FluxError ?? Error;
  const made: any = Object.setPrototypeOf(new Error(text), Class.prototype);
  made.stack = String(made.stack).replace(/^Error/, type);
  for (const [name, value] of [["name", type], [FLUX, true]] as const) {
    Object.defineProperty(made, name, { value, writable: true, configurable: true, enumerable: false });
  }
  for (const name of KNOWN) if (error[name] !== undefined) made[name] = error[name];
  return made;
}

function message(error: Error): string {
  const own = error.message || error.name;
  const cause = error.cause instanceof Error ? `, caused by ${error.cause.name}: ${error.cause.message}` : "";
  return `${own}${cause}`;
}

/** The frames of a stack outermost first, without those of the host. */
function frames(stack: string): Frame[] {
  const found: Frame[] = [];
  for (const line of stack.split("\n")) {
    const place = /^\s+at (?:(?:async )?(.*?) \()?(file:\/\/\/.+?|[\w.+-]+:.+?):(\d+):(\d+)\)?$/.exec(line);
    if (!place || place[2].startsWith(HERE) || place[2].startsWith("ext:")) continue;
    const file = place[2].startsWith("file://") ? pathOf(place[2].slice(7)) : place[2];
    found.push({
      file,
      line: Number(place[3]),
      column: Number(place[4]),
      function: (place[1] ?? "").replace(/^Object\./, ""),
    });
    if (found.length === MOST_FRAMES) break;
  }
  return found.reverse();
}

/** The path that a stack shows, which has it sometimes as in a URL and sometimes as it is. */
export function pathOf(shown: string): string {
  if (!shown.includes("%")) return shown;
  const known = paths.get(shown);
  if (known !== undefined) return known;
  let path = shown;
  try {
    if (!isThere(shown)) path = decodeURIComponent(shown);
  } catch { /* it is none of a URL's */ }
  paths.set(shown, path);
  return path;
}

const paths = new Map<string, string>();

function isThere(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
}
