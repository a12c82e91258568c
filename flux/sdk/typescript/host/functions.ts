// The functions of this isolate: modules are imported once, and what they export by defineFunction is kept by name.

import { contextOf } from "./context.ts";
import { pathOf, raised } from "./errors.ts";
import type { Invocation } from "./invocation.ts";

const DEFINITION = Symbol.for("flux.function");

const functions = new Map<string, Known>();

interface Known {
  handler: (ctx: unknown, input: unknown) => unknown;
  input?: any;
  output?: any;
}

/** Import a module; what it defines, as the host is told it. */
export async function load(file: string): Promise<unknown> {
  const exports = await import(`file://${file.split("/").map(encodeURIComponent).join("/")}`);
  const found = new Map<unknown, unknown>();
  for (const [name, value] of Object.entries(exports) as [string, any][]) {
    if (!value || typeof value !== "object" || !value[DEFINITION] || found.has(value)) continue;
    const stem = file.slice(file.lastIndexOf("/") + 1).replace(/\.\w+$/, "");
    const { handler, input, output, place, ...options } = value[DEFINITION];
    const key = `${file}#${name}`;
    functions.set(key, { handler, input, output });
    const given = { ...options, name: options.name ?? (name === "default" ? stem : name) };
    found.set(value, {
      key,
      options: given,
      input: schemaOf(input),
      output: parses(output) ? null : output ?? null,
      place: at(place),
    });
  }
  return { functions: [...found.values()] };
}

/** Run a function: its input is validated, but for what only its own schema knows. */
export async function run(key: string, invocation: Invocation, input: unknown): Promise<unknown> {
  const known = functions.get(key);
  if (!known) throw new ReferenceError(`there is no function ${key}`);
  const given = parses(known.input) ? parsed(known.input, input) : input;
  const result = await known.handler(contextOf(invocation), given);
  return parses(known.output) && !(result instanceof Response) ? known.output.parse(result) : result;
}

const parses = (schema: any): boolean => typeof schema?.parse === "function";

/** The input as a schema of zod's makes it; what it refuses is the caller's fault. */
function parsed(schema: any, input: unknown): unknown {
  const result = schema.safeParse?.(input);
  if (!result) return schema.parse(input);
  if (result.success) return result.data;
  const errors = result.error.issues.map((issue: any) => ({
    field: issue.path.join(".") || "body",
    message: issue.message,
  }));
  const message = `the input does not fit: ${errors.map((error: any) => error.field).join(", ")}`;
  throw raised({ type: "HTTPError", status: 422, message, members: { errors } });
}

function schemaOf(schema: any): unknown {
  if (!parses(schema)) return schema ?? null;
  if (typeof schema.toJSONSchema === "function") return schema.toJSONSchema({ io: "input", unrepresentable: "any" });
  const standard = schema["~standard"]?.jsonSchema;
  if (standard) return standard.input({ target: "draft-2020-12" });
  throw new TypeError("the schema of the input cannot be told as JSON Schema: zod can from version 4.2 on");
}

/** file:line:column of a definition, from the stack of defineFunction. */
function at(stack: string): { file: string; line: number } | null {
  for (const line of stack.split("\n").slice(2)) {
    const found = /file:\/\/(.+?):(\d+):\d+\)?$/.exec(line);
    if (found) return { file: pathOf(found[1]), line: Number(found[2]) };
  }
  return null;
}
