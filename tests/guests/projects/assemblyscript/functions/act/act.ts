/** The functions of the conformance suite: `act` takes steps, `add` is a sum; one module is both. */

import { Ctx, Json, Tool, define, httpError, response, statement } from "./flux";
export { flux_alloc, flux_handle } from "./flux";

const TYPES = `
    select
        9007199254740993::bigint as big, 1.50::numeric as exact, '2026-03-10T14:22:01.5Z'::timestamptz as at,
        '\\x00ff'::bytea as bytes, array[1, 2] as list, '{"a": [1, null]}'::jsonb as document,
        null::text as nothing, true as yes`;

const INSERT = "insert into users (email) values ($1) returning id, email";

function run(ctx: Ctx, input: Json): Json {
  if (!input.has("steps")) return Json.object().set("sum", input.get("a").integer() + input.get("b").integer());
  const steps = input.get("steps");
  const results = Json.list();
  for (let i = 0; i < steps.length; i++) {
    const step = steps.at(i);
    if (step.get("do").string() == "respond")
      return response(<i32>step.get("status").integer(), step.get("headers"), step.get("body"));
    results.push(take(ctx, step));
  }
  return Json.object().set("results", results);
}

function take(ctx: Ctx, step: Json): Json {
  const name = step.get("do").string();
  if (name == "insert") return ctx.db.one(INSERT, [step.get("email")]);
  if (name == "read") return ctx.db.all("select id, email from users where email = $1 order by id", [step.get("email")]);
  if (name == "count") return ctx.db.value("select count(*) from users");
  if (name == "rename")
    return Json.of(ctx.db.execute("update users set email = $1 where id = $2", [step.get("email"), step.get("id")]));
  if (name == "insert_caught") {
    const reply = ctx.attempt("db.one", statement(INSERT, [step.get("email")]));
    if (!reply.failed) return reply.value;
    const error = reply.error;
    return Json.object()
      .set("caught", error.get("type"))
      .set("code", error.get("code"))
      .set("constraint", error.get("constraint"));
  }
  if (name == "query") return ctx.db.query(step.get("query"));
  if (name == "types") return ctx.db.one(TYPES);
  if (name == "fail") throw new Error(step.get("message").string());
  if (name == "http_error") httpError(<i32>step.get("status").integer(), step.get("message").string());
  if (name == "fetch") {
    const answer = ctx.fetch(step.get("url").string());
    return Json.object().set("status", answer.get("status")).set("body", answer.get("body"));
  }
  if (name == "tool")
    return ctx.tool(
      step.get("name").string(),
      Json.object().set("url", step.get("url")),
      step.get("url").string(),
      (tool: Tool, url: string) => tool.fetch(url).get("body"),
    );
  if (name == "now") return Json.of(ctx.now());
  if (name == "uuid") return Json.of(ctx.uuid());
  if (name == "random") return Json.of(ctx.random());
  if (name == "own_clock") return Json.of(Date.now());
  if (name == "own_random") return Json.of(Math.random());
  if (name == "sleep") ctx.sleep(step.get("seconds").number());
  if (name == "invoke") return ctx.invoke(step.get("function").string(), step.get("input"));
  if (name == "invoke_caught") {
    const args = Json.object().set("function", step.get("function")).set("input", step.get("input"));
    const reply = ctx.attempt("invoke", args);
    if (!reply.failed) return reply.value;
    return Json.object().set("caught", reply.error.get("type")).set("message", reply.error.get("message"));
  }
  if (name == "push") return Json.of(ctx.queue.push(step.get("function").string(), step.get("input")));
  if (name == "publish") return ctx.events.publish(step.get("type").string(), step.get("data"));
  if (name == "log") ctx.log.warning(step.get("message").string(), step.get("fields"));
  if (name == "print") console.log(step.get("text").string());
  if (name == "secret") return Json.of(ctx.secrets.get(step.get("name").string()));
  if (name == "echo") return step.get("value");
  if (name == "repeat") return Json.of(step.get("text").string().repeat(<i32>step.get("times").integer()));
  if (name == "many") {
    let sum: i64 = 0;
    for (let i = step.get("count").integer(); i > 0; i--) sum += ctx.db.value("select 1").integer();
    return Json.of(sum);
  }
  if (name == "spin") while (true) {}
  if (name == "grow") {
    const kept: Uint8Array[] = [];
    while (true) kept.push(new Uint8Array(1 << 20));
  }
  if (name == "recurse") return Json.of(recurse(1));
  return Json.null();
}

function recurse(depth: i64): i64 {
  return recurse(depth + 1) + depth;
}

define(run);
