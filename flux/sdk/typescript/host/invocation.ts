// One invocation: what it has under way, and the inbox through which all of that comes to its end.
//
// Calls, timers and promises of the platform end in whatever order threads and networks have it. Each is delivered in a
// turn of the event loop of its own, when everything that the one before set off has run. So what the code does is a
// function of which one is delivered next, and that is recorded, where there was more than one to choose from.

import { AsyncLocalStorage } from "node:async_hooks";
import { CALL, type Channel, LOG } from "./frames.ts";
import { told } from "./errors.ts";
import { type Tape, Tapes } from "./tapes.ts";

const later = setImmediate;
const realSetTimeout = setTimeout;
const realClearTimeout = clearTimeout;
const realNow = performance.now.bind(performance);

const store = new AsyncLocalStorage<Invocation>();
const tools = new AsyncLocalStorage<number>();

/** The invocation that the running code belongs to; undefined at the top level of modules. */
export const current = (): Invocation | undefined => store.getStore();

/** Run something within an invocation. */
export const within = store.run.bind(store) as <R>(invocation: Invocation, run: () => R) => R;

/** The tool call that the running code is inside of, and how to run something inside of one. */
export const currentTool = (): number | undefined => tools.getStore();
export const withinTool = tools.run.bind(tools) as <R>(call: number, run: () => R) => R;

/** How an invocation is run: as it comes, as a recording says, or as its beginning says and then on. */
export interface Mode {
  kind: "live" | "replay" | "resume";
  tape: Tape | null;
  /** Deliveries that were made before it is resumed. */
  until: number;
  /** What chance is made of that was not recorded. */
  fallback: string;
}

export type Reply = { ok: unknown } | { error: Record<string, unknown> };

interface Pending {
  name: string;
  timer?: Timed;
}

interface Timed {
  run: () => void;
  due: number;
  every: number | null;
  real?: ReturnType<typeof setTimeout>;
}

/** What is begun inside a tool call is numbered apart: in a replay it is not begun at all. */
const INSIDE = 0x4000_0000;

/** Milliseconds that log lines may wait for a frame that leaves anyway. */
const LOG_PATIENCE = 1;

export class Invocation {
  readonly tapes: Tapes;
  /** Where the recording that is followed was left, in words; "" where it was not. */
  diverged = "";
  deliveries = 0;
  ended = false;

  #channel: Channel;
  #last = 0;
  #lastInside = 0;
  #pending = new Map<number, Pending>();
  #ready = new Map<number, () => void>();
  #replies = new Map<number, (reply: Reply) => void>();
  #scheduled = false;
  #following: boolean;
  #virtual: boolean;
  #resumed: boolean;
  #until: number;
  #clock = 0;
  #logs: string[] = [];
  #logged = 0;

  constructor(channel: Channel, mode: Mode) {
    this.#channel = channel;
    this.#following = mode.kind !== "live";
    this.#virtual = mode.kind !== "live";
    this.#resumed = mode.kind === "resume";
    this.#until = mode.until;
    this.tapes = new Tapes(mode.kind === "live" ? null : mode.tape ?? {}, mode.fallback, this.#resumed);
    if (this.#resumed && !this.#until) this.#goOn();
  }

  /** Ask the host; resolves to its reply. Rejects once the invocation has ended. */
  call(op: string, args: unknown, reserved = 0): Promise<Reply> {
    if (this.ended) return Promise.reject(new Error(`${op} was called after the function had ended`));
    const text = `{"op":${JSON.stringify(op)},"args":${JSON.stringify(args)}}`;
    const id = this.#begin(op, reserved);
    return new Promise((resolve, reject) => {
      this.#replies.set(id, resolve);
      this.flush();
      if (!this.#channel.send(CALL, id, text, this.deliveries, this.tapes.piece())) {
        this.#replies.delete(id);
        this.#arrive(id, () => reject(new RangeError(`the arguments of ${op} are too large`)));
      }
    });
  }

  /** A number for what is begun later. */
  reserve(): number {
    return currentTool() === undefined ? ++this.#last : INSIDE + ++this.#lastInside;
  }

  /** Wait for the place in the order of things that something had which is not done again. */
  passage(name: string, reserved: number): Promise<void> {
    const id = this.#begin(name, reserved);
    return new Promise((resolve) => this.#arrive(id, resolve));
  }

  /** The reply to a call came. */
  replied(id: number, text: string): void {
    const resolve = this.#replies.get(id);
    if (!resolve || this.ended) return;
    this.#replies.delete(id);
    this.#arrive(id, () => resolve(JSON.parse(text) as Reply));
  }

  /** A promise of the platform, whose end comes through the inbox. */
  native<T>(name: string, promise: Promise<T>): Promise<T> {
    if (this.ended) return promise;
    const id = this.#begin(name);
    return new Promise((resolve, reject) => {
      promise.then((value) => this.#arrive(id, () => resolve(value)), (error) => this.#arrive(id, () => reject(error)));
    });
  }

  /** A timer; `every` is the period of one that repeats. Milliseconds. */
  timer(name: string, run: () => void, delay: number, every: number | null): number {
    const id = this.#begin(name);
    const timer: Timed = { run: AsyncLocalStorage.bind(run), due: this.#clock + delay, every };
    this.#pending.get(id)!.timer = timer;
    if (this.#virtual) this.#wake();
    else this.#start(id, timer, delay);
    return id;
  }

  clear(id: number): void {
    const timer = this.#pending.get(id)?.timer;
    if (!timer) return;
    if (timer.real !== undefined) realClearTimeout(timer.real);
    this.#pending.delete(id);
    this.#ready.delete(id);
    if (this.#virtual) this.#wake();
  }

  /** A line of the log. It leaves at once, or soon: a loop that follows must not swallow it. */
  log(level: string, message: string, place: string, fields?: Record<string, unknown>): void {
    if (this.ended) return;
    this.#logs.push(JSON.stringify([level, message, place, fields]));
    if (this.#logs.length >= 100 || realNow() - this.#logged > LOG_PATIENCE) this.flush();
  }

  /** Log what nobody caught, at the place where it was thrown. */
  uncaught(what: string, error: unknown): void {
    const { type, message, frames = [] } = told(error);
    const [last] = frames.slice(-1);
    this.log("error", `${what}: ${type}: ${message}`, last ? `${last.file}:${last.line}` : "");
  }

  /** Send the lines of the log that have not left. */
  flush(): void {
    if (!this.#logs.length) return;
    this.#channel.send(LOG, 0, `[${this.#logs.join()}]`);
    this.#logs.length = 0;
    this.#logged = realNow();
  }

  /** Nothing of it runs any more; what is under way comes to no end. */
  end(): void {
    this.ended = true;
    for (const { timer } of this.#pending.values()) {
      if (timer?.real !== undefined) realClearTimeout(timer.real);
    }
    this.#pending.clear();
    this.#ready.clear();
    this.#replies.clear();
  }

  #begin(name: string, reserved = 0): number {
    const id = reserved || this.reserve();
    this.#pending.set(id, { name });
    return id;
  }

  #start(id: number, timer: Timed, delay: number): void {
    timer.real = realSetTimeout(() => this.#arrive(id, () => this.#fire(id, timer)), delay);
  }

  #arrive(id: number, run: () => void): void {
    if (this.ended || !this.#pending.has(id)) return;
    this.#ready.set(id, run);
    this.#wake();
  }

  #wake(): void {
    if (this.#scheduled || this.ended) return;
    this.#scheduled = true;
    later(this.#deliver);
  }

  #deliver = (): void => {
    this.#scheduled = false;
    const id = this.ended ? null : this.#next();
    if (id === null) return;
    const pending = this.#pending.get(id)!;
    const run = this.#ready.get(id) ?? (() => this.#fire(id, pending.timer!));
    this.#ready.delete(id);
    if (!pending.timer) this.#pending.delete(id);
    this.deliveries++;
    if (this.#following && this.#recorded() === id) this.tapes.advance();
    try {
      store.run(this, run);
    } catch (error) { // of a timer, where nobody could catch it
      this.uncaught("uncaught", error);
    }
    if (this.#resumed && this.#virtual && this.deliveries >= this.#until) this.#goOn();
    if (this.#ready.size || this.#virtual) this.#wake();
  };

  /** What is delivered now; null when it has not come to its end. */
  #next(): number | null {
    if (!this.#pending.size) return null;
    if (this.#pending.size === 1) {
      const [[id, { timer }]] = this.#pending;
      return this.#ready.has(id) || (this.#virtual && timer) ? id : null;
    }
    const id = this.#following ? this.#told() : null;
    const chosen = id ?? (this.#following ? null : this.#first());
    if (chosen !== null) this.tapes.ended(chosen, this.#pending.get(chosen)!.name);
    return chosen;
  }

  /** What the recording says is next. Where this run has no such thing, the recording is of other code. */
  #told(): number | null {
    const id = this.#recorded(), name = this.tapes.nextName();
    const pending = id === null ? undefined : this.#pending.get(id);
    if (id === null || pending?.name !== name) {
      this.#following = false;
      const here = [...this.#pending.values()].map(({ name }) => name).join(", ");
      const then = id === null ? "nothing more is recorded" : `${name} ended first then`;
      this.diverged ||= `after ${this.deliveries} steps ${then}, and it waits for ${here} now`;
      return null;
    }
    return this.#ready.has(id) || pending.timer ? id : null;
  }

  /** What ended next in the recording, but for what happened inside a tool call that is not made again. */
  #recorded(): number | null {
    let id = this.tapes.next();
    while (id !== null && id > INSIDE && !this.#pending.has(id)) {
      this.tapes.advance();
      id = this.tapes.next();
    }
    return id;
  }

  /** What came first; without a recording to follow, timers wait until all else has come. */
  #first(): number | null {
    for (const id of this.#ready.keys()) return id;
    if (!this.#virtual) return null;
    let first: number | null = null;
    for (const [id, { timer }] of this.#pending) {
      if (!timer) return null;
      if (first === null || timer.due < this.#pending.get(first)!.timer!.due) first = id;
    }
    return first;
  }

  #fire(id: number, timer: Timed): void {
    this.#clock = Math.max(this.#clock, timer.due);
    if (timer.every === null) {
      this.#pending.delete(id);
    } else {
      timer.due += timer.every;
      if (!this.#virtual) this.#start(id, timer, timer.every);
    }
    timer.run();
  }

  /** The beginning has been repeated: from here on it runs as it comes. */
  #goOn(): void {
    this.#following = this.#virtual = false;
    for (const [id, { timer }] of this.#pending) {
      if (timer) this.#start(id, timer, Math.max(0, timer.due - this.#clock));
    }
  }
}
