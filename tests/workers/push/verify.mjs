// Verifies webhooks with the reference library of Standard Webhooks.
// stdin: [{body, headers, secret}]; stdout: for each, the message, or null if it is refused.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { Webhook } = createRequire(import.meta.url)(process.argv[2]);
const results = JSON.parse(readFileSync(0, "utf8")).map(({ body, headers, secret }) => {
  try {
    return new Webhook(secret).verify(body, headers);
  } catch {
    return null;
  }
});
process.stdout.write(JSON.stringify(results));
