// Frames between a worker of Flux and this isolate: a little-endian header, then JSON.
//
// To the isolate: u32 length of the rest, u8 type, u32 call. From it: the same, then u32 deliveries and u32 length of
// the tape, which lies before the rest. flux/runtime/guests/deno/frames.py is the other end.

export const INVOKE = 1, REPLY = 2, LOAD = 3, PING = 4;
export const CALL = 16, LOG = 17, RESULT = 18, ERROR = 19, LOADED = 20, PONG = 21;

/** Bytes of the largest frame that is sent. */
export const MOST_BYTES = 32 * 1024 * 1024;

const TO_HEADER = 9, FROM_HEADER = 17;
const SMALL = 64 * 1024;

export interface Frame {
  type: number;
  call: number;
  text: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One connection; it carries one invocation at a time. */
export class Channel {
  #conn: Deno.Conn;
  #chunk = new Uint8Array(SMALL);
  #held = new Uint8Array(0);
  #queue: Uint8Array[] = [];
  #writing = false;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** The next frame; null when the other side has gone. */
  async read(): Promise<Frame | null> {
    for (;;) {
      const frame = this.#take();
      if (frame) return frame;
      const read = await this.#conn.read(this.#chunk);
      if (read === null) return null;
      const held = new Uint8Array(this.#held.length + read);
      held.set(this.#held);
      held.set(this.#chunk.subarray(0, read), this.#held.length);
      this.#held = held;
      const wanted = held.length >= 4 ? 4 + word(held, 0) : 0;
      if (wanted > this.#chunk.length) this.#chunk = new Uint8Array(Math.min(wanted, MOST_BYTES));
    }
  }

  /** Send a frame; its text is JSON. False when it is too large to be sent. */
  send(type: number, call: number, text: string, deliveries = 0, tape = ""): boolean {
    const bytes = framed(type, call, text, deliveries, tape);
    if (bytes.length > MOST_BYTES) return false;
    this.#queue.push(bytes);
    if (!this.#writing) this.#write();
    return true;
  }

  close(): void {
    try {
      this.#conn.close();
    } catch { /* it has gone already */ }
  }

  #take(): Frame | null {
    const held = this.#held;
    if (held.length < TO_HEADER) return null;
    const end = 4 + word(held, 0);
    if (held.length < end) return null;
    const frame = { type: held[4], call: word(held, 5), text: decoder.decode(held.subarray(TO_HEADER, end)) };
    this.#held = held.length === end ? held.subarray(end) : held.slice(end);
    return frame;
  }

  /** Small frames have left when this comes back, so that a loop after a log line does not swallow it. */
  async #write(): Promise<void> {
    this.#writing = true;
    try {
      for (let bytes = this.#queue.shift(); bytes; bytes = this.#queue.shift()) {
        for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
      }
    } catch { // the other side has gone: reading says so
      this.#queue.length = 0;
    }
    this.#writing = false;
  }
}

function framed(type: number, call: number, text: string, deliveries: number, tape: string): Uint8Array {
  if (text.length + tape.length > SMALL / 3) {
    const body = encoder.encode(text), told = encoder.encode(tape);
    const bytes = new Uint8Array(FROM_HEADER + told.length + body.length);
    bytes.set(told, FROM_HEADER);
    bytes.set(body, FROM_HEADER + told.length);
    return headed(bytes, type, call, deliveries, told.length);
  }
  const bytes = new Uint8Array(FROM_HEADER + 3 * (text.length + tape.length));
  const told = tape ? encoder.encodeInto(tape, bytes.subarray(FROM_HEADER)).written : 0;
  const body = encoder.encodeInto(text, bytes.subarray(FROM_HEADER + told)).written;
  return headed(bytes.subarray(0, FROM_HEADER + told + body), type, call, deliveries, told);
}

function headed(bytes: Uint8Array, type: number, call: number, deliveries: number, tape: number): Uint8Array {
  put(bytes, 0, bytes.length - 4);
  bytes[4] = type;
  put(bytes, 5, call);
  put(bytes, 9, deliveries);
  put(bytes, 13, tape);
  return bytes;
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24) >>> 0;
}

function put(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
