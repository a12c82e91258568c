import { type Ctx, defineFunction, FluxError, HTTPError, UniqueViolation } from "flux";

const TYPES = `
  select
    9007199254740993::bigint as big, 1.50::numeric as exact, '2026-03-10T14:22:01.5Z'::timestamptz as at,
    '\\x00ff'::bytea as bytes, array[1, 2] as list, '{"a": [1, null]}'::jsonb as document,
    null::text as nothing, true as yes
`;

// deno-lint-ignore no-explicit-any
type Step = any;

/** Take steps one after another; the result of each. */
export default defineFunction({
  route: "POST /act",
  timeout: "2s",
  input: {
    type: "object",
    required: ["steps"],
    properties: { steps: { type: "array", items: { type: "object", required: ["do"], additionalProperties: true } } },
  },
  handler: async (ctx, { steps }: { steps: Step[] }) => {
    const results = [];
    for (const step of steps) {
      if (step.do === "respond") return Response.json(step.body, { status: step.status, headers: step.headers });
      if (!(step.do in STEPS)) throw new Error(`there is no step ${step.do}`);
      results.push(await STEPS[step.do](ctx, step) ?? null);
    }
    return { results };
  },
});

const insert = (ctx: Ctx, email: string) =>
  ctx.db.one("insert into users (email) values ($1) returning id, email", email);

function recurse(depth: number): number {
  return recurse(depth + 1) + 1;
}

const STEPS: Record<string, (ctx: Ctx, step: Step) => unknown> = {
  insert: (ctx, { email }) => insert(ctx, email),
  read: (ctx, { email }) => ctx.db.all("select id, email from users where email = $1 order by id", email),
  count: (ctx) => ctx.db.value("select count(*) from users"),
  rename: (ctx, { id, email }) => ctx.db.execute("update users set email = $2 where id = $1", id, email),
  insert_caught: async (ctx, { email }) => {
    try {
      return await insert(ctx, email);
    } catch (error) {
      if (!(error instanceof UniqueViolation)) throw error;
      return { caught: error.name, code: error.code, constraint: error.constraint };
    }
  },
  query: (ctx, { query }) => ctx.db.query(query),
  types: (ctx) => ctx.db.one(TYPES),
  fail: (_, { message }) => {
    throw new TypeError(message);
  },
  http_error: (_, { status, message }) => {
    throw new HTTPError(status, message);
  },
  fetch: async (_, { url }) => {
    const answer = await fetch(url);
    return { status: answer.status, body: await answer.text() };
  },
  tool: (ctx, { name, url }) => ctx.tool(name, { url }, async () => await (await ctx.fetch(url)).text()),
  now: (ctx) => ctx.now(),
  uuid: (ctx) => ctx.uuid(),
  random: (ctx) => ctx.random(),
  own_clock: () => Date.now(),
  own_random: () => Math.random(),
  sleep: (ctx, { seconds }) => ctx.sleep(seconds),
  invoke: (ctx, { function: name, input }) => ctx.invoke(name, input),
  invoke_caught: async (ctx, { function: name, input }) => {
    try {
      return await ctx.invoke(name, input);
    } catch (error) {
      return { caught: (error as FluxError).name, message: (error as FluxError).message };
    }
  },
  push: (ctx, { function: name, input }) => ctx.queue.push(name, input),
  publish: (ctx, { type, data }) => ctx.events.publish(type, data),
  log: (ctx, { level, message, fields }) => ctx.log[level as "warning"](message, fields),
  print: (_, { text }) => console.log(text),
  secret: (ctx, { name }) => ctx.secrets.get(name),
  echo: (_, { value }) => value,
  repeat: (_, { text, times }) => text.repeat(times),
  many: async (ctx, { count }) => {
    let sum = 0;
    for (let number = 0; number < count; number++) sum += await ctx.db.value<number>("select 1");
    return sum;
  },
  spin: () => {
    for (;;);
  },
  grow: () => {
    const kept = [];
    for (;;) kept.push(new Array(1024).fill(Math.random()));
  },
  recurse: () => recurse(0),
};
