/**
 * Flux for functions in TypeScript.
 *
 * ```ts
 * import { defineFunction } from "flux";
 *
 * export default defineFunction({
 *   route: "POST /hello",
 *   input: { type: "object", required: ["name"], properties: { name: { type: "string" } } },
 *   handler: async (ctx, input) => {
 *     return await ctx.db.one("insert into greetings (name) values ($1) returning id", input.name);
 *   },
 * });
 * ```
 *
 * `fetch`, `console`, `Date`, timers, `Math.random` and `crypto` are recorded as they are; a replay gives back what they
 * said.
 */

/** What a function may ask of Flux. It lives as long as the request. */
export interface Ctx {
  db: Database;
  queue: { push(name: string, input?: object, options?: Push): Promise<number> };
  events: { publish(type: string, data?: unknown, options?: { subject?: string }): Promise<string> };
  log: Log;
  secrets: { get(name: string): Promise<string | null>; get(name: string, fallback: string): Promise<string> };
  /** What another function of the project answers, in this request and its transaction. */
  invoke<T = unknown>(name: string, input?: object): Promise<T>;
  /** A call out of the system, recorded by this name; a replay gives its answer back and does not make it. */
  tool<T>(name: string, args: unknown, call: () => Promise<T> | T): Promise<T>;
  /** The same as the global one, which is recorded too. */
  fetch: typeof fetch;
  now(): Date;
  uuid(): string;
  random(): number;
  /** Wait, in seconds. A replay does not. */
  sleep(seconds: number): Promise<void>;
  request(): Promise<FluxRequest>;
  /** A header of the request, also one that holds a credential, which no record has. */
  header(name: string): Promise<string | null>;
}

/**
 * The transaction of the request, begun at its first statement, so statements run one after another. Parameters are
 * `$1`, `$2` …. A bigint beyond 2^53 and a numeric come as text, times as ISO 8601, bytea as Uint8Array.
 */
export interface Database {
  /** Rows that were written. */
  execute(sql: string, ...parameters: unknown[]): Promise<number>;
  // deno-lint-ignore no-explicit-any
  one<Row = any>(sql: string, ...parameters: unknown[]): Promise<Row>;
  // deno-lint-ignore no-explicit-any
  all<Row = any>(sql: string, ...parameters: unknown[]): Promise<Row[]>;
  // deno-lint-ignore no-explicit-any
  value<Value = any>(sql: string, ...parameters: unknown[]): Promise<Value>;
  /** A query as data. */
  // deno-lint-ignore no-explicit-any
  query<Row = any>(query: object): Promise<Row>;
  /** Keep what was written so far, whatever comes. */
  commit(): Promise<void>;
}

/** How a job is to be run; durations are seconds or text such as "5m". */
export interface Push {
  delay?: number | string;
  runAt?: string | Date;
  key?: string;
  uniqueFor?: number | string;
  priority?: number;
  queue?: string;
  maxAttempts?: number;
  orderingKey?: string;
}

type Line = (message: string, fields?: Record<string, unknown>) => void;

export interface Log {
  debug: Line;
  info: Line;
  warning: Line;
  warn: Line;
  error: Line;
}

export interface FluxRequest {
  id: string;
  kind: string;
  method: string | null;
  path: string | null;
  query: string | null;
  headers: Record<string, string>;
}

/** What a schema is: JSON Schema as it is, or anything with `parse`, such as zod's. */
export type Schema = { readonly parse: (value: unknown) => unknown } | JSONSchema;

export interface JSONSchema {
  readonly [keyword: string]: unknown;
  readonly type?: string | readonly string[];
  readonly properties?: { readonly [name: string]: JSONSchema | boolean };
  readonly required?: readonly string[];
}

export interface Definition<Input extends Schema, Output extends Schema> {
  /** The name of the file, or of the export, unless given. */
  name?: string;
  /** Method and path, such as "GET /orders/{id}". */
  route?: `${string} /${string}`;
  /** Seconds, or text such as "30s". */
  timeout?: number | string;
  /** How often a request may run that fails for want of serialization. */
  attempts?: number;
  isolation?: "read committed" | "repeatable read" | "serializable";
  /** "service", "caller", or a role of db/policies.toml. */
  dbRole?: string;
  queue?: string;
  maxAttempts?: number;
  /** Five fields: "30 2 * * MON-FRI". */
  cron?: string;
  timezone?: string;
  missed?: "once" | "skip";
  /** Types of events that run it, such as "order.*". */
  on?: string | readonly string[];
  /** Writes that run it, of `table`: "insert,update". */
  after?: string;
  table?: string;
  /** A condition in SQL over new and old. */
  when?: string;
  input?: Input;
  output?: Output;
  handler: (ctx: Ctx, input: Infer<Input>) => Promise<Returned<Output>> | Returned<Output>;
}

const DEFINITION = Symbol.for("flux.function");

/** A function of Flux's. */
export interface FluxFunction {
  readonly [DEFINITION]: object;
}

/** A function that Flux runs, to be exported. */
export function defineFunction<const Input extends Schema = JSONSchema, const Output extends Schema = JSONSchema>(
  definition: Definition<Input, Output>,
): FluxFunction {
  const { maxAttempts: max_attempts, dbRole: db_role, ...rest } = definition;
  return Object.freeze({ [DEFINITION]: { ...rest, max_attempts, db_role, place: new Error().stack ?? "" } });
}

/** The value that a schema lets through. */
export type Infer<S> = S extends { readonly parse: (value: unknown) => infer Value } ? Value : OfSchema<S>;

type Returned<S> = JSONSchema extends S ? unknown : Infer<S> | Response;

// deno-lint-ignore no-explicit-any
type OfSchema<S> = JSONSchema extends S ? any
  : S extends { readonly const: infer Value } ? Value
  : S extends { readonly enum: readonly (infer Value)[] } ? Value
  : S extends { readonly anyOf: readonly (infer Any)[] } ? OfSchema<Any>
  : S extends { readonly oneOf: readonly (infer Any)[] } ? OfSchema<Any>
  : S extends { readonly type: readonly (infer Type)[] } ? OfType<Type, S>
  : S extends { readonly type: infer Type } ? OfType<Type, S>
  : unknown;

type OfType<Type, S> = Type extends "string" ? string
  : Type extends "integer" | "number" ? number
  : Type extends "boolean" ? boolean
  : Type extends "null" ? null
  : Type extends "array" ? (S extends { readonly items: infer Item } ? OfSchema<Item>[] : unknown[])
  : Type extends "object" ? OfObject<S>
  : unknown;

type OfObject<S> = S extends { readonly properties: infer Members } ? Shown<
    & { [Name in keyof Members as Name extends Present<S> ? Name : never]: OfSchema<Members[Name]> }
    & { [Name in keyof Members as Name extends Present<S> ? never : Name]?: OfSchema<Members[Name]> }
  >
  : Record<string, unknown>;

/** Members that are there: required ones, and those with a default. */
type Present<S> =
  | (S extends { readonly required: readonly (infer Name)[] } ? Name : never)
  | (S extends { readonly properties: infer Members }
    ? { [Name in keyof Members]: Members[Name] extends { readonly default: unknown } ? Name : never }[keyof Members]
    : never);

type Shown<T> = { [Name in keyof T]: T[Name] };

const ERROR = Symbol.for("flux.error");

/** An error of Flux's; `name` is its type, such as "UniqueViolation". */
export class FluxError extends Error {
  code?: string;
  hint?: string;
  detail?: string;
  table?: string;
  column?: string;
  constraint?: string;

  constructor(message?: string) {
    super(message);
    this.name = new.target.name;
    Object.defineProperty(this, ERROR, { value: true });
  }
}

/** Ends the request with an HTTP status; further members go into the problem that the caller gets. */
export class HTTPError extends FluxError {
  members: Record<string, unknown>;

  constructor(readonly status: number, message?: string, members: Record<string, unknown> = {}) {
    super(message);
    this.members = members;
  }
}

/** The arguments of an invoked function do not fit. */
export class InvalidInput extends HTTPError {
  problems: { field: string; message: string }[] = [];
}

/** Has the job tried again, after so many seconds. */
export class Retry extends FluxError {
  constructor(readonly after?: number | string, message?: string) {
    super(message);
  }
}

/** Ends the job for good. */
export class Discard extends FluxError {}

export class UniqueViolation extends FluxError {}
export class ForeignKeyViolation extends FluxError {}
export class NotNullViolation extends FluxError {}
export class CheckViolation extends FluxError {}
export class SerializationFailure extends FluxError {}
export class Timeout extends FluxError {}
export class NotFound extends FluxError {}
export class FetchFailed extends FluxError {}
export class FetchTimeout extends FetchFailed {}
export class ToolNotRecorded extends FluxError {}

// the host throws errors of these classes
Object.assign(((globalThis as Record<symbol, unknown>)[Symbol.for("flux.errors")] ??= {}) as object, {
  FluxError,
  HTTPError,
  InvalidInput,
  Retry,
  Discard,
  UniqueViolation,
  ForeignKeyViolation,
  NotNullViolation,
  CheckViolation,
  SerializationFailure,
  Timeout,
  NotFound,
  FetchFailed,
  FetchTimeout,
  ToolNotRecorded,
});
