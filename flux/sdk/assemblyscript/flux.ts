/**
 * Flux for functions in AssemblyScript: what a function may ask of its host, and how its answer gets there.
 *
 *     import { Ctx, Json, define } from "./flux";
 *     export { flux_alloc, flux_handle } from "./flux";
 *
 *     function hello(ctx: Ctx, input: Json): Json { … }
 *
 *     define(hello);
 *
 * AssemblyScript cannot catch. An error of the host ends the request, unless it was asked by `attempt`; so does `throw`.
 */

import { Json } from "./json";
export { Json, Kind } from "./json";

/** What the host said to an operation that was attempted. */
export class Reply {
  constructor(private told: Json) {}

  get failed(): bool {
    return this.told.has("error");
  }

  /** What the operation gave; null if it failed. */
  get value(): Json {
    return this.told.get("ok");
  }

  /** `type`, `message`, and what else is known: `code`, `constraint`, `status` … */
  get error(): Json {
    return this.told.get("error");
  }
}

/** What a function may ask. It lives as long as the request. */
export class Ctx {
  readonly db: Db = new Db();
  readonly queue: Queue = new Queue();
  readonly events: Events = new Events();
  readonly log: Log = new Log();
  readonly secrets: Secrets = new Secrets();

  /** Any operation of the host, by name. */
  call(op: string, args: Json): Json {
    return call(op, args);
  }

  /** The same, where an error is to be looked at: `ctx.attempt("db.one", statement(sql, [email]))`. */
  attempt(op: string, args: Json): Reply {
    return attempt(op, args);
  }

  /** An HTTP request to the outside: `status`, `headers`, `body`. Options are method, headers, body or json, timeout. */
  fetch(url: string, options: Json = Json.object()): Json {
    return call("fetch", options.set("url", url));
  }

  /** A call out of the system, whose answer is recorded, and given back in a replay without making the call. */
  tool<T>(name: string, args: Json, given: T, does: (tool: Tool, given: T) => Json): Json {
    const begun = call("tool.begin", Json.object().set("name", name).set("arguments", args));
    if (begun.has("answer")) return begun.get("answer");
    const answer = does(new Tool(begun.get("call")), given);
    call("tool.end", Json.object().set("call", begun.get("call")).set("answer", answer));
    return answer;
  }

  /** What another function of the project answers. */
  invoke(name: string, input: Json): Json {
    return call("invoke", Json.object().set("function", name).set("input", input));
  }

  /** The time in UTC, as ISO 8601. */
  now(): string {
    return call("now", Json.object()).string();
  }

  /** A random UUID. */
  uuid(): string {
    return call("uuid", Json.object()).string();
  }

  /** A number from 0 up to 1; not for secrets. */
  random(): f64 {
    return call("random", Json.object()).number();
  }

  /** Wait; takes no time in a replay. */
  sleep(seconds: f64): void {
    call("sleep", Json.object().set("seconds", seconds));
  }

  /** The request: `id`, `kind`, `method`, `path`, `query`, `headers`. */
  request(): Json {
    return call("request", Json.object());
  }
}

/** The request's transaction. Parameters are marked $1, $2 … */
export class Db {
  /** The number of rows that were written or returned. */
  execute(sql: string, parameters: Json[] = []): i64 {
    return call("db.execute", statement(sql, parameters)).integer();
  }

  /** The first row as an object, or null. */
  one(sql: string, parameters: Json[] = []): Json {
    return call("db.one", statement(sql, parameters));
  }

  /** Every row. */
  all(sql: string, parameters: Json[] = []): Json {
    return call("db.all", statement(sql, parameters));
  }

  /** The first column of the first row, or null. */
  value(sql: string, parameters: Json[] = []): Json {
    return call("db.value", statement(sql, parameters));
  }

  /** A structured query: its rows, or the number of rows that it wrote. */
  query(query: Json): Json {
    return call("db.query", Json.object().set("query", query));
  }
}

/** Jobs, which exist exactly if the transaction does. */
export class Queue {
  /** The id of a new job. Options are delay, run_at, key, priority … */
  push(name: string, input: Json, options: Json = Json.object()): i64 {
    return call("queue.push", options.set("function", name).set("input", input)).integer();
  }
}

/** Events, for whoever subscribes. */
export class Events {
  /** The id of a new event. */
  publish(type: string, data: Json): Json {
    return call("events.publish", Json.object().set("type", type).set("data", data));
  }
}

/** Log lines of the request, with fields. */
export class Log {
  debug(message: string, fields: Json = Json.object()): void {
    this.line("debug", message, fields);
  }

  info(message: string, fields: Json = Json.object()): void {
    this.line("info", message, fields);
  }

  warning(message: string, fields: Json = Json.object()): void {
    this.line("warning", message, fields);
  }

  error(message: string, fields: Json = Json.object()): void {
    this.line("error", message, fields);
  }

  private line(level: string, message: string, fields: Json): void {
    call("log", Json.object().set("level", level).set("message", message).set("fields", fields));
  }
}

/** Secrets, hidden in the record. */
export class Secrets {
  /** A secret, or null. */
  get(name: string): string | null {
    const value = call("secrets.get", Json.object().set("name", name));
    return value.isNull ? null : value.string();
  }
}

/** A tool call under way. */
export class Tool {
  constructor(private id: Json) {}

  /** A fetch that belongs to it. */
  fetch(url: string, options: Json = Json.object()): Json {
    return call("fetch", options.set("url", url).set("tool", this.id));
  }
}

/** The arguments of `db.one` and its like. */
export function statement(sql: string, parameters: Json[] = []): Json {
  return Json.object().set("sql", sql).set("parameters", Json.list(parameters));
}

/** A whole HTTP response, for functions whose answer is not only JSON. */
export function response(status: i32, headers: Json, body: Json): Json {
  return Json.object().set("$response", Json.object().set("status", status).set("headers", headers).set("body", body));
}

/** Ends the request with this HTTP status. */
export function httpError(status: i32, message: string): void {
  end(Json.object().set("type", "HTTPError").set("status", status).set("message", message));
}

/** Asks for the job to be tried again after so many seconds. */
export function retry(after: f64, message: string): void {
  end(Json.object().set("type", "Retry").set("after", after).set("message", message));
}

/** Makes a function the one that this module is. */
export function define(does: (ctx: Ctx, input: Json) => Json): void {
  defined = does;
}

// How the bytes travel: docs/guests/abi.md

// @ts-ignore: decorator
@external("flux", "call")
declare function hostCall(address: usize, size: u32): u64;

let defined: (ctx: Ctx, input: Json) => Json = (ctx, input) => {
  throw new Error("no function is defined: call define(hello)");
};

/** What the host writes to, or has yet to read; otherwise it would be collected. */
// @ts-ignore: decorator
@lazy
const pinned = new Map<usize, ArrayBuffer>();

export function flux_alloc(size: u32): usize {
  return pin(new ArrayBuffer(<i32>size));
}

export function flux_handle(address: usize, size: u32): u64 {
  const answer = defined(new Ctx(), Json.parse(taken(address, size)));
  const reply = String.UTF8.encode(Json.object().set("ok", answer).toString());
  return ((<u64>pin(reply)) << 32) | <u64>reply.byteLength;
}

function pin(buffer: ArrayBuffer): usize {
  const address = changetype<usize>(buffer);
  pinned.set(address, buffer);
  return address;
}

function taken(address: usize, size: u32): string {
  const text = String.UTF8.decodeUnsafe(address, <usize>size);
  pinned.delete(address);
  return text;
}

function attempt(op: string, args: Json): Reply {
  const request = String.UTF8.encode(Json.object().set("op", op).set("args", args).toString());
  const told = hostCall(changetype<usize>(request), request.byteLength);
  return new Reply(Json.parse(taken(<usize>(told >> 32), <u32>told)));
}

function call(op: string, args: Json): Json {
  const reply = attempt(op, args);
  if (reply.failed) end(reply.error);
  return reply.value;
}

function end(error: Json): void {
  attempt("raise", error);
  unreachable(); // the host does not return
}

/** What `throw`, assertions and the language's own checks call; asconfig.json says so. */
export function failed(message: string | null, file: string | null, line: u32, column: u32): void {
  const error = Json.object().set("type", "Error").set("message", message == null ? "" : message);
  if (file != null) error.set("file", file).set("line", line).set("column", column);
  end(error);
}
