// A webhook receiver with nothing but Node.
//
//     WEBHOOK_SECRET=whsec_... PORT=8000 node receiver.js
const crypto = require("node:crypto");
const http = require("node:http");

const secret = Buffer.from(process.env.WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
const tolerance = 300; // seconds
const seen = new Set(); // in real life a unique column in your database

// Whether the sender knows the secret, and the message is not an old one sent again.
function isGenuine(headers, body) {
  const id = headers["webhook-id"] || "";
  const timestamp = headers["webhook-timestamp"] || "";
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > tolerance) return false;
  const want = crypto.createHmac("sha256", secret).update(`${id}.${timestamp}.`).update(body).digest();
  // Several while a secret is rotated; one has to fit.
  return (headers["webhook-signature"] || "").split(" ").some((each) => {
    const [version, signature] = each.split(",");
    const given = Buffer.from(signature || "", "base64");
    return version === "v1" && given.length === want.length && crypto.timingSafeEqual(given, want);
  });
}

// Put it on a queue of yours: what takes long does not belong into the answer's time.
function handle(event) {
  console.log(event.type, event.id, JSON.stringify(event.data).slice(0, 200));
}

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks); // the bytes as they came: parsing and writing again changes them
    if (!isGenuine(request.headers, body)) return response.writeHead(401).end();
    const id = request.headers["webhook-id"];
    if (!seen.has(id)) {
      handle(JSON.parse(body));
      seen.add(id);
    }
    response.writeHead(204).end();
  });
});
server.listen(Number(process.env.PORT || 8000), "127.0.0.1");
