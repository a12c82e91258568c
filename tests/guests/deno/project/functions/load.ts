import { defineFunction, HTTPError, UniqueViolation } from "flux";

const kept: unknown[] = [];

/** What one request does to the process that others are in. */
export const spin = defineFunction({
  timeout: "2s",
  handler: async (ctx) => {
    console.log("about to spin");
    await ctx.db.execute("insert into marks (text) values ('spin')");
    for (;;);
  },
});

export const hog = defineFunction({
  timeout: "20s",
  handler: async (ctx) => {
    await ctx.db.execute("insert into marks (text) values ('hog')");
    for (;;) {
      kept.push(new Uint8Array(4 * 1024 * 1024).fill(1));
      await new Promise((done) => setTimeout(done, 1));
    }
  },
});

/** Goes its way in many small steps, with all that may be told twice. */
export const steady = defineFunction({
  timeout: "20s",
  input: { properties: { who: { type: "string" }, steps: { type: "integer" } }, required: ["who", "steps"] },
  handler: async (ctx, { who: name, steps }) => {
    const seen: unknown[] = [Date.now(), Math.random(), crypto.randomUUID()];
    for (let step = 0; step < steps; step++) {
      console.log(`${name} ${step}`);
      await ctx.db.execute("insert into marks (text) values ($1)", `${name} ${step} ${Math.random()}`);
      seen.push(Date.now(), await ctx.db.value<string>("select count(*) from marks where text like $1", `${name} %`));
      await ctx.sleep(0.05);
    }
    return seen;
  },
});

/** Computes for so many milliseconds. */
export const busy = defineFunction({
  timeout: "20s",
  input: { properties: { ms: { type: "integer" } }, required: ["ms"] },
  handler: (_, { ms }) => {
    const end = performance.now() + ms;
    while (performance.now() < end);
    return "done";
  },
});

export const pid = defineFunction({ handler: () => Deno.pid });

export const wait = defineFunction({
  timeout: "1s",
  handler: async (ctx) => {
    await ctx.db.execute("insert into marks (text) values ('wait')");
    await new Promise(() => {});
  },
});

export const floating = defineFunction({
  handler: async (ctx) => {
    Promise.reject(new RangeError("nobody listens"));
    await ctx.sleep(0.01);
    setTimeout(() => console.log("too late"), 1);
    ctx.db.execute("insert into marks (text) values ('floating')");
    return "gone";
  },
});

class Refused extends Error {}

/** Ways to fail. */
export const fail = defineFunction({
  input: { properties: { how: { type: "string" } }, required: ["how"] },
  handler: async (ctx, { how }) => {
    if (how === "own") throw new Refused("no entry");
    if (how === "statement") await ctx.db.one("select nothing from nowhere");
    if (how === "caught") {
      try {
        await ctx.db.execute("insert into marks (id, text) values (1, 'a'), (1, 'b')");
      } catch (error) {
        if (error instanceof UniqueViolation) throw new HTTPError(409, "taken", { constraint: error.constraint });
      }
    }
    if (how === "cause") throw new Error("outer", { cause: new TypeError("inner") });
    if (how === "text") throw "only text";
    if (how === "object") throw { code: 7 };
    if (how === "unreadable") {
      throw Object.defineProperty(new Error("x"), "stack", {
        get: () => {
          throw new Error("not even its stack");
        },
      });
    }
    if (how === "circular") {
      const value: { self?: unknown } = {};
      value.self = value;
      return value;
    }
    if (how === "timer") {
      await new Promise<void>((done) =>
        setTimeout(() => {
          setTimeout(done, 5);
          throw new Error("from a timer");
        }, 1)
      );
    }
    return null;
  },
});

/** Says what its output is, and may lie. */
export const output = defineFunction({
  input: { properties: { lie: { type: "boolean", default: false } } },
  output: { type: "object", required: ["sum"], properties: { sum: { type: "integer" } } },
  // deno-lint-ignore no-explicit-any
  handler: (_, { lie }) => (lie ? { sum: "much" } as any : { sum: 1 }),
});
