// Verifies recorded deliveries with the libraries that receivers use.
//
// Reads JSON lines {"key": "whsec_..." or "whpk_...", "headers": {...}, "body": base64} and writes one line each:
// {"standardwebhooks": null or why not, "svix": ..., "ed25519": ...}, with the members that apply to the key. The
// libraries know no ed25519; that is verified by Node itself, by the letter of the standard.
"use strict";
const crypto = require("node:crypto");
const readline = require("node:readline");
const standardwebhooks = require("standardwebhooks");
const svix = require("svix");

const DER_ED25519 = Buffer.from("302a300506032b6570032100", "hex"); // before the key in SubjectPublicKeyInfo
const TOLERANCE = 300; // seconds

function refusal(verify) {
  try {
    verify();
    return null;
  } catch (error) {
    return error.message || String(error);
  }
}

function verifyEd25519(key, headers, body) {
  const der = Buffer.concat([DER_ED25519, Buffer.from(key.slice("whpk_".length), "base64")]);
  const publicKey = crypto.createPublicKey({ key: der, format: "der", type: "spki" });
  const timestamp = Number(headers["webhook-timestamp"]);
  if (!(Math.abs(Date.now() / 1000 - timestamp) <= TOLERANCE)) throw new Error("timestamp too old or too new");
  const content = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${timestamp}.`), body]);
  const good = headers["webhook-signature"].split(" ").some((each) => {
    const [version, signature] = each.split(",");
    return version === "v1a" && crypto.verify(null, content, publicKey, Buffer.from(signature, "base64"));
  });
  if (!good) throw new Error("no matching signature");
}

function examine({ key, headers, body }) {
  const bytes = Buffer.from(body, "base64");
  if (key.startsWith("whpk_")) return { ed25519: refusal(() => verifyEd25519(key, headers, bytes)) };
  return {
    standardwebhooks: refusal(() => new standardwebhooks.Webhook(key).verify(bytes, headers)),
    svix: refusal(() => new svix.Webhook(key).verify(bytes.toString("utf8"), headers)),
  };
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(JSON.stringify(examine(JSON.parse(line))) + "\n");
});
