// dcmjs-dimse as a console: node dcmjs.cjs PORT TITLE FILE..., all files in one association.
//
// Wants dcmjs-dimse on NODE_PATH. Says the status of each answer as JSON, one object a line.
"use strict";
const { Client, log, requests } = require("dcmjs-dimse");

log.setLevel?.("error");
const [port, title, ...files] = process.argv.slice(2);
const client = new Client();
let answered = 0;
const say = (what) => console.log(JSON.stringify(what));

const echo = new requests.CEchoRequest();
echo.on("response", (response) => say({ echo: response.getStatus() }));
client.addRequest(echo);
for (const file of files) {
  const request = new requests.CStoreRequest(file);
  request.on("response", (response) => {
    answered += 1;
    say({ file, status: response.getStatus() });
  });
  client.addRequest(request);
}
client.on("networkError", (trouble) => {
  say({ trouble: String(trouble) });
  process.exitCode = 1;
});
client.on("associationRejected", (rejection) => {
  say({ rejected: String(rejection) });
  process.exitCode = 1;
});
client.on("closed", () => {
  if (answered !== files.length) process.exitCode = 1;
});
client.send("127.0.0.1", Number(port), "CT1", title, { pduTimeout: 60000 });
