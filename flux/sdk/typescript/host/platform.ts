// What JavaScript finds in its globals, made to be recorded: clock, chance, timers, and promises that end elsewhere.
// Outside an invocation, at the top level of modules, everything is as it always was.

import nodeCrypto from "node:crypto";
import { EventEmitter } from "node:events";
import { promisify } from "node:util";
import { Worker as NodeWorker } from "node:worker_threads";
import { current } from "./invocation.ts";

const scope = globalThis as any;
const deno = Deno as any;

/** What would reach past the recording, or end the process of everybody. */
export function forbid(): void {
  for (const name of ["Worker", "localStorage", "sessionStorage", "caches", "alert", "confirm", "prompt", "close"]) {
    delete scope[name];
  }
  const refuse = (): never => {
    throw new Error("a function ends by returning or throwing, not by ending its process");
  };
  deno.exit = refuse;
  deno.kill = refuse;
  scope.process.exit =
    scope.process.abort =
    scope.process.reallyExit =
    scope.process.kill =
      refuse;
  const emitter = EventEmitter as any, init = emitter.init;
  emitter.init = function (this: unknown, ...given: unknown[]) { // its class cannot be taken out of its module
    if (this instanceof NodeWorker) throw new Error("a function cannot start a thread, which nothing would end");
    return init.apply(this, given);
  };
  for (const name of ["stdin", "stdout", "stderr", "serve", "addSignalListener"]) delete deno[name];
  delete deno[deno.internal];
}

export function record(): void {
  recordClock();
  recordChance();
  recordTimers();
  recordPromises();
  recordCallbacks();
}

function recordClock(): void {
  const RealDate = Date;
  const now = RealDate.now;
  const read = () => current()?.tapes.now() ?? now();
  RealDate.now = read;
  scope.Date = new Proxy(RealDate, {
    apply: () => new RealDate(read()).toString(),
    construct: (target, given, made) => Reflect.construct(target, given.length ? given : [read()], made),
  });
  RealDate.prototype.constructor = scope.Date;

  const moment = performance.now.bind(performance);
  performance.now = () => current()?.tapes.moment() ?? moment();
  const origin = performance.timeOrigin;
  Object.defineProperty(performance, "timeOrigin", { get: () => current()?.tapes.origin() ?? origin });
  const hrtime = scope.process.hrtime;
  const nanoseconds = () => BigInt(Math.round(current()!.tapes.moment() * 1e6));
  const recorded = (before?: [number, number]) => {
    if (!current()) return hrtime(before);
    const since = nanoseconds() - (before ? BigInt(before[0]) * 1_000_000_000n + BigInt(before[1]) : 0n);
    return [Number(since / 1_000_000_000n), Number(since % 1_000_000_000n)];
  };
  recorded.bigint = () => current() ? nanoseconds() : hrtime.bigint();
  scope.process.hrtime = recorded;
  const uptime = scope.process.uptime;
  scope.process.uptime = () => current() ? current()!.tapes.moment() / 1000 : uptime();

  const { prototype } = Intl.DateTimeFormat;
  const format = Object.getOwnPropertyDescriptor(prototype, "format")!.get!;
  Object.defineProperty(prototype, "format", {
    configurable: true,
    get(this: Intl.DateTimeFormat) {
      const formatted = format.call(this);
      return (date?: unknown) => formatted(date ?? read());
    },
  });
  const toParts = prototype.formatToParts;
  prototype.formatToParts = function (date?: any) {
    return toParts.call(this, date ?? read());
  };
  recordTemporal(read);
}

function recordTemporal(read: () => number): void {
  const Temporal = scope.Temporal;
  if (!Temporal) return;
  const real = { ...Object.getOwnPropertyDescriptors(Temporal.Now) } as Record<string, PropertyDescriptor>;
  const zoned = (zone = real.timeZoneId.value()) =>
    Temporal.Instant.fromEpochMilliseconds(read()).toZonedDateTimeISO(zone);
  const recorded: Record<string, (zone?: string) => unknown> = {
    instant: () => Temporal.Instant.fromEpochMilliseconds(read()),
    zonedDateTimeISO: (zone) => zoned(zone),
    plainDateTimeISO: (zone) => zoned(zone).toPlainDateTime(),
    plainDateISO: (zone) => zoned(zone).toPlainDate(),
    plainTimeISO: (zone) => zoned(zone).toPlainTime(),
  };
  for (const [name, told] of Object.entries(recorded)) {
    Temporal.Now[name] = (zone?: string) => current() ? told(zone) : real[name].value.call(Temporal.Now, zone);
  }
}

function recordChance(): void {
  const random = Math.random;
  Math.random = () => current()?.tapes.random() ?? random();
  const fill = Crypto.prototype.getRandomValues;
  const bytes = (into: any): any => {
    const invocation = current();
    if (!invocation) return fill.call(crypto, into);
    invocation.tapes.bytes(new Uint8Array(into.buffer, into.byteOffset, into.byteLength));
    return into;
  };
  const uuid = (): `${string}-${string}-${string}-${string}-${string}` => {
    const raw = bytes(new Uint8Array(16));
    raw[6] = raw[6] & 0x0f | 0x40;
    raw[8] = raw[8] & 0x3f | 0x80;
    const text = Array.from(raw as Uint8Array, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join(
      "-",
    ) as any;
  };
  Crypto.prototype.getRandomValues = bytes;
  Crypto.prototype.randomUUID = uuid;

  const node = nodeCrypto as any;
  const { randomBytes, randomFillSync, randomInt } = node;
  const buffer = (size: number) => scope.Buffer.from(bytes(new Uint8Array(size)).buffer);
  node.randomUUID = uuid;
  node.getRandomValues = bytes;
  node.randomBytes = (size: number, done?: (error: null, bytes: unknown) => void) => {
    if (!current()) return randomBytes(size, done);
    return done ? setTimeout(() => done(null, buffer(size))) : buffer(size);
  };
  node.randomFillSync = (into: any, ...range: number[]) => {
    if (!current()) return randomFillSync(into, ...range);
    const view = new Uint8Array(into.buffer ?? into, into.byteOffset ?? 0, into.byteLength);
    const [offset = 0, size = view.length - offset] = range;
    bytes(view.subarray(offset, offset + size));
    return into;
  };
  node.randomInt = (low: number, high?: any, done?: any) => {
    if (!current()) return randomInt(low, high, done);
    if (typeof high !== "number") [low, high, done] = [0, low, high];
    const value = low + Math.floor(new DataView(bytes(new Uint8Array(8)).buffer).getUint32(0) / 2 ** 32 * (high - low));
    return done ? setTimeout(() => done(null, value)) : value;
  };
}

/** What setTimeout gives within an invocation: what Node's gives, as far as libraries look at it. */
class Timer {
  constructor(readonly id: number, readonly again: () => Timer) {}
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
  refresh(): Timer {
    clearTimeout(this as any);
    return this.again();
  }
  close(): void {
    clearTimeout(this as any);
  }
  [Symbol.toPrimitive](): number {
    return this.id;
  }
  [Symbol.dispose](): void {
    clearTimeout(this as any);
  }
}

function recordTimers(): void {
  const real: any = { setTimeout, setInterval, setImmediate };
  const make = (name: string, repeats: boolean) => (run: any, delay?: any, ...given: any[]): any => {
    const invocation = current();
    if (!invocation) return real[name](run, delay, ...given);
    if (invocation.ended) return new Timer(0, () => new Timer(0, undefined as any));
    const wait = Math.max(repeats ? 1 : 0, Number(delay) || 0);
    const start = (): Timer =>
      new Timer(invocation.timer(name, () => run(...given), wait, repeats ? wait : null), start);
    return start();
  };
  scope.setTimeout = make("setTimeout", false);
  scope.setInterval = make("setInterval", true);
  const immediate = make("setImmediate", false);
  scope.setImmediate = (run: any, ...given: any[]) =>
    current() ? immediate(run, 0, ...given) : real.setImmediate(run, ...given);
  for (const name of ["clearTimeout", "clearInterval", "clearImmediate"]) {
    const clear = scope[name];
    scope[name] = (timer: any) => {
      if (timer instanceof Timer) current()?.clear(timer.id);
      else if (typeof timer === "number" && current()) current()!.clear(timer);
      else clear(timer);
    };
  }
  AbortSignal.timeout = (delay: number) => {
    const controller = new AbortController();
    const ended = () => controller.abort(new DOMException("Signal timed out.", "TimeoutError"));
    scope.setTimeout(ended, delay);
    return controller.signal;
  };
}

/** Promises that end on other threads, or when streams please. */
const PROMISES: [string, string[]][] = [
  ["SubtleCrypto", [
    "decrypt",
    "deriveBits",
    "deriveKey",
    "digest",
    "encrypt",
    "exportKey",
    "generateKey",
    "importKey",
    "sign",
    "unwrapKey",
    "verify",
    "wrapKey",
  ]],
  ["Request", ["arrayBuffer", "blob", "bytes", "formData", "json", "text"]],
  ["Response", ["arrayBuffer", "blob", "bytes", "formData", "json", "text"]],
  ["Blob", ["arrayBuffer", "bytes", "text"]],
  ["ReadableStreamDefaultReader", ["read"]],
  ["ReadableStreamBYOBReader", ["read"]],
  ["WritableStreamDefaultWriter", ["write", "close"]],
  ["LockManager", ["request"]],
];

function recordPromises(): void {
  for (const [name, methods] of PROMISES) {
    for (const method of methods) wrap(scope[name]?.prototype, method, `${name}.${method}`);
  }
  for (const method of ["compile", "instantiate"]) wrap(scope.WebAssembly, method, `WebAssembly.${method}`);
  for (const method of ["readFile", "readTextFile", "stat", "lstat", "realPath", "open"]) {
    wrap(deno, method, `Deno.${method}`);
  }
}

/** What Node's crypto does on other threads, and tells a callback. */
const CALLBACKS = ["pbkdf2", "scrypt", "hkdf", "generateKey", "generateKeyPair", "generatePrime", "checkPrime"];

function recordCallbacks(): void {
  for (const method of CALLBACKS) wrapCallback(nodeCrypto, method, `crypto.${method}`);
}

function wrapCallback(owner: any, method: string, name: string): void {
  const real = owner[method];
  if (typeof real !== "function") return;
  const wrapped: any = function (this: unknown, ...given: unknown[]) {
    const invocation = current(), done = given.at(-1);
    if (!invocation || typeof done !== "function") return real.apply(this, given);
    const { promise, resolve } = Promise.withResolvers<unknown[]>();
    invocation.native(name, promise).then((told) => done(...told));
    return real.call(this, ...given.slice(0, -1), (...told: unknown[]) => resolve(told));
  };
  const promised = real[promisify.custom];
  if (promised) {
    wrapped[promisify.custom] = (...given: unknown[]) => {
      const invocation = current(), promise = promised.apply(owner, given);
      return invocation ? invocation.native(name, promise) : promise;
    };
  }
  owner[method] = wrapped;
}

function wrap(owner: any, method: string, name: string): void {
  const real = owner?.[method];
  if (typeof real !== "function") return;
  owner[method] = function (this: unknown, ...given: unknown[]) {
    const invocation = current();
    const promise = real.apply(this, given);
    return invocation && promise instanceof Promise ? invocation.native(name, promise) : promise;
  };
}
