"""Functions in TypeScript: each worker process has processes of Deno of its own, which are its children."""
