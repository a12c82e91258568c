// Values between JavaScript and JSON: bytes, big integers and whole responses have no JSON of their own.

/** Make JSON.stringify write big integers, as text, and bytes, as { $bytes }. */
export function recordJSON(): void {
  const write = (prototype: object, toJSON: () => unknown) =>
    Object.defineProperty(prototype, "toJSON", { value: toJSON, writable: true, configurable: true });
  write(BigInt.prototype, function (this: bigint) {
    return this.toString();
  });
  for (const { prototype } of [Uint8Array, (globalThis as any).Buffer]) {
    write(prototype, function (this: Uint8Array) {
      return told(this);
    });
  }
  write(ArrayBuffer.prototype, function (this: ArrayBuffer) {
    return told(new Uint8Array(this));
  });
}

/** A value of the host's, with its { $bytes } as bytes. */
export function read(value: unknown): unknown {
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) if (typeof value[at] === "object") value[at] = read(value[at]);
  } else if (value !== null && typeof value === "object") {
    const object = value as Record<string, unknown>;
    for (const name in object) {
      const member = object[name];
      if (name === "$bytes" && typeof member === "string") return bytes(member);
      if (typeof member === "object") object[name] = read(member);
    }
  }
  return value;
}

/** What a function returned, as JSON. */
export async function written(value: unknown): Promise<string> {
  if (value instanceof Response) value = await response(value);
  const text = JSON.stringify(value);
  return text === undefined ? "null" : text;
}

async function response(value: Response): Promise<unknown> {
  const headers = [...value.headers];
  const type = value.headers.get("content-type");
  const raw = value.body === null ? null : new Uint8Array(await value.arrayBuffer());
  const body = raw === null ? null : text(raw) ?? told(raw);
  if (type === "application/json" && typeof body === "string") {
    try {
      return {
        $response: {
          status: value.status,
          headers: headers.filter(([name]) => name !== "content-type"),
          body: JSON.parse(body),
        },
      };
    } catch { /* it says so and is none: as it is */ }
  }
  return { $response: { status: value.status, headers, body } };
}

function text(raw: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(raw);
  } catch {
    return null;
  }
}

function bytes(base64: string): Uint8Array {
  return (Uint8Array as any).fromBase64(base64);
}

function told(value: Uint8Array): unknown {
  return { $bytes: (Uint8Array.prototype as any).toBase64.call(value) };
}
