import { defineFunction } from "flux";

/** A sum. */
export default defineFunction({
  route: "GET /add/{a}",
  input: {
    type: "object",
    required: ["a"],
    properties: { a: { type: "integer" }, b: { type: "integer", default: 1 } },
  },
  handler: (_, { a, b }) => ({ sum: a + b }),
});
