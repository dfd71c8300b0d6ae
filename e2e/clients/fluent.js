// Sends records by Fluent's own client and prints one line when all of them are written, or acknowledged where that is asked.
// usage: fluent.js '{"options": {...}, "tag": "shop", "count": 100}'
const fs = require("node:fs");
const { FluentClient, EventTime } = require("@fluent-org/logger");

const { options, tag, count, from = 0, ca } = JSON.parse(process.argv[2]);
if (ca) options.socket.tls = { ca: fs.readFileSync(ca), servername: "localhost" };
const client = new FluentClient(tag, options);
client.socketOn("error", (error) => console.error(String(error)));

const sent = [];
for (let number = from; number < from + count; number++) {
  const record = { message: `line ${number} é`, number, ratio: number / 8, level: "warn", nested: { list: [1, null, "x"] } };
  sent.push(client.emit(record, new EventTime(1795341600, number * 1000)));
}
Promise.all(sent)
  .then(() => client.disconnect())
  .then(
    () => console.log(`sent ${count}`),
    (error) => {
      console.error(String(error));
      process.exit(1);
    },
  );
