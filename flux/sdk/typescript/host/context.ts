// ctx: what a function may ask of its host. What fails is thrown by an async function that awaited it, so that the stack
// of the error goes on in the code of the user's that awaits that.

import type { Ctx, Push } from "../flux.ts";
import { raised, told } from "./errors.ts";
import { current, currentTool, type Invocation, withinTool } from "./invocation.ts";
import { place } from "./console.ts";
import { read } from "./values.ts";

interface Fetched {
  status: number;
  headers: Record<string, string>;
  body?: string;
  body_base64?: string;
}

/** The ctx of one invocation. */
export function contextOf(invocation: Invocation): Ctx {
  async function ask(op: string, args: unknown, reserved?: number): Promise<any> {
    const reply = await invocation.call(op, args, reserved);
    if ("error" in reply) throw raised(reply.error);
    return read(reply.ok);
  }
  const log = (level: string) => (message: string, fields?: Record<string, unknown>): void =>
    invocation.log(level, String(message), place(), fields);
  const statement = (op: string) => async (sql: string, ...parameters: unknown[]): Promise<any> =>
    await ask(op, { sql, parameters });
  const asked = (op: string, args: (...given: any[]) => unknown) => async (...given: any[]): Promise<any> =>
    await ask(op, args(...given));
  return {
    db: {
      execute: statement("db.execute"),
      one: statement("db.one"),
      all: statement("db.all"),
      value: statement("db.value"),
      query: asked("db.query", (query) => ({ query: query })),
      commit: asked("db.commit", () => ({})),
    },
    queue: { push: asked("queue.push", pushed) },
    events: { publish: asked("events.publish", (type, data, options) => ({ type, data, ...options })) },
    log: { debug: log("debug"), info: log("info"), warning: log("warning"), warn: log("warning"), error: log("error") },
    secrets: {
      get: asked("secrets.get", (name, fallback) => fallback === undefined ? { name } : { name, default: fallback }),
    },
    invoke: asked("invoke", (name, input) => ({ function: name, input: input ?? {} })),
    tool: (name: string, args: unknown, call: any) => tool(invocation, ask, name, args, call),
    fetch: (input: any, init?: any) => fetch(input, init),
    now: () => new Date(),
    uuid: () => crypto.randomUUID(),
    random: () => Math.random(),
    sleep: (seconds: number) => new Promise<void>((done) => setTimeout(done, seconds * 1000)),
    request: asked("request", () => ({})),
    header: asked("request.header", (name) => ({ name })),
  } as Ctx;
}

/** globalThis.fetch within an invocation: a call of the host's, which records it. */
export function recordFetch(): void {
  const real = fetch;
  globalThis.fetch = async function fetch(input: any, init?: any): Promise<Response> {
    const invocation = current();
    if (!invocation) return real(input, init);
    const { signal, ...args } = await requested(input, init);
    signal?.throwIfAborted();
    const tool = currentTool();
    const call = invocation.call("fetch", tool === undefined ? args : { ...args, tool });
    const reply = await (signal ? Promise.race([call, aborted(signal)]) : call);
    if ("error" in reply) throw raised(reply.error);
    return answered(reply.ok as Fetched, args.url);
  };
}

async function tool(invocation: Invocation, ask: any, name: string, args: unknown, call: () => unknown): Promise<any> {
  const begun = await ask("tool.begin", { name, arguments: args });
  const end = invocation.reserve();
  if ("answer" in begun) {
    await invocation.passage("tool.end", end);
    return begun.answer;
  }
  try {
    const answer = await withinTool(begun.call, call);
    await ask("tool.end", { call: begun.call, answer: answer ?? null }, end);
    return answer;
  } catch (error) {
    const { type, message } = told(error);
    await ask("tool.end", { call: begun.call, error: { type, message } }, end);
    throw error;
  }
}

const OPTIONS: Record<keyof Push, string> = {
  delay: "delay",
  runAt: "run_at",
  key: "key",
  uniqueFor: "unique_for",
  priority: "priority",
  queue: "queue",
  maxAttempts: "max_attempts",
  orderingKey: "ordering_key",
};

function pushed(name: string, input?: unknown, options: Push = {}): unknown {
  const args: Record<string, unknown> = { function: name, input: input ?? {} };
  for (const [option, value] of Object.entries(options)) args[OPTIONS[option as keyof Push] ?? option] = value;
  return args;
}

async function requested(input: any, init: any = {}): Promise<any> {
  if (init?.body instanceof FormData) init = multipart(init);
  const plain = !(input instanceof Request);
  const body = init?.body ?? (plain ? undefined : input.body);
  const isText = body === undefined || body === null || typeof body === "string" || body instanceof URLSearchParams;
  const request = new Request(input, isText && plain ? { ...init, body: undefined } : init);
  const headers = Object.fromEntries(request.headers);
  const args: any = {
    url: request.url,
    method: request.method,
    headers,
    signal: init?.signal ?? (plain ? undefined : input.signal),
  };
  if (isText && plain) {
    if (body !== undefined && body !== null) args.body = String(body);
    const kind = body instanceof URLSearchParams
      ? "application/x-www-form-urlencoded;charset=UTF-8"
      : "text/plain;charset=UTF-8";
    if (args.body !== undefined && !("content-type" in headers)) headers["content-type"] = kind;
  } else if (body) {
    args.body_base64 = (new Uint8Array(await request.arrayBuffer()) as any).toBase64();
  }
  return args;
}

/** A form as it is sent, with a boundary that is told again in a replay. */
function multipart(init: any): any {
  const boundary = `----flux${crypto.randomUUID()}`;
  const quoted = (text: string) => text.replace(/\r/g, "%0D").replace(/\n/g, "%0A").replace(/"/g, "%22");
  const parts: BlobPart[] = [];
  for (const [name, value] of init.body as FormData) {
    parts.push(`--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"`);
    if (typeof value === "string") parts.push(`\r\n\r\n${value}\r\n`);
    else {
      const type = value.type || "application/octet-stream";
      parts.push(`; filename="${quoted(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`, value, "\r\n");
    }
  }
  const headers = new Headers(init.headers);
  headers.set("content-type", `multipart/form-data; boundary=${boundary}`);
  return { ...init, headers, body: new Blob([...parts, `--${boundary}--\r\n`]) };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}

const NO_BODY = new Set([101, 204, 205, 304]);

function answered(answer: Fetched, url: string): Response {
  const body = answer.body_base64 === undefined ? answer.body : (Uint8Array as any).fromBase64(answer.body_base64);
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) {
    if (name !== "content-encoding" && name !== "content-length") headers.append(name, value);
  }
  const response = new Response(NO_BODY.has(answer.status) ? null : body, { status: answer.status, headers });
  Object.defineProperty(response, "url", { value: url });
  return response;
}
