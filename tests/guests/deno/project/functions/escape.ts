import { defineFunction } from "flux";

// deno-lint-ignore no-explicit-any
const scope = globalThis as any;

const ATTEMPTS: Record<string, () => unknown> = {
  "a file outside": () => Deno.readTextFileSync("/etc/passwd"),
  "a file outside, by Node": async () => (await import("node:fs")).readFileSync("/etc/passwd"),
  "the project's settings": () => Deno.readTextFileSync("flux.toml"),
  "a file of secrets": () => Deno.readTextFileSync(".env.production"),
  "a file of secrets, by Node": async () => (await import("node:fs")).readFileSync(".env.production"),
  "a file of secrets, by import": () => import("../.env.production", { with: { type: "text" } } as ImportCallOptions),
  "what Flux keeps": () => [...Deno.readDirSync(".flux")],
  "a file of the project's, written": () => Deno.writeTextFileSync("functions/escape.ts", ""),
  "the process's own memory": () => Deno.readTextFileSync("/proc/self/environ"),
  "a program": () => new Deno.Command("true").outputSync(),
  "a program, by Node": async () => (await import("node:child_process")).execSync("true"),
  "a listener": () => Deno.listen({ port: 0 }),
  "a connection": () => Deno.connect({ port: 80, hostname: "127.0.0.1" }),
  "a connection, by Node": async () => {
    const net = await import("node:net");
    await new Promise((done, failed) => net.connect(80, "127.0.0.1").on("connect", done).on("error", failed));
  },
  "another socket of the worker's": () => Deno.connect({ transport: "unix", path: scope.Deno.args[0] }),
  "a name": () => Deno.resolveDns("example.com", "A"),
  "a web socket": () => new WebSocket("ws://127.0.0.1:1/"),
  "a library": () => Deno.dlopen("libc.so.6", {}),
  "the machine's name": () => Deno.hostname(),
  "a module from afar": () => import(["https:", "", "example.com", "x.ts"].join("/")),
  "a file by fetch": () => fetch("file:///etc/passwd"),
  "another process": () => Deno.kill(1, "SIGTERM"),
  "its own end": () => Deno.exit(0),
  "its own end, by Node": () => scope.process.exit(0),
  "a worker": () => new scope.Worker("data:text/javascript,for(;;);", { type: "module" }),
  "a worker, by Node": async () => new (await import("node:worker_threads")).Worker("for(;;);", { eval: true }),
  "what is kept": () => scope.localStorage.setItem("a", "b"),
  "the core": () => scope.Deno[scope.Deno.internal].core.ops,
  "more rights": async () => {
    if ((await Deno.permissions.request({ name: "env" })).state !== "granted") throw new Error("denied");
  },
};

/** What a function tries that it may not; the error it gets, or null where it gets through. */
export default defineFunction({
  handler: async () => {
    const found: Record<string, string | null> = {};
    for (const [name, attempt] of Object.entries(ATTEMPTS)) {
      try {
        await attempt();
        found[name] = null;
      } catch (error) {
        found[name] = String(error);
      }
    }
    return { found, secret: scope.process.env.DENO_TEST_SECRET ?? null };
  },
});
