// What one invocation was told of clock, chance and the order in which things came to an end, so that a replay can tell
// it the same. A tape leaves in pieces, each with the next frame; lists of pieces are joined.

export interface Tape {
  /** Date: [milliseconds, count, …]. */
  t?: number[];
  /** performance.now: [milliseconds since the invocation began, count, …]. */
  p?: number[];
  /** The seed of Math.random, in hex. */
  s?: string;
  /** Bytes of crypto, in hex; "" where they were too many to be kept. */
  c?: string[];
  /** Which of several things under way ended next: [id, count of successive ids, …]. */
  o?: number[];
  /** What these were: [name, count, …]. */
  n?: (string | number)[];
  /** Set where some of it was left out. */
  cut?: boolean;
}

/** Entries kept of one tape: a loop that waits for a time to come must not fill anybody's memory. */
const MOST_ENTRIES = 10_000;
const MOST_CRYPTO = 256;

const realNow = Date.now;
const realPerformance = performance.now.bind(performance);
const realBytes = crypto.getRandomValues.bind(crypto);

/** The tapes of one invocation: written as it goes on, read first where there is a recording. */
export class Tapes {
  #recorded: Tape | null;
  #piece: Tape = {};
  #entries = 0;
  #times: Runs | null;
  #moments: Runs | null;
  #crypto = 0;
  #order: number[];
  #orderAt = 0;
  #orderRun = 0;
  #names: (string | number)[];
  #nameAt = 0;
  #nameRun = 0;
  #began = realPerformance();
  #chance: (() => number) | null = null;
  #origin: number | null = null;
  #fallback: string;
  #live: boolean;

  /** `live` says that what comes after the recording is real, as it is where an invocation is resumed. */
  constructor(recorded: Tape | null, fallback: string, live: boolean) {
    this.#recorded = recorded;
    this.#fallback = fallback;
    this.#times = recorded && new Runs(recorded.t ?? [], live);
    this.#moments = recorded && new Runs(recorded.p ?? [], live);
    this.#order = recorded?.o ?? [];
    this.#names = recorded?.n ?? [];
    this.#live = live;
  }

  /** Milliseconds since the epoch. */
  now(): number {
    const now = Math.trunc(this.#times?.next(realNow) ?? realNow());
    this.#note("t", now);
    return now;
  }

  /** Milliseconds since the invocation began. */
  moment(): number {
    const real = () => realPerformance() - this.#began;
    const moment = Math.round((this.#moments?.next(real) ?? real()) * 1000) / 1000;
    this.#note("p", moment);
    return moment;
  }

  /** What `moment` counts from, in milliseconds since the epoch. */
  origin(): number {
    return this.#origin ??= this.now() - this.moment();
  }

  random(): number {
    this.#chance ??= generator(this.#seed());
    return this.#chance();
  }

  /** Fill with bytes of chance. They are real, and never made of a seed that is recorded. */
  bytes(into: Uint8Array): void {
    const recorded = this.#recorded?.c?.[this.#crypto++];
    if (recorded?.length === 2 * into.length) {
      into.set(unhex(recorded));
    } else if (this.#recorded && !this.#live) {
      const chance = generator(seedOf(`${this.#fallback} ${this.#crypto}`));
      for (let at = 0; at < into.length; at++) into[at] = chance() * 256;
    } else {
      for (let at = 0; at < into.length; at += 65_536) realBytes(into.subarray(at, at + 65_536));
    }
    if (this.#entries++ < MOST_ENTRIES) (this.#piece.c ??= []).push(into.length <= MOST_CRYPTO ? hex(into) : "");
    else this.#piece.cut = true;
  }

  /** What ended next among several, by the recording; null where it has no more to say. */
  next(): number | null {
    return this.#orderAt < this.#order.length ? this.#order[this.#orderAt] + this.#orderRun : null;
  }

  /** What that was. */
  nextName(): string {
    return String(this.#names[this.#nameAt] ?? "");
  }

  /** Go on to what ended after `next`. */
  advance(): void {
    if (++this.#orderRun >= this.#order[this.#orderAt + 1]) {
      this.#orderAt += 2;
      this.#orderRun = 0;
    }
    if (++this.#nameRun >= Number(this.#names[this.#nameAt + 1])) {
      this.#nameAt += 2;
      this.#nameRun = 0;
    }
  }

  /** Note what ended next among several. */
  ended(id: number, name: string): void {
    const order = this.#piece.o ??= [], names = this.#piece.n ??= [];
    const follows = order.length > 0 && order[order.length - 2] + order[order.length - 1] === id;
    const same = names[names.length - 2] === name;
    if (!(follows && same) && this.#entries++ >= MOST_ENTRIES) {
      this.#piece.cut = true;
      return;
    }
    if (follows) order[order.length - 1]++;
    else order.push(id, 1);
    if (same) names[names.length - 1] = Number(names[names.length - 1]) + 1;
    else names.push(name, 1);
  }

  /** What has come to the tapes since the last time, as JSON; "" where there is nothing. */
  piece(): string {
    for (const _ in this.#piece) {
      const text = JSON.stringify(this.#piece);
      this.#piece = {};
      return text;
    }
    return "";
  }

  #seed(): string {
    const seed = this.#recorded?.s ??
      (this.#recorded && !this.#live ? seedOf(this.#fallback) : hex(realBytes(new Uint8Array(16))));
    this.#piece.s = seed;
    return seed;
  }

  #note(name: "t" | "p", value: number): void {
    const runs = this.#piece[name] ??= [];
    if (runs.length && runs[runs.length - 2] === value) runs[runs.length - 1]++;
    else if (this.#entries++ < MOST_ENTRIES) runs.push(value, 1);
    else this.#piece.cut = true;
  }
}

/** Recorded values, [value, count, …]; beyond them time goes on from the last one, or is real again. */
class Runs {
  #runs: number[];
  #at = 0;
  #used = 0;
  #live: boolean;
  #last: number | null = null;
  #lastRead = 0;

  constructor(runs: number[], live: boolean) {
    this.#runs = runs;
    this.#live = live;
  }

  next(real: () => number): number {
    if (this.#at < this.#runs.length) {
      this.#last = this.#runs[this.#at];
      this.#lastRead = real();
      if (++this.#used >= this.#runs[this.#at + 1]) {
        this.#at += 2;
        this.#used = 0;
      }
      return this.#last;
    }
    return this.#live || this.#last === null ? real() : this.#last + real() - this.#lastRead;
  }
}

/** sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, which the seed is. */
function generator(seed: string): () => number {
  let [a, b, c, d] = [0, 8, 16, 24].map((at) => parseInt(seed.slice(at, at + 8), 16) | 0);
  const next = () => {
    const sum = (a + b | 0) + d | 0;
    d = d + 1 | 0;
    a = b ^ b >>> 9;
    b = c + (c << 3) | 0;
    c = (c << 21 | c >>> 11) + sum | 0;
    return sum >>> 0;
  };
  for (let warm = 0; warm < 12; warm++) next();
  return () => ((next() >>> 5) * 67_108_864 + (next() >>> 6)) / 9_007_199_254_740_992;
}

/** 32 hex digits made of a text (FNV-1a, four times over). */
function seedOf(text: string): string {
  let seed = "";
  for (let part = 0; part < 4; part++) {
    let hash = 2_166_136_261 ^ part;
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 16_777_619);
    seed += (hash >>> 0).toString(16).padStart(8, "0");
  }
  return seed;
}

const DIGITS = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, "0"));

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += DIGITS[byte];
  return text;
}

function unhex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  for (let at = 0; at < bytes.length; at++) bytes[at] = parseInt(text.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}
