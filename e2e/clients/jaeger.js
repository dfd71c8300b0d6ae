// A request with a failing child, by Jaeger's own client over Thrift and HTTP; prints the trace's id.
// usage: jaeger.js http://127.0.0.1:7070/api/traces
const { initTracer, opentracing } = require("jaeger-client");

const config = { serviceName: "checkout", sampler: { type: "const", param: 1 }, reporter: { collectorEndpoint: process.argv[2], flushIntervalMs: 50 }, traceId128bit: true };
const logger = { info() {}, error: (message) => { console.error(message); process.exitCode = 1; } };
const tracer = initTracer(config, { tags: { "service.version": "1.2", node: 7 }, logger });

const root = tracer.startSpan("POST /orders", { tags: { [opentracing.Tags.SPAN_KIND]: "server", "http.status_code": 500 } });
const child = tracer.startSpan("charge", { childOf: root, tags: { [opentracing.Tags.SPAN_KIND]: "client", "peer.service": "payment", ratio: 0.5 } });
child.setTag(opentracing.Tags.ERROR, true);
child.log({ event: "error", message: "declined", attempt: 2 });
child.finish();
const after = tracer.startSpan("mail", { references: [opentracing.followsFrom(root.context())] });
after.finish();
root.finish();
tracer.close(() => console.log(root.context().traceIdStr));
